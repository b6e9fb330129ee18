// Salvages what verifies of a damaged segment into a new one. The original is only read.

import { arrowSchema, type EventType } from '../../schemas/arrow.ts';
import { OP_NAMES } from '../../schemas/events.ts';
import type { ColumnBuffers } from './arrow-file.ts';
import type { ArrowFileReader, RawColumn } from './arrow-reader.ts';
import type { SmallRow } from './columns.ts';
import {
  type CommitPoint,
  metadataOf,
  noPoint,
  pointOf,
  rowsBetween,
  type SegmentHeader,
  turningPoints,
} from './commits.ts';
import { type Shape, shapeOf } from './event-files.ts';
import type { StoreFiles } from './files.ts';
import { type BatchInfo, Segment } from './reader.ts';
import { lossCells, lossRow, type ProcessRow, type SocketRow } from './small-tables.ts';
import { segmentsOf } from './store.ts';
import { DictionaryVector } from './vectors.ts';
import { type SealedSegment, SegmentWriter } from './writer.ts';

/** What a repair came to. */
export interface Repaired {
  readonly sealed: SealedSegment;
  /** Rows that were salvaged, and those that were not; null where nobody knows. */
  readonly rows: number;
  readonly left: number | null;
  /** What was left out and why, in sentences. */
  readonly problems: readonly string[];
}

/** Rows by `type.op`. */
export type Counts = Map<string, number>;

/** Cause of a loss of rows that had been stored and cannot be read. */
const DAMAGED = 'damaged';

const total = (counts: Counts): number => [...counts.values()].reduce((a, b) => a + b, 0);

/**
 * Writes what verifies of the segment in `directory` into `store`, under the same name; what does not is
 * a loss row there. Throws TapioError where nothing of it can be read, and what the file system throws.
 */
export function repairSegment(files: StoreFiles, directory: string, store: string): Repaired {
  const segment = new Segment(directory);
  try {
    const { name } = segment;
    // Without commit lines nobody vouches that its files are of the table that they name.
    const isSure = Boolean(segment.commits?.header);
    const header = isSure ? segment.header : { ...segment.header, fingerprint: '' };
    const begin = beginOf(segment);
    const writer = SegmentWriter.create(files, segmentsOf(store), name, header, begin);
    const stored: Counts = new Map();
    const batches = segment.types().flatMap((type) => salvage(segment, type, writer, stored));
    writer.addProcesses(segment.processes() as unknown as ProcessRow[]);
    const sockets = segment.sockets();
    if (sockets !== null) writer.addSockets(sockets as unknown as SocketRow[]);
    writer.addLosses(segment.losses().map(lossCells));
    const missing = missingRows(segment, stored);
    writer.addLosses(damagedRows(segment, missing, batches));
    writer.commit(endOf(segment, batches));
    return {
      sealed: writer.seal(),
      rows: total(stored),
      left: missing === null ? null : total(missing),
      problems: segment.problems.map(({ text }) => text),
    };
  } finally {
    segment.close();
  }
}

function buffersOf(raw: RawColumn): ColumnBuffers {
  return {
    nodes: raw.nodes.map(({ length, nullCount }) => ({ length, nulls: nullCount })),
    buffers: raw.buffers.map((bytes) => ({ bytes })),
  };
}

/** What a file is known to be, or else what it says of itself. */
function shapeOfFile(type: EventType, file: ArrowFileReader, header: SegmentHeader): Shape {
  const { table } = file;
  return table === null
    ? shapeOf(type, file.schema)
    : { table, schema: arrowSchema(table, metadataOf(header)) };
}

/** Appends the batches of a type that verify; counts their rows by op. */
function salvage(
  segment: Segment,
  type: EventType,
  writer: SegmentWriter,
  stored: Counts,
): BatchInfo[] {
  const whole: BatchInfo[] = [];
  for (const info of segment.batches(type)) {
    try {
      const file = segment.file(type);
      const shape = shapeOfFile(type, file, segment.header);
      const names = shape.table.columns.map((column) => column.name);
      // Read as a reader would, too: that holds strings and lengths against one another.
      const ops = segment.read(info, names).get('op');
      const raw = file.read(info, names);
      const strings = new Map(
        [...segment.strings(type, names)].map(([column, values]) => [
          names.indexOf(column),
          values.all(),
        ]),
      );
      const columns = names.map((name) => buffersOf(raw.get(name) as RawColumn));
      writer.appendRead(type, shape, strings, info, columns);
      if (ops instanceof DictionaryVector) countOps(type, ops, stored);
      whole.push(info);
    } catch (error) {
      segment.leaveOut(info, error);
    }
  }
  return whole;
}

