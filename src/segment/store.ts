// A store: a directory with segments/, the catalogue beside them, and one recorder at a time.

import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { env, geteuid } from 'node:process';
import { TapioError } from '../errors.ts';
import { arrange, type OpenedStore, unreadable } from './arrange.ts';
import { OPEN_PREFIX } from './file-names.ts';
import { diskFiles } from './files.ts';
import { type Problem, Segment } from './reader.ts';

export type { OpenedStore } from './arrange.ts';
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
    makeWithParents(resolve(store));
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

function makeWithParents(path: string): void {
  if (existsSync(path)) return;
  makeWithParents(dirname(path));
  diskFiles.makeDirectory(path);
  diskFiles.syncDirectory(dirname(path));
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

/** The number at the end of a segment's name: it grows in its store, whatever the clock does. */
export function segmentNumber(name: string): number {
  return Number(/-(\d{7,})$/.exec(name)?.[1] ?? -1);
}

/** Names in order of their numbers; the time in a name goes back when the clock does. */
export function inSegmentOrder(names: readonly string[]): string[] {
  return [...names].sort(
    (a, b) => segmentNumber(a) - segmentNumber(b) || (a < b ? -1 : a > b ? 1 : 0),
  );
}

/** Directories of a store's segments, oldest first: sealed ones, then those still open. */
export function segmentDirectories(store: string): string[] {
  const names = inSegmentOrder(stableNames(segmentsOf(store)));
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
 * Opens what can be read under `path`: a store, or one segment directory. The caller closes the segments.
 * One that is sealed between listing and opening is found under its new name. Throws TapioError where
 * there is no store, or it is of a newer format.
 */
export function openStore(path: string): OpenedStore {
  return openStores([path]);
}

/**
 * Opens several stores or segments as one: each recording's segments in order, each row once, whatever
 * store they lie in. See openStore().
 */
export function openStores(paths: readonly string[]): OpenedStore {
  const segments: Segment[] = [];
  const problems: Problem[] = [];
  try {
    for (const path of new Map(paths.map((one) => [resolve(one), one])).values()) {
      const opened = openListing(path);
      segments.push(...opened.segments);
      problems.push(...opened.problems);
    }
    const arranged = arrange(segments);
    return { ...arranged, problems: [...problems, ...arranged.problems] };
  } catch (error) {
    for (const segment of segments) segment.close();
    throw error;
  }
}

/** The segments under a path, as they are listed. */
function openListing(path: string): OpenedStore {
  if (!existsSync(path)) {
    throw new TapioError(
      'store_missing',
      `there is no store at ${resolve(path)}: record one with tapio-record, or name another with --store`,
    );
  }
  if (!existsSync(segmentsOf(path))) return { segments: [new Segment(path)], problems: [] };
  for (let attempt = 1; ; attempt++) {
    const segments: Segment[] = [];
    const problems: Problem[] = [];
    try {
      for (const directory of segmentDirectories(path)) {
        const segment = openListed(directory, problems);
        if (segment !== null) segments.push(segment);
      }
      return { segments, problems };
    } catch (error) {
      for (const segment of segments) segment.close();
      if (!(error instanceof Moved) || attempt === TRIES) {
        throw error instanceof Moved ? (error.cause ?? error) : error;
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TRY_AGAIN_MS);
    }
  }
}

/** A segment was being sealed as it was opened: it is to be looked for again. */
class Moved extends Error {}

/** Opens a listed segment; null where nothing was committed to it yet or it cannot be read. */
function openListed(directory: string, problems: Problem[]): Segment | null {
  const name = basename(directory);
  const open = name.startsWith(OPEN_PREFIX);
  let segment: Segment;
  try {
    segment = new Segment(directory);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    // Retired or sealed meanwhile: the next listing has it right.
    if (code === 'ENOENT' && !existsSync(directory)) throw new Moved('moved', { cause: error });
    if (!['ENOENT', 'segment_missing', 'segment_damaged'].includes(code)) throw error;
    if (open) throwIfSealed(directory);
    if (!open || hasEvents(directory)) problems.push(unreadable(name, (error as Error).message));
    return null;
  }
  if (!open || (segment.commits?.lines.length ?? 0) > 0) return segment;
  try {
    throwIfSealed(directory);
    if (segment.commits?.lost) return segment;
  } catch (error) {
    segment.close();
    throw error;
  }
  if (segment.commits === null) problems.push(unreadable(name, 'it has no commits.ndjson'));
  segment.close();
  return null;
}

// An open segment's directory is removed piece by piece, once the merged one has the final name.
function throwIfSealed(directory: string): void {
  const sealed = basename(directory).slice(OPEN_PREFIX.length);
  if (existsSync(join(dirname(directory), sealed))) throw new Moved('moved');
}

/** False of a directory that was only begun: its commits.ndjson is made before its event files are. */
function hasEvents(directory: string): boolean {
  return existsSync(directory) && readdirSync(directory).some((file) => file.endsWith('.arrow'));
}
