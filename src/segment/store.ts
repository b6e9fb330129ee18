// A store: a directory with segments/, the catalogue beside them, and one recorder at a time.

import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { env, geteuid } from 'node:process';
import { TapioError } from '../errors.ts';
import { OPEN_PREFIX } from './file-names.ts';
import { diskFiles } from './files.ts';
import { Segment } from './reader.ts';

export { lockHolder, lockStore, processStartTicks } from './lock.ts';

const SYSTEM_STORE = '/var/lib/tapio/ebpf';

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
    if (!existsSync(store)) {
      diskFiles.makeDirectory(store);
      diskFiles.syncDirectory(dirname(resolve(store)));
    }
    checkPermissions(store);
    if (!existsSync(segmentsOf(store))) {
      diskFiles.makeDirectory(segmentsOf(store));
      diskFiles.syncDirectory(store);
    }
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

/** A path as a shell takes it. */
function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
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
      `the store ${path} belongs to uid ${stat.uid}, not to ${uid}: chown -R ${uid} ${quoted(path)}`,
    );
  }
  if ((stat.mode & 0o077) !== 0) {
    throw new TapioError(
      'store_too_open',
      `the store ${path} is open to others (mode ${(stat.mode & 0o777).toString(8)}), and recordings hold secrets: chmod 700 ${quoted(path)}`,
    );
  }
}

/** Directories of a store's segments, oldest first: sealed ones, then those still open. */
export function segmentDirectories(store: string): string[] {
  const names = stableNames(segmentsOf(store));
  const sealed = names.filter((name) => !name.startsWith('.'));
  // While a merged segment takes its final name, the open one is still there for a moment.
  const open = names
    .filter((name) => name.startsWith(OPEN_PREFIX))
    .filter((name) => !sealed.includes(name.slice(OPEN_PREFIX.length)));
  return [...sealed, ...open].map((name) => join(segmentsOf(store), name));
}

// A name that changes while a large directory is read may be missing from the list under both names.
function stableNames(directory: string): string[] {
  let names = readdirSync(directory).sort();
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const again = readdirSync(directory).sort();
    if (again.join('/') === names.join('/')) break;
    names = again;
  }
  return names;
}

const TRIES = 10;
const TRY_AGAIN_MS = 5;

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
  for (let attempt = 1; ; attempt++) {
    const opened: Segment[] = [];
    try {
      for (const directory of segmentDirectories(path)) {
        const segment = openListed(directory);
        if (segment !== null) opened.push(segment);
      }
      return opened;
    } catch (error) {
      for (const segment of opened) segment.close();
      if (!(error instanceof Moved) || attempt === TRIES) {
        throw error instanceof Moved ? (error.cause ?? error) : error;
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TRY_AGAIN_MS);
    }
  }
}

/** A segment was being sealed as it was opened: it is to be looked for again. */
class Moved extends Error {}

/** Opens a listed segment; null where nothing was committed to it yet. */
function openListed(directory: string): Segment | null {
  const name = basename(directory);
  if (!name.startsWith(OPEN_PREFIX)) return openOr(directory, ['ENOENT']);
  const segment = openOr(directory, ['ENOENT', 'segment_damaged', 'segment_missing']);
  if (segment !== null && segment.commits !== null && segment.commits.lines.length > 0) {
    return segment;
  }
  segment?.close();
  // Its directory is made before its first line is; but it is also removed piece by piece, once the
  // merged one has the final name.
  if (existsSync(join(dirname(directory), name.slice(OPEN_PREFIX.length))))
    throw new Moved('moved');
  return null;
}

/** Opens a segment; of the failures that `moving` names, all but "nothing there yet" mean that it moved. */
function openOr(directory: string, moving: readonly string[]): Segment | null {
  try {
    return new Segment(directory);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (!moving.includes(code)) throw error;
    if (code === 'segment_missing') return null;
    throw new Moved('moved', { cause: error });
  }
}
