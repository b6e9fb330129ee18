// What a source hands over, row by row: dictionaries resolved, columns put together again.

import { EVENTS } from '../../schemas/events.ts';
import type { BatchItem, ColumnRegion, CutItem } from '../../src/event/batch.ts';
import { type NativeSource, native, type ResumePoint } from '../../src/source/binding.ts';

type Cell = bigint | number | string | readonly string[] | readonly bigint[] | null;

export type SourceRow = Readonly<Record<string, Cell>> & {
  readonly seq: bigint;
  readonly op: string;
};

/** The point at which a cut stands. */
export function pointOf(cut: CutItem): ResumePoint {
  const { rings, positions, ahead, consumed, lost, own, malformed, late, newest } = cut;
  return { rings, positions, ahead, consumed, lost, own, malformed, late, newest };
}

/** JSON with big numbers and arrays of them, and back. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, one) => {
    if (typeof one === 'bigint') return { $big: String(one) };
    if (one instanceof BigUint64Array) return { $bigs: [...one].map(String) };
    return one;
  });
}
export function fromJson(text: string): unknown {
  return JSON.parse(text, (_, one) => {
    if (one?.$big !== undefined) return BigInt(one.$big);
    if (one?.$bigs !== undefined) return BigUint64Array.from(one.$bigs, BigInt);
    return one;
  });
}

function listOf(view: DataView, { kind, data, inner, heap }: ColumnRegion, row: number): Cell {
  const [from, to] = [view.getInt32(data + 4 * row, true), view.getInt32(data + 4 * row + 4, true)];
  const places = Array.from({ length: to - from }, (_, i) => from + i);
  if (kind === 'u64s') return places.map((at) => view.getBigUint64(heap + 8 * at, true));
  return places.map((at) => {
    const start = view.getInt32(inner + 4 * at, true);
    const end = view.getInt32(inner + 4 * at + 4, true);
    return Buffer.from(view.buffer as ArrayBuffer, heap + start, end - start).toString();
  });
}

/** Takes what a source hands over. Lists are left out of the rows, where they are not asked for. */
export class RowTaker {
  readonly rows: SourceRow[] = [];
  readonly cuts: CutItem[] = [];
  readonly #source: NativeSource;
  readonly #dictionaries = new Map<string, string[]>();
  readonly #lists: boolean;

  constructor(source: NativeSource, lists = false) {
    this.#source = source;
    this.#lists = lists;
  }

  /** Takes all there is. */
  pump(): void {
    for (let item = this.#source.take(); item !== null; item = this.#source.take()) {
      if (item.kind === 'cut') {
        if (item.rotated) this.#dictionaries.clear();
        this.cuts.push(item);
      } else {
        this.#takeBatch(item);
        this.#source.release(item.slot);
      }
    }
  }

  /** After a rewind. */
  forgetDictionaries(): void {
    this.#dictionaries.clear();
  }

  #takeBatch(batch: BatchItem): void {
    const type = Object.keys(EVENTS)[batch.type - 1] ?? '';
    const dictionary = (column: number): string[] => {
      const key = `${type}.${column}`;
      const known = this.#dictionaries.get(key) ?? [];
      this.#dictionaries.set(key, known);
      return known;
    };
    for (const { column, values } of batch.newValues) dictionary(column).push(...values);
    const view = new DataView(this.#source.slotBuffer(batch.slot));
    const regions = native().columns(batch.type);
    for (let i = 0; i < batch.rows; i++) {
      const row: Record<string, Cell> = { type };
      regions.forEach((region, column) => {
        if (region.heap >= 0 && !this.#lists) return;
        const { validity, data } = region;
        if (validity >= 0 && ((view.getUint8(validity + (i >> 3)) >> (i & 7)) & 1) === 0) {
          row[region.name] = null;
          return;
        }
        switch (region.kind) {
          case 'u16':
            row[region.name] = view.getUint16(data + 2 * i, true);
            break;
          case 'dict16':
            row[region.name] = dictionary(column)[view.getUint16(data + 2 * i, true)] ?? '?';
            break;
          case 'u32':
            row[region.name] = view.getUint32(data + 4 * i, true);
            break;
          case 'i32':
            row[region.name] = view.getInt32(data + 4 * i, true);
            break;
          case 'dict32':
            row[region.name] = dictionary(column)[view.getInt32(data + 4 * i, true)] ?? '?';
            break;
          case 'u64':
            row[region.name] = view.getBigUint64(data + 8 * i, true);
            break;
          case 'texts':
          case 'u64s':
            row[region.name] = listOf(view, region, i);
            break;
          default:
            row[region.name] = view.getBigInt64(data + 8 * i, true);
        }
      });
      this.rows.push(row as SourceRow);
    }
  }
}
