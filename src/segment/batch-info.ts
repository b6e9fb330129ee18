// What is known of each record batch without reading its rows: from index.arrow where the segment is
// sealed, from the commit lines while it is open, and from the rows themselves where neither is there.

import type { EventType } from '../../schemas/arrow.ts';
import type { ArrowFileReader } from './arrow-reader.ts';
import type { CommitLine, CommittedBatch } from './commits.ts';
import type { IndexRow } from './event-files.ts';
import type { TableRow } from './small-tables.ts';
import type { Zones } from './zones.ts';

/** One record batch of an event file. */
export interface BatchInfo {
  readonly type: EventType;
  readonly batch: number;
  readonly rows: number;
  readonly firstSeq: bigint;
  readonly lastSeq: bigint;
  /** ns since 1970. */
  readonly firstTs: bigint;
  readonly lastTs: bigint;
  readonly zones: Zones;
}

type Readers = ReadonlyMap<EventType, ArrowFileReader>;

/** Batches in file order, by type. */
export type BatchInfos = ReadonlyMap<EventType, readonly BatchInfo[]>;

/** An index row as a commit line has it. */
export function committedBatch(row: IndexRow): CommittedBatch {
  const { rows, firstSeq, lastSeq, firstTs, lastTs, zones } = row;
  return [rows, Number(firstSeq), Number(lastSeq), `${firstTs}`, `${lastTs}`, zones];
}

/** From the rows of index.arrow. */
export function batchesOfIndex(rows: readonly TableRow[], readers: Readers): BatchInfos {
  const out = new Map<EventType, BatchInfo[]>();
  for (const row of rows) {
    const type = String(row.file).replace('.arrow', '') as EventType;
    if (!readers.has(type)) continue;
    const list = out.get(type) ?? [];
    list.push({
      type,
      batch: Number(row.batch),
      rows: Number(row.rows),
      firstSeq: row.first_seq as bigint,
      lastSeq: row.last_seq as bigint,
      firstTs: row.first_ts as bigint,
      lastTs: row.last_ts as bigint,
      zones: JSON.parse(String(row.zones)) as Zones,
    });
    out.set(type, list);
  }
  return out;
}

/** From the commit lines; a type of which they do not name every batch is left out. */
export function batchesOfCommits(lines: readonly CommitLine[], readers: Readers): BatchInfos {
  const out = new Map<EventType, readonly BatchInfo[]>();
  for (const [type, reader] of readers) {
    const entries = lines.flatMap((line) => line.batches?.[`${type}.arrow`] ?? []);
    if (entries.length !== reader.batchCount) continue;
    out.set(
      type,
      entries.map(([rows, firstSeq, lastSeq, firstTs, lastTs, zones], batch) => ({
        type,
        batch,
        rows,
        firstSeq: BigInt(firstSeq),
        lastSeq: BigInt(lastSeq),
        firstTs: BigInt(firstTs),
        lastTs: BigInt(lastTs),
        zones,
      })),
    );
  }
  return out;
}

/** From the seq and ts of all rows of a type. */
export function batchesOfRows(type: EventType, reader: ArrowFileReader): BatchInfo[] {
  return Array.from({ length: reader.batchCount }, (_, batch) => {
    const raw = reader.read(batch, ['seq', 'ts']);
    const seqs = raw.get('seq')?.buffers[1] ?? new Uint8Array(0);
    const times = raw.get('ts')?.buffers[1] ?? new Uint8Array(0);
    const seq = new BigUint64Array(seqs.buffer, seqs.byteOffset, seqs.byteLength >> 3);
    const ts = new BigInt64Array(times.buffer, times.byteOffset, times.byteLength >> 3);
    return {
      type,
      batch,
      rows: reader.rows(batch),
      firstSeq: seq[0] ?? 0n,
      lastSeq: seq.at(-1) ?? 0n,
      firstTs: ts.reduce((a, b) => (a < b ? a : b), ts[0] ?? 0n),
      lastTs: ts.reduce((a, b) => (a > b ? a : b), ts[0] ?? 0n),
      zones: {},
    };
  });
}
