// The wire format of protobuf, read from messages that anybody may have made: what is none throws, and nothing is read twice.

import { TapioError } from '../errors.ts';

export const VARINT = 0;
export const FIXED64 = 1;
export const DELIMITED = 2;
const FIXED32 = 5;

const MORE = 0x80;
const BITS = 0x7f;
const VARINT_BYTES_MAX = 10;

/** The error for a message that is none. */
export function garbled(): TapioError {
  return new TapioError(
    'io',
    'the server sent what is no message of a recorder: check that --server names one',
  );
}

/** Goes through a message; 64-bit values are in two halves, as numbers cost less than BigInts. */
export class WireReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;
  /** Where what is read ends. */
  end: number;
  /** Of the value that was read last, from 0 to 2 ** 32 - 1. */
  low = 0;
  high = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = bytes.length;
  }

  /** Reads a varint into `low` and `high`; gives `low`. */
  varint(): number {
    const { bytes, end } = this;
    let at = this.at;
    let byte = at < end ? (bytes[at++] as number) : MORE;
    if (byte < MORE && at <= end) {
      this.at = at;
      this.high = 0;
      this.low = byte;
      return byte;
    }
    const last = Math.min(end, this.at + VARINT_BYTES_MAX);
    let low = byte & BITS;
    let high = 0;
    for (let shift = 7; at < last; shift += 7) {
      byte = bytes[at++] as number;
      const bits = byte & BITS;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else if (shift < 64) high |= bits << (shift - 32);
      if (byte < MORE) {
        this.at = at;
        this.low = low >>> 0;
        this.high = high >>> 0;
        return this.low;
      }
    }
    throw garbled();
  }

  /** Reads eight bytes into `low` and `high`. */
  fixed64(): void {
    const { at } = this;
    if (at + 8 > this.end) throw garbled();
    this.low = this.#view.getUint32(at, true);
    this.high = this.#view.getUint32(at + 4, true);
    this.at = at + 8;
  }

  /** Reads the length of what is delimited; gives where it ends. */
  delimited(): number {
    const length = this.varint();
    const end = this.at + length;
    if (this.high !== 0 || end > this.end) throw garbled();
    return end;
  }

  /** Passes over the value of a field that is not known. */
  skip(wire: number): void {
    if (wire === VARINT) this.varint();
    else if (wire === FIXED64) this.fixed64();
    else if (wire === DELIMITED) this.at = this.delimited();
    else if (wire === FIXED32 && this.at + 4 <= this.end) this.at += 4;
    else throw garbled();
  }

  /** The text from here to `to`, which is read then. */
  text(to: number): string {
    const { buffer, byteOffset } = this.bytes;
    const text = Buffer.from(buffer, byteOffset + this.at, to - this.at).toString();
    this.at = to;
    return text;
  }
}
