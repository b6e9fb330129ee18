// Holds the files of a segment against its commit lines: every committed byte is covered by a CRC-32C.

import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { TapioError } from '../errors.ts';
import type { Commits, FileState } from './commits.ts';
import { crc32c, crcText } from './crc32c.ts';

/** A piece of a file as it was committed; `crc` is null where the line that had it is lost. */
export interface CommittedRange {
  readonly from: number;
  readonly to: number;
  readonly crc: string | null;
}

export type DamageReason = 'missing' | 'short' | 'checksum' | 'unknown' | 'commits' | 'content';

/** A part of a segment that is not what was committed; offsets in bytes. */
export interface Damage {
  readonly file: string;
  readonly from: number;
  readonly to: number;
  readonly reason: DamageReason;
  /** What is wrong with the content, where the reason is that. */
  readonly detail?: string;
}

/** Read at a time, bytes. */
const CHUNK_BYTES = 1 << 20;

/** The pieces of a file, in order, as the commit lines have them. */
export function committedRanges({ lines }: Commits, file: string): CommittedRange[] {
  return rangesOf(lines.map(({ files }) => files[file]));
}

function rangesOf(states: readonly (FileState | undefined)[]): CommittedRange[] {
  const ranges: CommittedRange[] = [];
  let end = 0;
  for (const state of states) {
    if (state === undefined) continue;
    // The first recorders left out where the first piece begins: behind what was there.
    const told = isTold(state);
    let from = told ? Number(state[0]) : end;
    if (from > end) ranges.push({ from: end, to: from, crc: null });
    for (let at = told ? 1 : 0; at + 1 < state.length; at += 2) {
      const to = Number(state[at]);
      if (to > from) ranges.push({ from, to, crc: String(state[at + 1]) });
      from = to;
    }
    end = from;
  }
  return ranges;
}

/** True where a line says where the first of its pieces begins. */
const isTold = (state: FileState): boolean => state.length % 2 === 1;

/** The pieces of a file from a place on, in order; some before it may be among them. */
export type CommittedPieces = (from: number) => readonly CommittedRange[];

/**
 * The pieces of a file as the commit lines have them. What a seal writes stands in the last line: who reads no
 * further forward needs no other.
 */
export function committedPieces(commits: Commits, file: string): CommittedPieces {
  const last = commits.last?.files[file];
  const begin = last !== undefined && isTold(last) ? Number(last[0]) : Number.POSITIVE_INFINITY;
  let [sealed, all]: (CommittedRange[] | null)[] = [null, null];
  return (from) => {
    if (from < begin) {
      all ??= committedRanges(commits, file);
      return all;
    }
    sealed ??= rangesOf([last]).filter((range) => range.to > begin);
    return sealed;
  };
}

/** Names of the files that the last commit covers. */
export function committedFiles({ last }: Commits): string[] {
  return Object.keys(last?.files ?? {});
}

/** What is wrong with one piece of an open file, or null. */
export function damageOfRange(fd: number, file: string, range: CommittedRange): Damage | null {
  if (range.crc === null) return { file, from: range.from, to: range.to, reason: 'unknown' };
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

/** The same, of a piece that was read. */
export function damageOfBytes(
  bytes: Uint8Array,
  file: string,
  range: CommittedRange,
): Damage | null {
  const { from, to, crc } = range;
  if (crc === null) return { file, from, to, reason: 'unknown' };
  return crcText(crc32c(bytes)) === crc ? null : { file, from, to, reason: 'checksum' };
}

/** What is wrong with a file of a directory. `onBytes` is told how much was read. */
export function damageOfFile(
  directory: string,
  file: string,
  ranges: readonly CommittedRange[],
  onBytes: (bytes: number) => void = () => {},
): Damage[] {
  let fd: number;
  try {
    fd = openSync(join(directory, file), 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return [{ file, from: 0, to: ranges.at(-1)?.to ?? 0, reason: 'missing' }];
  }
  try {
    const found: Damage[] = [];
    for (const range of ranges) {
      const damage = damageOfRange(fd, file, range);
      onBytes(range.to - range.from);
      if (damage === null) continue;
      found.push(damage);
      if (damage.reason === 'short') break;
    }
    return found;
  } finally {
    closeSync(fd);
  }
}

/** The error for what cannot be read as it was written. */
export function damagedError(path: string, what: string, cause?: unknown): TapioError {
  return new TapioError(
    'segment_damaged',
    `${path}: ${what}`,
    cause === undefined ? undefined : { cause },
  );
}

/** A damage in words. */
export function damageText({ from, to, reason, detail }: Damage): string {
  switch (reason) {
    case 'missing':
      return 'is missing though it was committed';
    case 'short':
      return `ends at byte ${from}, before the ${to} that were committed`;
    case 'checksum':
      return `bytes ${from} to ${to} are not what was committed`;
    case 'unknown':
      return `bytes ${from} to ${to} cannot be checked: their commit line is lost`;
    case 'commits':
      return detail ?? 'commit lines are lost';
    case 'content':
      return detail ?? 'cannot be decoded';
  }
}