/** Adds the rows of a batch by their op. */
export function countOps(type: EventType, ops: DictionaryVector, stored: Counts): void {
  const counts = new Uint32Array(ops.dictionary.length);
  for (let row = 0; row < ops.length; row++) {
    const index = Number(ops.indices[row]);
    counts[index] = (counts[index] ?? 0) + 1;
  }
  ops.dictionary.all().forEach((op, i) => {
    const key = `${type}.${op}`;
    if (counts[i]) stored.set(key, (stored.get(key) ?? 0) + (counts[i] ?? 0));
  });
}

/**
 * Rows that the commit lines speak of and that were not salvaged, by op; null where nobody knows. Not those
 * that are known to be missing: of an earlier repair, or of an export.
 */
export function missingRows(segment: Segment, stored: Counts): Counts | null {
  const { commits } = segment;
  const last = commits?.last;
  // Without the first line it is not known where it begins.
  if (!commits?.header || !last) return null;
  const known: Counts = new Map(stored);
  const add = (key: string, count: number): unknown =>
    known.set(key, (known.get(key) ?? 0) + count);
  for (const { cause, type, op, count } of segment.losses()) {
    if (cause === DAMAGED && type !== null) add(`${type}.${op}`, Number(count ?? 0n));
  }
  const { rows: leftOut = {}, losses = [] } = last.left_out ?? {};
  for (const [id, count] of Object.entries(leftOut)) add(opKey(Number(id)), count);
  for (const { cause, type, op, count } of losses) {
    if (cause === DAMAGED && type !== null) add(`${type}.${op}`, count ?? 0);
  }
  const missing: Counts = new Map();
  for (const [id, rows] of rowsBetween(turningPoints(commits))) {
    const left = rows - (known.get(opKey(id)) ?? 0);
    if (left > 0) missing.set(opKey(id), left);
  }
  return missing;
}

/** Name of an op, `type.op`. */
function opKey(id: number): string {
  const op = OP_NAMES.get(id);
  return op === undefined ? '' : `${op.type}.${op.op}`;
}

function timesOf(batches: readonly BatchInfo[]): [first: bigint, last: bigint] {
  const [one] = batches;
  return [
    batches.reduce((a, b) => (b.firstTs < a ? b.firstTs : a), one?.firstTs ?? 0n),
    batches.reduce((a, b) => (b.lastTs > a ? b.lastTs : a), one?.lastTs ?? 0n),
  ];
}

/** What is missing as rows of losses.arrow; `whole` are batches that are there. */
export function damagedRows(
  { commits, problems }: Segment,
  missing: Counts | null,
  whole: readonly BatchInfo[],
): SmallRow[] {
  const ms = (at: number | undefined): bigint | null =>
    at === undefined ? null : BigInt(at) * 1_000_000n;
  const [firstTs, lastTs] = timesOf(whole);
  const from = ms(commits?.begin?.at) ?? firstTs;
  const to = ms(commits?.last?.at) ?? lastTs;
  if (missing === null) {
    return problems.length === 0 ? [] : [lossRow('store', DAMAGED, null, from, to)];
  }
  return [...missing].map(([key, rows]) => {
    const [type = null, op = null] = key.split('.');
    return { ...lossRow('store', DAMAGED, BigInt(rows), from, to), type, op };
  });
}

/** The point at which a segment begins; without its first commit line, what lies before its first row. */
export function beginOf(segment: Segment): CommitPoint | null {
  if (segment.commits?.header) return segment.commits.begin;
  const firsts = segment.types().flatMap((type) => segment.batches(type).map((b) => b.firstSeq));
  const first = firsts.reduce((a, b) => (b < a ? b : a), firsts[0] ?? 1n);
  return { ...noPoint(), through_seq: Number(first) - 1 };
}

/** The point at which a segment ends; without commit lines, its last row of `whole`. */
export function endOf({ commits }: Segment, whole: readonly BatchInfo[]): CommitPoint {
  const last = commits?.last;
  if (last) return pointOf(last);
  const through = whole.reduce((max, { lastSeq }) => (lastSeq > max ? lastSeq : max), 0n);
  return { ...noPoint(), through_seq: Number(through) };
}
