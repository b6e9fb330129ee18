// What is known of each record batch without reading its rows: from index.arrow where the segment is
// sealed, from the commit lines while it is open, and from the rows themselves where neither is there.

import type { EventType, TableSpec } from '../../schemas/arrow.ts';
import type { Checksums } from './arrow-file.ts';
import type { ArrowFileReader, ReadableBatch } from './arrow-reader.ts';
import type { CommitLine, CommittedBatch } from './commits.ts';
import type { IndexRow } from './event-files.ts';
import { type TablePart, tableParts } from './small-tables.ts';
import type { Zones } from './zones.ts';

/** One record batch of an event file. */
export interface BatchInfo extends ReadableBatch {
  readonly type: EventType;
  readonly batch: number;
  readonly firstSeq: bigint;
  readonly lastSeq: bigint;
  /** ns since 1970. */
  readonly firstTs: bigint;
  readonly lastTs: bigint;
  readonly zones: Zones;
}

/** Checksums as text: base64 of the little-endian words; empty without any. */
export function checksumsText(checksums: Checksums | null): string {
  if (checksums === null) return '';
  const { buffer, byteOffset, byteLength } = checksums;
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64');
}

function checksumsOf(text: string): Checksums {
  const bytes = Buffer.from(text, 'base64');
  return Uint32Array.from({ length: bytes.length >> 2 }, (_, i) => bytes.readUInt32LE(i * 4));
}

/** An index row as a commit line has it. */
export function committedBatch(row: IndexRow): CommittedBatch {
  const { rows, firstSeq, lastSeq, firstTs, lastTs, zones } = row;
  return [
    rows,
    Number(firstSeq),
    Number(lastSeq),
    `${firstTs}`,
    `${lastTs}`,
    zones,
    row.offset,
    row.metadataLength,
    row.bodyLength,
    checksumsText(row.checksums),
  ];
}

/**
 * Batches of all types from index.arrow. Zones and checksums, which are most of it, are decoded when a predicate
 * or a reader wants them. Throws RangeError where it is no index.
 */
export function batchesOfIndex(
  reader: ArrowFileReader,
  table: TableSpec,
): Map<EventType, BatchInfo[]> {
  const out = new Map<EventType, BatchInfo[]>();
  for (const { rows, get } of tableParts(reader, table)) {
    for (let row = 0; row < rows; row++) {
      const type = String(get('file', row)).replace('.arrow', '') as EventType;
      const list = out.get(type) ?? [];
      list.push(indexedBatch(type, get, row));
      out.set(type, list);
    }
  }
  return out;
}

function indexedBatch(type: EventType, get: TablePart['get'], row: number): BatchInfo {
  const zones = lazily(() => JSON.parse(String(get('zones', row))) as Zones);
  const checksums = lazily(() => {
    const text = get('checksums', row);
    return text ? checksumsOf(String(text)) : null;
  });
  return {
    type,
    batch: Number(get('batch', row)),
    offset: Number(get('offset', row)),
    metadataLength: Number(get('metadata_length', row)),
    bodyLength: Number(get('body_length', row)),
    get checksums() {
      return checksums();
    },
    rows: Number(get('rows', row)),
    firstSeq: get('first_seq', row) as bigint,
    lastSeq: get('last_seq', row) as bigint,
    firstTs: get('first_ts', row) as bigint,
    lastTs: get('last_ts', row) as bigint,
    get zones() {
      return zones();
    },
  };
}

/** What is made when it is first asked for. */
function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** Batches of a type from commit lines; null where these do not say where they lie (the first recorders). */
export function batchesOfCommits(
  lines: readonly CommitLine[],
  type: EventType,
): BatchInfo[] | null {
  const entries = lines.flatMap((line) => line.batches?.[`${type}.arrow`] ?? []);
  if (entries.some(({ length }) => length < 10)) return null;
  return entries.map((entry, batch) => {
    const [rows, firstSeq, lastSeq, firstTs, lastTs, zones] = entry;
    const [, , , , , , offset, metadataLength, bodyLength, checksums] = entry;
    return {
      type,
      batch,
      offset,
      metadataLength,
      bodyLength,
      checksums: checksumsOf(checksums),
      rows,
      firstSeq: BigInt(firstSeq),
      lastSeq: BigInt(lastSeq),
      firstTs: BigInt(firstTs),
      lastTs: BigInt(lastTs),
      zones,
    };
  });
}

/**
 * Batches of a type from the seq and ts of all its rows. `onDamage` is told of those that cannot be read.
 */
export function batchesOfRows(
  type: EventType,
  reader: ArrowFileReader,
  onDamage: (error: unknown) => void,
): BatchInfo[] {
  return reader.places().flatMap((place, batch) => {
    try {
      const readable = { ...place, rows: reader.rowsOf(place), checksums: null };
      const raw = reader.read(readable, ['seq', 'ts']);
      const seqs = raw.get('seq')?.buffers[1] ?? new Uint8Array(0);
      const times = raw.get('ts')?.buffers[1] ?? new Uint8Array(0);
      const seq = new BigUint64Array(seqs.buffer, seqs.byteOffset, seqs.byteLength >> 3);
      const ts = new BigInt64Array(times.buffer, times.byteOffset, times.byteLength >> 3);
      const range = {
        firstSeq: seq[0] ?? 0n,
        lastSeq: seq.at(-1) ?? 0n,
        firstTs: ts.reduce((a, b) => (a < b ? a : b), ts[0] ?? 0n),
        lastTs: ts.reduce((a, b) => (a > b ? a : b), ts[0] ?? 0n),
      };
      return [{ ...readable, type, batch, ...range, zones: {} }];
    } catch (error) {
      onDamage(error);
      return [];
    }
  });
}
