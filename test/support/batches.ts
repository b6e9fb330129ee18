// Batches as the addon hands them over, made without it: the same slot memory, filled with random rows,
// beside the values that a reader must give back.

import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { EVENTS } from '../../schemas/events.ts';
import type { BatchItem, ColumnRegion, NewValues } from '../../src/event/batch.ts';
import type { Value } from '../../src/segment/vectors.ts';

const KINDS = { name: 'dict16', text: 'dict32', timestamp: 'i64' } as const;
const WIDTHS = { u16: 2, dict16: 2, u64: 8, i64: 8 } as const;
const ALIGN = 64;

const WORDS = [
  '',
  'a',
  'nginx',
  '/var/log/messages',
  'löyly',
  '日本',
  '\\x80\\\\',
  '🦫',
  'x'.repeat(300),
];

/** Deterministic numbers in [0, 1). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A batch in memory of its own, and what is in it: [row][column]. */
export interface MadeBatch {
  readonly type: EventType;
  readonly item: BatchItem;
  readonly regions: readonly ColumnRegion[];
  readonly memory: ArrayBuffer;
  readonly rows: readonly (readonly Value[])[];
}

function kindOf(type: string): ColumnRegion['kind'] {
  return KINDS[type as keyof typeof KINDS] ?? (type as ColumnRegion['kind']);
}

const isList = (kind: ColumnRegion['kind']): boolean =>
  kind === 'texts' || kind === 'u64s' || kind === 'bytes';

/** Makes the batches of one segment: seq and ts go on from batch to batch, dictionaries grow. */
export class BatchMaker {
  readonly #random: () => number;
  readonly #dictionaries = new Map<string, Map<string, number>>();
  #seq = 1n;
  #ts: bigint;
  #late = true;

  /** `ts`: where the times begin, ns. */
  constructor(seed: number, ts = 1_795_000_000_000_000_000n) {
    this.#random = random(seed);
    this.#ts = ts;
  }

  /** A new segment begins: its dictionaries are empty, seq and ts go on. */
  beginSegment(): void {
    this.#dictionaries.clear();
    this.#late = this.#random() < 0.5;
  }

