// A store: a directory with segments/, the catalogue beside them, and one recorder at a time.

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { env, geteuid, pid } from 'node:process';
import { TapioError } from '../errors.ts';
import { diskFiles } from './files.ts';
import { Segment } from './reader.ts';
import { OPEN_PREFIX } from './writer.ts';

const SYSTEM_STORE = '/var/lib/tapio/ebpf';
const LOCK = 'recorder.pid';

/** Where both programs look when no store is named. */
export function defaultStore(): string {
  const named = env.TAPIO_STORE;
  if (named !== undefined && named !== '') return named;
  return existsSync(SYSTEM_STORE) ? SYSTEM_STORE : './recording';
}

/** Directory of the segments of a store. */
export function segmentsOf(store: string): string {
  return join(store, 'segments');
}

/** Makes a store if there is none, and refuses one that others could read or change. */
export function ensureStore(store: string): void {
  try {
    if (!existsSync(store)) diskFiles.makeDirectory(store);
    checkPermissions(store);
    if (!existsSync(segmentsOf(store))) diskFiles.makeDirectory(segmentsOf(store));
    accessSync(segmentsOf(store), constants.W_OK | constants.X_OK);
  } catch (error) {
    if (error instanceof TapioError) throw error;
    throw new TapioError(
      'store_unwritable',
      `cannot write to the store ${resolve(store)} (${(error as NodeJS.ErrnoException).code ?? 'error'}): choose another with --store, or mend its permissions`,
      { cause: error },
    );
  }
}

function checkPermissions(store: string): void {
  const stat = statSync(store);
  const path = resolve(store);
  if (!stat.isDirectory()) {
    throw new TapioError(
      'store_unwritable',
      `${path} is not a directory: choose another with --store`,
    );
  }
  const uid = geteuid?.() ?? 0;
  if (stat.uid !== uid) {
    throw new TapioError(
      'store_too_open',
      `the store ${path} belongs to uid ${stat.uid}, not to ${uid}: chown -R ${uid} ${path}`,
    );
  }
  if ((stat.mode & 0o077) !== 0) {
    throw new TapioError(
      'store_too_open',
      `the store ${path} is open to others (mode ${(stat.mode & 0o777).toString(8)}), and recordings hold secrets: chmod 700 ${path}`,
    );
  }
}

/** Start of a process in clock ticks since boot (field 22 of /proc/PID/stat), or null when it is gone. */
export function processStartTicks(of: number): string | null {
  try {
    const stat = readFileSync(`/proc/${of}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

/** pid of the recorder that holds a store, or null. A holder that died without a word holds nothing. */
export function lockHolder(store: string): number | null {
  let text: string;
  try {
    text = readFileSync(join(store, LOCK), 'utf8');
  } catch {
    return null;
  }
  const [holder = '', started = ''] = text.trim().split(' ');
  return processStartTicks(Number(holder)) === started ? Number(holder) : null;
}

/** Takes the store for this process; gives back what releases it. */
export function lockStore(store: string): () => void {
  const path = join(store, LOCK);
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const fd = openSync(path, 'wx', 0o600);
      writeSync(fd, `${pid} ${processStartTicks(pid)}\n`);
      closeSync(fd);
      return () => {
        if (lockHolder(store) === pid) unlinkSync(path);
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const holder = lockHolder(store);
      if (holder !== null) {
        throw new TapioError(
          'store_locked',
          `process ${holder} is recording into ${resolve(store)} already: stop it with tapio-record stop, or choose another --store`,
        );
      }
      unlinkSync(path);
    }
  }
  throw new TapioError(
    'store_locked',
    `another recorder is starting in ${resolve(store)}: try again`,
  );
}

/** Directories of a store's segments, oldest first: sealed ones, then those still open. */
export function segmentDirectories(store: string): string[] {
  const names = readdirSync(segmentsOf(store));
  const sealed = names.filter((name) => !name.startsWith('.')).sort();
  // While a merged segment takes its final name, the open one is still there for a moment.
  const open = names
    .filter((name) => name.startsWith(OPEN_PREFIX))
    .filter((name) => !sealed.includes(name.slice(OPEN_PREFIX.length)))
    .sort();
  return [...sealed, ...open].map((name) => join(segmentsOf(store), name));
}

/**
 * Opens what can be read under `path`: a store, or one segment directory. The caller closes them. A
 * segment that is sealed between listing and opening is found under its new name.
 */
export function openSegments(path: string): Segment[] {
  if (!existsSync(path)) {
    throw new TapioError(
      'store_missing',
      `there is no store at ${resolve(path)}: record one with tapio-record, or name another with --store`,
    );
  }
  if (!existsSync(segmentsOf(path))) return [new Segment(path)];
  for (let attempt = 0; ; attempt++) {
    const opened: Segment[] = [];
    try {
      for (const directory of segmentDirectories(path)) opened.push(new Segment(directory));
      return opened.filter((segment) => segment.sealed || segment.commits?.lines.length !== 0);
    } catch (error) {
      for (const segment of opened) segment.close();
      const moved = (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (!moved || attempt >= 10) throw error;
    }
  }
}
