// What a source hands over, row by row: dictionaries resolved, columns put together again.

import { EVENTS } from '../../schemas/events.ts';
import type { BatchItem, CutItem } from '../../src/event/batch.ts';
import { type NativeSource, native, type ResumePoint } from '../../src/source/binding.ts';

export type SourceRow = Readonly<Record<string, bigint | number | string | null>> & {
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

/** Takes what a source hands over. Lists are left out of the rows. */
export class RowTaker {
  readonly rows: SourceRow[] = [];
  readonly cuts: CutItem[] = [];
  readonly #source: NativeSource;
  readonly #dictionaries = new Map<string, string[]>();

  constructor(source: NativeSource) {
    this.#source = source;
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
      const row: Record<string, bigint | number | string | null> = { type };
      regions.forEach((region, column) => {
        if (region.inner >= 0 || region.heap >= 0) return;
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
          default:
            row[region.name] = view.getBigInt64(data + 8 * i, true);
        }
      });
      this.rows.push(row as SourceRow);
    }
  }
}