  /** A batch of `count` random rows; a nullable column may be untouched, mixed or full. */
  make(type: EventType, count: number): MadeBatch {
    const columns = EVENT_TABLES[type].columns;
    const cells = columns.map((column) => {
      const nulls = column.nullable ? [0, 0.5, 1][this.#below(3)] : 0;
      return Array.from({ length: count }, () =>
        this.#random() < (nulls ?? 0) ? null : this.#value(type, column.name, column.type),
      );
    });
    return this.#lay(type, count, cells);
  }

  /** A batch of rows that are given, by column name; seq goes on. */
  of(type: EventType, rows: readonly Readonly<Record<string, Value>>[]): MadeBatch {
    const seqs = rows.map(() => this.#seq++);
    const cells = EVENT_TABLES[type].columns.map(({ name }) =>
      rows.map((row, i) => (name === 'seq' ? (seqs[i] as bigint) : (row[name] ?? null))),
    );
    return this.#lay(type, rows.length, cells);
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #value(of: EventType, name: string, type: string): Value {
    if (name === 'seq') return this.#seq++;
    if (name === 'op') {
      const ops = Object.keys(EVENTS[of].ops);
      return ops[this.#below(ops.length)] ?? '';
    }
    if (name === 'ts') {
      // Rows that came out late make ts go back.
      this.#ts += BigInt(this.#below(1000) - (this.#late ? 10 : 0));
      return this.#ts;
    }
    switch (type) {
      case 'u16':
        return this.#below(2 ** 16);
      case 'u32':
        return this.#below(2 ** 32);
      case 'i32':
        return this.#below(2 ** 32) - 2 ** 31;
      case 'u64':
        return BigInt(this.#below(2 ** 32)) << BigInt(this.#below(33));
      case 'i64':
        return (BigInt(this.#below(2 ** 32)) << 31n) - 2n ** 62n;
      case 'texts':
        return Array.from({ length: this.#below(4) }, () => this.#word());
      case 'u64s':
        return Array.from({ length: this.#below(7) }, () => BigInt(this.#below(2 ** 32)) << 32n);
      case 'bytes':
        return Uint8Array.from({ length: this.#below(20) }, () => this.#below(256));
      default:
        return this.#word();
    }
  }

  #word(): string {
    return WORDS[this.#below(WORDS.length)] ?? `word-${this.#below(1000)}`;
  }

  #lay(type: EventType, count: number, cells: readonly (readonly Value[])[]): MadeBatch {
    const { columns } = EVENT_TABLES[type];
    const memory = new ArrayBuffer(columns.length * (count * 16 + 4096) + heapBytes(cells));
    const nulls = new Uint32Array(columns.length);
    const inner = new Uint32Array(columns.length);
    const heap = new Uint32Array(columns.length);
    const newValues: NewValues[] = [];
    let at = 0;
    const place = (bytes: number): number => {
      const offset = at;
      at = Math.ceil((at + bytes) / ALIGN) * ALIGN;
      return offset;
    };
    const regions = columns.map((column, i): ColumnRegion => {
      const kind = kindOf(column.type);
      const values = cells[i] ?? [];
      const width = WIDTHS[kind as keyof typeof WIDTHS] ?? 4;
      const validity = column.nullable ? place((count + 7) >> 3) : -1;
      const data = place((count + (isList(kind) ? 1 : 0)) * width);
      const missing = values.filter((value) => value === null).length;
      if (validity >= 0) {
        const bits = new Uint8Array(memory, validity, (count + 7) >> 3);
        values.forEach((value, row) => {
          if (value !== null) bits[row >> 3] = (bits[row >> 3] ?? 0) | (1 << (row & 7));
        });
      }
      const region = { name: column.name, kind, nullable: column.nullable, validity, data };
      let list = { inner: -1, heap: -1 };
      if (isList(kind)) {
        const laid = layList(memory, kind, data, values, place);
        [inner[i], heap[i]] = [laid.innerCount, laid.heapBytes];
        list = { inner: laid.inner, heap: laid.heap };
      } else if (kind === 'dict16' || kind === 'dict32') {
        const fresh = this.#intern(`${type}.${column.name}`, values, kind, memory, data);
        if (fresh.length > 0) newValues.push({ column: i, values: fresh });
      } else {
        layNumbers(memory, kind, data, values);
      }
      const bytes = new Uint8Array(memory, data, count * width);
      nulls[i] = column.nullable ? missing : bytes.every((byte) => byte === 0) ? count : 0;
      return { ...region, ...list };
    });
    const column = (name: string): bigint[] =>
      (cells[columns.findIndex((one) => one.name === name)] ?? []) as bigint[];
    const [seq, ts] = [column('seq'), column('ts')];
    const item: BatchItem = {
      kind: 'batch',
      slot: 0,
      type: EVENT_TYPES.indexOf(type) + 1,
      rows: count,
      firstSeq: seq[0] ?? 0n,
      lastSeq: seq.at(-1) ?? 0n,
      firstTs: ts.reduce((a, b) => (a < b ? a : b)),
      lastTs: ts.reduce((a, b) => (a > b ? a : b)),
      nulls,
      inner,
      heap,
      newValues,
    };
    const rows = Array.from({ length: count }, (_, row) =>
      columns.map((_column, i) => cells[i]?.[row] ?? null),
    );
    return { type, item, regions, memory, rows };
  }

  #intern(
    key: string,
    values: readonly Value[],
    kind: 'dict16' | 'dict32',
    memory: ArrayBuffer,
    data: number,
  ): string[] {
    const known = this.#dictionaries.get(key) ?? new Map<string, number>();
    this.#dictionaries.set(key, known);
    const fresh: string[] = [];
    const out =
      kind === 'dict16'
        ? new Uint16Array(memory, data, values.length)
        : new Int32Array(memory, data, values.length);
    values.forEach((value, row) => {
      if (value === null) return;
      const text = String(value);
      let index = known.get(text);
      if (index === undefined) {
        index = known.size;
        known.set(text, index);
        fresh.push(text);
      }
      out[row] = index;
    });
    return fresh;
  }
}

function heapBytes(cells: readonly (readonly Value[])[]): number {
  let bytes = 0;
  for (const cell of cells.flat()) {
    if (cell instanceof Uint8Array) bytes += cell.length;
    else if (Array.isArray(cell)) {
      for (const one of cell) bytes += 12 + (typeof one === 'string' ? Buffer.byteLength(one) : 0);
    }
  }
  return bytes;
}

function layNumbers(
  memory: ArrayBuffer,
  kind: ColumnRegion['kind'],
  data: number,
  values: readonly Value[],
): void {
  const view = new DataView(memory);
  values.forEach((value, row) => {
    if (value === null) return;
    if (kind === 'u16') view.setUint16(data + row * 2, value as number, true);
    else if (kind === 'u32') view.setUint32(data + row * 4, value as number, true);
    else if (kind === 'i32') view.setInt32(data + row * 4, value as number, true);
    else if (kind === 'u64') view.setBigUint64(data + row * 8, value as bigint, true);
    else view.setBigInt64(data + row * 8, value as bigint, true);
  });
}

function layList(
  memory: ArrayBuffer,
  kind: ColumnRegion['kind'],
  data: number,
  values: readonly Value[],
  place: (bytes: number) => number,
): { inner: number; heap: number; innerCount: number; heapBytes: number } {
  const offsets = new Int32Array(memory, data, values.length + 1);
  const lists = values.map((value) => (value === null ? [] : [...(value as readonly unknown[])]));
  lists.forEach((list, row) => {
    offsets[row + 1] = (offsets[row] ?? 0) + list.length;
  });
  const flat = lists.flat();
  if (kind === 'bytes') {
    const heap = place(flat.length);
    new Uint8Array(memory, heap, flat.length).set(flat as number[]);
    return { inner: -1, heap, innerCount: 0, heapBytes: flat.length };
  }
  if (kind === 'u64s') {
    const heap = place(flat.length * 8);
    new BigUint64Array(memory, heap, flat.length).set(flat as bigint[]);
    return { inner: -1, heap, innerCount: flat.length, heapBytes: flat.length * 8 };
  }
  const encoded = flat.map((text) => Buffer.from(String(text), 'utf8'));
  const bytes = Buffer.concat(encoded);
  const inner = place((flat.length + 1) * 4);
  const heap = place(bytes.length);
  const ends = new Int32Array(memory, inner, flat.length + 1);
  encoded.forEach((one, i) => {
    ends[i + 1] = (ends[i] ?? 0) + one.length;
  });
  new Uint8Array(memory, heap, bytes.length).set(bytes);
  return { inner, heap, innerCount: flat.length, heapBytes: bytes.length };
}
