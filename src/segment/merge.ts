// Merges the small batches of a segment into large ones as it is sealed. Dictionary indices stay as they
// are: the merged files have the same dictionaries.

import { join } from 'node:path';
import type { ColumnSpec, EventType } from '../../schemas/arrow.ts';
import { type Body, type ColumnBuffers, EMPTY } from './arrow-file.ts';
import { ArrowFileReader, type RawColumn } from './arrow-reader.ts';
import type { EventFiles, IndexRow } from './event-files.ts';
import { zonesOfBuffers } from './zones.ts';

const BATCH_ROWS = 65_536;

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.byteLength;
  }
  return out;
}

/** Joins validity bitmaps; an empty one means that nothing is null. */
function joinValidity(parts: readonly { bits: Uint8Array; rows: number }[]): Body {
  if (parts.every((part) => part.bits.length === 0)) return EMPTY;
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const out = new Uint8Array((rows + 7) >> 3);
  let at = 0;
  for (const { bits, rows: count } of parts) {
    for (let i = 0; i < count; i++, at++) {
      if (bits.length === 0 || ((bits[i >> 3] ?? 0) & (1 << (i & 7))) !== 0) {
        out[at >> 3] = (out[at >> 3] ?? 0) | (1 << (at & 7));
      }
    }
  }
  return { bytes: out };
}

/** Joins i32 offsets, each list of which counts from 0. */
function joinOffsets(parts: readonly { offsets: Uint8Array; count: number }[]): Body {
  const total = parts.reduce((sum, part) => sum + part.count, 0);
  const out = new Int32Array(total + 1);
  let at = 0;
  let base = 0;
  for (const { offsets, count } of parts) {
    const from = new Int32Array(offsets.buffer, offsets.byteOffset, count + 1);
    for (let i = 1; i <= count; i++) out[at + i] = base + (from[i] ?? 0);
    base = out[at + count] ?? base;
    at += count;
  }
  return { bytes: new Uint8Array(out.buffer) };
}

function joinColumn(spec: ColumnSpec, parts: readonly RawColumn[]): ColumnBuffers {
  const nodeSum = (i: number): { length: number; nulls: number } => ({
    length: parts.reduce((sum, part) => sum + (part.nodes[i]?.length ?? 0), 0),
    nulls: parts.reduce((sum, part) => sum + (part.nodes[i]?.nullCount ?? 0), 0),
  });
  const buffer = (part: RawColumn, i: number): Uint8Array => part.buffers[i] ?? new Uint8Array(0);
  const joined = (i: number): Body => ({ bytes: concat(parts.map((part) => buffer(part, i))) });
  const offsets = (i: number, node: number): Body =>
    joinOffsets(
      parts.map((part) => ({ offsets: buffer(part, i), count: part.nodes[node]?.length ?? 0 })),
    );
  const validity = joinValidity(
    parts.map((part) => ({ bits: buffer(part, 0), rows: part.nodes[0]?.length ?? 0 })),
  );
  switch (spec.type) {
    case 'texts':
      return {
        nodes: [nodeSum(0), nodeSum(1)],
        buffers: [validity, offsets(1, 0), EMPTY, offsets(3, 1), joined(4)],
      };
    case 'u64s':
      return {
        nodes: [nodeSum(0), nodeSum(1)],
        buffers: [validity, offsets(1, 0), EMPTY, joined(3)],
      };
    case 'bytes':
    case 'utf8':
      return { nodes: [nodeSum(0)], buffers: [validity, offsets(1, 0), joined(2)] };
    default:
      return { nodes: [nodeSum(0)], buffers: [validity, joined(1)] };
  }
}

const minBig = (values: readonly bigint[]): bigint => values.reduce((a, b) => (a < b ? a : b));
const maxBig = (values: readonly bigint[]): bigint => values.reduce((a, b) => (a > b ? a : b));

/** Appends batches of one type, each joined from as many as fit. `read` gives the columns of one. */
function joinBatches(
  type: EventType,
  index: readonly IndexRow[],
  to: EventFiles,
  read: (row: IndexRow) => Map<string, RawColumn>,
): void {
  const { table, dictionaries } = to.file(type);
  for (let first = 0; first < index.length; ) {
    let last = first;
    let rows = index[first]?.rows ?? 0;
    while (last + 1 < index.length && rows + (index[last + 1]?.rows ?? 0) <= BATCH_ROWS) {
      last++;
      rows += index[last]?.rows ?? 0;
    }
    const group = index.slice(first, last + 1);
    const parts = group.map(read);
    const columns = table.columns.map((spec) =>
      joinColumn(
        spec,
        parts.map((part) => part.get(spec.name) ?? { nodes: [], buffers: [] }),
      ),
    );
    to.append(type, rows, columns, {
      firstSeq: minBig(group.map((row) => row.firstSeq)),
      lastSeq: maxBig(group.map((row) => row.lastSeq)),
      firstTs: minBig(group.map((row) => row.firstTs)),
      lastTs: maxBig(group.map((row) => row.lastTs)),
      zones: zonesOfBuffers(table.columns, columns, rows, dictionaries),
    });
    first = last + 1;
  }
}

/**
 * Writes the rows of `from` (whose files lie in `directory`) into `to`, in large batches. Throws
 * TapioError where a batch is not as it was written.
 */
export function mergeSmallBatches(directory: string, from: EventFiles, to: EventFiles): void {
  for (const type of from.types()) {
    const { table, schema, dictionaries, writer } = from.file(type);
    const target = to.file(type, { table, schema });
    for (const [column, values] of dictionaries) target.dictionaries.set(column, values);
    const names = table.columns.map((column) => column.name);
    const committed = { length: writer.file.length, pieces: () => [] };
    const reader = new ArrowFileReader(join(directory, `${type}.arrow`), committed);
    try {
      const index = from.index.filter((row) => row.file === `${type}.arrow`);
      joinBatches(type, index, to, (row) => reader.read(row, names));
    } finally {
      reader.close();
    }
  }
}
