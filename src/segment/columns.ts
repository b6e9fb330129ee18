// Column buffers of a batch, in Arrow's order: from the source's shared memory, and from small rows.

import type { ColumnSpec, TableSpec } from '../../schemas/arrow.ts';
import type { BatchItem, ColumnRegion } from '../event/batch.ts';
import { type Body, type ColumnBuffers, EMPTY, utf8Buffers } from './arrow-file.ts';
import { elementsOf } from './vectors.ts';

const WIDTHS = {
  u16: 2,
  u32: 4,
  u64: 8,
  i32: 4,
  i64: 8,
  dict16: 2,
  dict32: 4,
  texts: 4,
  u64s: 4,
  bytes: 4,
} as const;

/** Buffers of one column of a batch, as views of the slot's memory: nothing is copied. */
function slotColumn(
  region: ColumnRegion,
  index: number,
  batch: BatchItem,
  memory: ArrayBuffer,
): ColumnBuffers {
  const { rows } = batch;
  const zero = batch.nulls[index] === rows;
  const nulls = region.nullable ? (batch.nulls[index] ?? 0) : 0;
  const view = (offset: number, length: number): Uint8Array =>
    new Uint8Array(memory, offset, length);
  const validity: Body =
    nulls === 0 ? EMPTY : { bytes: view(region.validity, (rows + 7) >> 3), zero: nulls === rows };
  const isList = region.heap >= 0;
  const data: Body = {
    bytes: view(region.data, (rows + (isList ? 1 : 0)) * WIDTHS[region.kind]),
    zero,
  };
  const node = { length: rows, nulls };
  const inner = batch.inner[index] ?? 0;
  const heap = batch.heap[index] ?? 0;
  switch (region.kind) {
    case 'texts':
      return {
        nodes: [node, { length: inner, nulls: 0 }],
        buffers: [
          validity,
          data,
          EMPTY,
          { bytes: view(region.inner, (inner + 1) * 4) },
          { bytes: view(region.heap, heap) },
        ],
      };
    case 'u64s':
      return {
        nodes: [node, { length: inner, nulls: 0 }],
        buffers: [validity, data, EMPTY, { bytes: view(region.heap, inner * 8) }],
      };
    case 'bytes':
      return { nodes: [node], buffers: [validity, data, { bytes: view(region.heap, heap) }] };
    default:
      return { nodes: [node], buffers: [validity, data] };
  }
}

/** All columns of a batch that lies in a slot. */
export function slotColumns(
  batch: BatchItem,
  regions: readonly ColumnRegion[],
  memory: ArrayBuffer,
): ColumnBuffers[] {
  return regions.map((region, i) => slotColumn(region, i, batch, memory));
}

function countNulls(validity: Uint8Array, rows: number): number {
  if (validity.length === 0) return 0;
  let present = 0;
  for (let row = 0; row < rows; row++) present += ((validity[row >> 3] ?? 0) >> (row & 7)) & 1;
  return rows - present;
}

/** A column whose buffers, in Arrow's order, hold so many rows. */
export function columnOf(rows: number, buffers: readonly Uint8Array[]): ColumnBuffers {
  const [validity = EMPTY.bytes, data = EMPTY.bytes, ...rest] = buffers;
  const nulls = countNulls(validity, rows);
  const node = { length: rows, nulls };
  const isList = rest.length > 1;
  return {
    nodes: isList ? [node, { length: elementsOf(rows, buffers), nulls: 0 }] : [node],
    buffers: [
      nulls === 0 ? EMPTY : { bytes: validity, zero: nulls === rows },
      { bytes: data, zero: nulls === rows },
      ...rest.map((bytes) => ({ bytes })),
    ],
  };
}

/** A value of a small row. */
export type Cell = string | number | bigint | readonly string[] | null;
export type SmallRow = Readonly<Record<string, Cell>>;

function validityOf(cells: readonly Cell[]): { body: Body; nulls: number } {
  const bits = new Uint8Array((cells.length + 7) >> 3);
  let nulls = 0;
  cells.forEach((cell, i) => {
    if (cell === null) nulls++;
    else bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7));
  });
  return { body: nulls === 0 ? EMPTY : { bytes: bits }, nulls };
}

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
}

function textsBuffers(cells: readonly Cell[], validity: Body, nulls: number): ColumnBuffers {
  const lists = cells.map((cell) => (Array.isArray(cell) ? (cell as readonly string[]) : []));
  const offsets = new Int32Array(cells.length + 1);
  lists.forEach((list, i) => {
    offsets[i + 1] = (offsets[i] ?? 0) + list.length;
  });
  const inner = utf8Buffers(lists.flat());
  return {
    nodes: [{ length: cells.length, nulls }, ...inner.nodes],
    buffers: [validity, { bytes: bytesOf(offsets) }, ...inner.buffers],
  };
}

function smallColumn(spec: ColumnSpec, cells: readonly Cell[]): ColumnBuffers {
  const { body: validity, nulls } = validityOf(cells);
  const nodes = [{ length: cells.length, nulls }];
  const numbers = cells.map((cell) => (typeof cell === 'number' ? cell : 0));
  const bigs = cells.map((cell) => (typeof cell === 'bigint' ? cell : 0n));
  switch (spec.type) {
    case 'utf8': {
      const plain = utf8Buffers(cells.map((cell) => (typeof cell === 'string' ? cell : '')));
      return { nodes, buffers: [validity, ...plain.buffers.slice(1)] };
    }
    case 'texts':
      return textsBuffers(cells, validity, nulls);
    case 'u16':
      return { nodes, buffers: [validity, { bytes: bytesOf(Uint16Array.from(numbers)) }] };
    case 'u32':
      return { nodes, buffers: [validity, { bytes: bytesOf(Uint32Array.from(numbers)) }] };
    case 'u64':
      return { nodes, buffers: [validity, { bytes: bytesOf(BigUint64Array.from(bigs)) }] };
    case 'timestamp':
      return { nodes, buffers: [validity, { bytes: bytesOf(BigInt64Array.from(bigs)) }] };
    default:
      throw new Error(`small tables have no ${spec.type} columns`);
  }
}

/** Columns of a small table's rows; a cell that is missing is null. */
export function smallColumns(table: TableSpec, rows: readonly SmallRow[]): ColumnBuffers[] {
  return table.columns.map((spec) =>
    smallColumn(
      spec,
      rows.map((row) => row[spec.name] ?? null),
    ),
  );
}
