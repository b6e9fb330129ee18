// Where a log goes on: after its last whole line. What lies behind that is what a crash left, and is kept aside; where lines
// are not right that had been on the disk for sure, it is no crash, and the log is not opened.

import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { TapioError } from '../errors.ts';
import type { StoreFiles } from '../segment/files.ts';
import { type AuditFile, auditFiles, readLines } from './audit-files.ts';
import type { AuditKey } from './audit-key.ts';
import { type AuditLine, looksLikeLine, ReadsUnderWay, readLine } from './audit-line.ts';
import type { ChainEnd } from './audit-writer.ts';

const CHUNK_BYTES = 1 << 20;

/** Bytes that were no whole line, kept in a file of their own. */
export interface Torn {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** What is found of a log. */
export interface Recovered {
  /** null where there is no line. */
  readonly end: ChainEnd | null;
  /** Last line that was surely on the disk. */
  readonly synced: number;
  /** Key of the file that it ends in. */
  readonly key: AuditKey;
  /** Fingerprint of the key under which the next file was to begin, where the last line says so. */
  readonly nextKey: string | null;
  /** Reads that have no end. */
  readonly reads: ReadonlySet<number>;
  /** True where a next file is there that has no whole line. */
  readonly halfMade: boolean;
  /** Files of bytes that were no line, of which no line tells yet. */
  readonly torn: readonly Torn[];
}

interface Scanned {
  readonly key: AuditKey;
  readonly last: AuditLine | null;
  readonly day: string;
  /** End of the last line that is right, and of the file. */
  readonly length: number;
  readonly size: number;
  readonly reads: ReadonlySet<number>;
  /** The highest `synced` of lines that are right each for itself, behind the last that is right in its place. */
  readonly syncedBehind: number;
}

/**
 * Finds the end of a log whose last file was written under one of `keys`; `keys[0]` is that of a new log. Sets aside what
 * lies behind it, without cutting it off: who appends does. Throws TapioError('io') where lines were changed that had been
 * on the disk, and what the file system throws.
 */
export function recoverAudit(
  files: StoreFiles,
  directory: string,
  keys: readonly [AuditKey, ...AuditKey[]],
): Recovered {
  const all = auditFiles(directory);
  const newest = all.at(-1);
  const begun = { reads: new Set<number>(), halfMade: false, torn: [], nextKey: null };
  if (newest === undefined) return { ...begun, end: null, synced: 0, key: keys[0] };
  const tail = scanFile(newest, keys);
  const older = all.at(-2);
  const halfMade = tail.last === null;
  if (halfMade && older?.number !== newest.number - 1 && newest.number > 1) {
    throw changed(newest, 'has no line, and the file before it is missing');
  }
  const found = halfMade && older !== undefined ? scanFile(older, keys) : tail;
  const at = halfMade && older !== undefined ? older : newest;
  if (halfMade && found !== tail && (found.last === null || found.length < found.size)) {
    throw changed(at, 'is not whole, though there is a file after it');
  }
  const last = found.last;
  const expected = (last?.n ?? 0) + 1;
  if (tail.syncedBehind >= expected) {
    throw changed(newest, `was changed at line number ${expected}, which had been on the disk`);
  }
  if (tail.length < tail.size) setAside(files, directory, newest, tail.length, expected);
  return {
    end:
      last === null
        ? null
        : { file: at.number, length: found.length, n: last.n, mac: last.mac, day: found.day },
    synced: last?.synced ?? 0,
    key: found.key,
    nextKey: last?.kind === 'key' ? String(last.next) : null,
    reads: found.reads,
    halfMade: halfMade && last !== null,
    torn: tornBefore(directory, expected),
  };
}

function scanFile(file: AuditFile, keys: readonly [AuditKey, ...AuditKey[]]): Scanned {
  let key = keys[0];
  let last: AuditLine | null = null;
  let day = '';
  let length = 0;
  let size = 0;
  let broken = false;
  let syncedBehind = 0;
  const reads = new ReadsUnderWay();
  for (const { number, bytes, ended, to } of readLines(file.path)) {
    size = to;
    if (number === 1) {
      key = keys.find((one) => readLine(bytes, one) !== null) ?? key;
      // The first line of a file is synced alone: a crash leaves a piece of it, not another line.
      if (ended && looksLikeLine(bytes) && readLine(bytes, key) === null) {
        throw changed(file, 'was written with another key, or its first line was changed');
      }
    }
    const line: AuditLine | null = ended ? readLine(bytes, key) : null;
    const follows =
      line !== null && (last === null || (line.n === last.n + 1 && line.prev === last.mac));
    broken ||= !follows || (last === null && number > 1);
    if (broken) {
      syncedBehind = Math.max(syncedBehind, line?.synced ?? 0);
    } else if (line !== null) {
      if (last === null) day = line.ts.slice(0, 10);
      last = line;
      length = to;
      reads.follow(line);
    }
  }
  return { key, last, day, length, size, reads: reads.ids, syncedBehind };
}

function changed(file: AuditFile, how: string): TapioError {
  return new TapioError(
    'io',
    `the audit log's ${file.path} ${how}: tapio-replay audit verify says more; keep the directory as it is, and begin a new log in another one`,
  );
}

/** Names of what is kept aside before line `n`. */
const tornName = (n: number): RegExp => new RegExp(`^audit-\\d+\\.torn-${n}-(\\d+)$`);

/** Keeps the bytes of a file from `from` on, durably, in one of their own: line `n` will tell of it. */
function setAside(
  files: StoreFiles,
  directory: string,
  file: AuditFile,
  from: number,
  n: number,
): void {
  const tries = readdirSync(directory).filter((name) => tornName(n).test(name)).length;
  const name = file.name.replace('.ndjson', `.torn-${n}-${tries + 1}`);
  const kept = files.create(join(directory, name));
  try {
    for (const bytes of pieces(file.path, from)) kept.append([bytes]);
    kept.sync();
  } finally {
    kept.close();
  }
  files.syncDirectory(directory);
}

function tornBefore(directory: string, n: number): Torn[] {
  const names = readdirSync(directory).filter((name) => tornName(n).test(name));
  return names.sort().map((file) => {
    const hash = createHash('sha256');
    let bytes = 0;
    for (const piece of pieces(join(directory, file), 0)) {
      hash.update(piece);
      bytes += piece.length;
    }
    return { file, bytes, sha256: hash.digest('hex') };
  });
}

function* pieces(path: string, from: number): Generator<Buffer> {
  const fd = openSync(path, 'r');
  try {
    for (let at = from; ; ) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const read = readSync(fd, chunk, 0, CHUNK_BYTES, at);
      if (read === 0) return;
      yield chunk.subarray(0, read);
      at += read;
    }
  } finally {
    closeSync(fd);
  }
}
