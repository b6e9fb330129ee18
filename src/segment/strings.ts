// The strings of a dictionary column, as bytes until somebody wants one.

/** Arrow's layout: string i is data[offsets[i] … offsets[i + 1]), UTF-8; one offset more than strings. */
export interface StringBuffers {
  readonly offsets: Int32Array;
  readonly data: Uint8Array;
}

/** Bytes of a column must be there for all of its rows: what is cut is damage, never null. */
export function atLeast(bytes: Uint8Array, length: number): void {
  if (bytes.byteLength < length) throw new RangeError('a buffer is too short for its rows');
}

/** Offsets of `count` values must go up, and end within what they point into. Throws RangeError. */
export function checkedOffsets(bytes: Uint8Array, count: number, limit: number): Int32Array {
  if (count > 0) atLeast(bytes, (count + 1) * 4);
  const all = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
  const offsets = all.subarray(0, count + 1);
  let before = 0;
  for (const offset of offsets) {
    if (offset < before || offset > limit) throw new RangeError('a value lies outside its buffer');
    before = offset;
  }
  return offsets;
}

/** Strings by index; each is decoded once, when it is first asked for. */
export class Strings {
  readonly buffers: StringBuffers;
  readonly #bytes: Buffer;
  readonly #decoded: (string | undefined)[] = [];

  constructor(buffers: StringBuffers) {
    this.buffers = buffers;
    const { data } = buffers;
    this.#bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  }

  /** Strings from a dictionary log. */
  static of(values: readonly string[]): Strings {
    const offsets = new Int32Array(values.length + 1);
    const parts = values.map((value) => Buffer.from(value));
    parts.forEach((part, i) => {
      offsets[i + 1] = (offsets[i] ?? 0) + part.length;
    });
    return new Strings({ offsets, data: Buffer.concat(parts) });
  }

  get length(): number {
    return Math.max(0, this.buffers.offsets.length - 1);
  }

  /** The string of an index below `length`; undefined beyond. */
  at(index: number): string | undefined {
    if (index >= this.length) return undefined;
    let text = this.#decoded[index];
    if (text === undefined) {
      const { offsets } = this.buffers;
      text = this.#bytes.toString('utf8', offsets[index], offsets[index + 1]);
      this.#decoded[index] = text;
    }
    return text;
  }

  /** All of them, in order. */
  all(): string[] {
    return Array.from({ length: this.length }, (_, i) => this.at(i) ?? '');
  }
}
