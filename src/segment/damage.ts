// Holds the files of a segment against its commit lines: every committed byte is covered by a CRC-32C.

import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { TapioError } from '../errors.ts';
import type { CommitLine } from './commits.ts';
import { crc32c, crcText } from './crc32c.ts';

/** Bytes of a file that one commit covers. */
export interface CommittedRange {
  readonly from: number;
  readonly to: number;
  /** As it stands in the line. */
  readonly crc: string;
}

/** A part of a segment that is not what was committed; offsets in bytes. */
export interface Damage {
  readonly file: string;
  readonly from: number;
  readonly to: number;
  readonly reason: 'missing' | 'short' | 'checksum';
}

const CHUNK_BYTES = 1 << 20;

/** The ranges of a file, in order, as the commit lines have them. */
export function committedRanges(lines: readonly CommitLine[], file: string): CommittedRange[] {
  const ranges: CommittedRange[] = [];
  let from = 0;
  for (const line of lines) {
    const state = line.files[file];
    if (state === undefined) continue;
    const [to, crc] = state;
    if (to > from) ranges.push({ from, to, crc });
    from = to;
  }
  return ranges;
}

/** Names of the files that the last commit covers. */
export function committedFiles(lines: readonly CommitLine[]): string[] {
  return Object.keys(lines.at(-1)?.files ?? {});
}

function checkRange(fd: number, file: string, range: CommittedRange): Damage | null {
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, range.to - range.from));
  let crc = 0;
  for (let at = range.from; at < range.to; ) {
    const got = readSync(fd, buffer, 0, Math.min(buffer.length, range.to - at), at);
    if (got === 0) return { file, from: at, to: range.to, reason: 'short' };
    crc = crc32c(buffer.subarray(0, got), crc);
    at += got;
  }
  if (crcText(crc) === range.crc) return null;
  return { file, from: range.from, to: range.to, reason: 'checksum' };
}

/** What is wrong with an open file; the first damage only where `first`. */
export function damageOf(
  fd: number,
  file: string,
  ranges: readonly CommittedRange[],
  first = false,
): Damage[] {
  const found: Damage[] = [];
  for (const range of ranges) {
    const damage = checkRange(fd, file, range);
    if (damage === null) continue;
    found.push(damage);
    if (first || damage.reason === 'short') break;
  }
  return found;
}

/** Reads every committed byte of a directory's files and gives what is not as it was committed. */
export function verifyDirectory(directory: string, lines: readonly CommitLine[]): Damage[] {
  return committedFiles(lines).flatMap((file) => {
    const ranges = committedRanges(lines, file);
    let fd: number;
    try {
      fd = openSync(join(directory, file), 'r');
    } catch {
      return [{ file, from: 0, to: ranges.at(-1)?.to ?? 0, reason: 'missing' as const }];
    }
    try {
      return damageOf(fd, file, ranges);
    } finally {
      closeSync(fd);
    }
  });
}

/** The error for a file that cannot be read as it was written. */
export function damagedError(path: string, what: string, cause?: unknown): TapioError {
  return new TapioError(
    'segment_damaged',
    `${path}: ${what}: restore the segment from a copy, or move its directory out of the store to read the rest`,
    cause === undefined ? undefined : { cause },
  );
}

/** A damage in words. */
export function damageText({ from, to, reason }: Damage): string {
  switch (reason) {
    case 'missing':
      return 'is missing though it was committed';
    case 'short':
      return `ends at byte ${from}, before the ${to} that were committed`;
    case 'checksum':
      return `bytes ${from} to ${to} are not what was committed`;
  }
}
