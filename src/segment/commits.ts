// commits.ndjson: a segment's first line says what it is, every other one is a point up to which it is
// whole. Each line carries the CRC-32C of what stands before its `crc`.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32c, crcText } from './crc32c.ts';
import { COMMITS_FILE } from './file-names.ts';
import type { Zones } from './zones.ts';

/** Length of a file at a commit, and the checksum of what was appended since the one before. */
export type FileState = readonly [length: number, crc: string];

/** Counters per CPU, sparse: op id → count. */
export type CpuCounts = readonly Readonly<Record<string, number>>[];

/** What a segment is. Also stands in every Arrow file's schema metadata. */
export interface SegmentHeader {
  readonly format: number;
  readonly fingerprint: string;
  readonly recorder: string;
  readonly host: string;
  readonly boot_id: string;
  readonly kernel: string;
  readonly recording: string;
  /** ns; ts = ktime + ts_offset. As text: it does not fit a JSON number. */
  readonly ts_offset: string;
  /** Clock readings in ns as text, taken as the segment began. */
  readonly clocks: {
    readonly realtime: string;
    readonly monotonic: string;
    readonly boottime: string;
  };
}

/** A record batch: readers of an open segment need not ask its rows. ts in ns as text. */
export type CommittedBatch = readonly [
  rows: number,
  firstSeq: number,
  lastSeq: number,
  firstTs: string,
  lastTs: string,
  zones: Zones,
];

/** A point up to which the directory is whole. */
export interface CommitLine {
  readonly through_seq: number;
  /** Wall clock of the commit, ms since 1970. */
  readonly at: number;
  /** Ring position per CPU, as text. */
  readonly positions: readonly string[];
  readonly consumed: CpuCounts;
  readonly filtered: CpuCounts;
  readonly lost: CpuCounts;
  /** By cause, then CPU. */
  readonly refused: Readonly<Record<string, CpuCounts>>;
  readonly late: number;
  /** Rows per event type. */
  readonly rows: Readonly<Record<string, number>>;
  readonly files: Readonly<Record<string, FileState>>;
  /** File → the batches appended since the line before. */
  readonly batches?: Readonly<Record<string, readonly CommittedBatch[]>>;
  /** The last line of a sealed segment. */
  readonly sealed?: true;
}

/** A line with its checksum and line end. */
export function commitText(line: { readonly segment: SegmentHeader } | CommitLine): string {
  const body = JSON.stringify(line).slice(0, -1);
  return `${body},"crc":"${crcText(crc32c(Buffer.from(body)))}"}\n`;
}

/** The line's content, or null where it is cut or its checksum is wrong. */
export function parseCommitText(text: string): Record<string, unknown> | null {
  const at = text.lastIndexOf(',"crc":"');
  if (at < 0 || !text.endsWith('"}')) return null;
  const body = text.slice(0, at);
  if (text.slice(at + 8, -2) !== crcText(crc32c(Buffer.from(body)))) return null;
  try {
    return JSON.parse(`${body}}`) as Record<string, unknown>;
  } catch {
    return null;
  }
}

export interface Commits {
  readonly header: SegmentHeader | null;
  readonly lines: readonly CommitLine[];
  /** True where lines after the last good one had to be left out. */
  readonly torn: boolean;
  /** Length of the lines that verify. */
  readonly bytes: number;
}

/** Reads the commit lines of a segment, up to the first that does not verify; null without the file. */
export function readCommits(directory: string): Commits | null {
  let text: string;
  try {
    text = readFileSync(join(directory, COMMITS_FILE), 'utf8');
  } catch {
    return null;
  }
  let header: SegmentHeader | null = null;
  const lines: CommitLine[] = [];
  let bytes = 0;
  const all = text.split('\n');
  for (const one of all.slice(0, -1)) {
    const parsed = parseCommitText(one);
    if (parsed === null) return { header, lines, torn: true, bytes };
    bytes += Buffer.byteLength(one) + 1;
    if ('segment' in parsed) header = parsed.segment as SegmentHeader;
    else lines.push(parsed as unknown as CommitLine);
  }
  return { header, lines, torn: all.at(-1) !== '', bytes };
}
