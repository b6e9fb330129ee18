// Encoded messages as parts of others: an event is a field of a batch, byte for byte as it is on its own.

import { FRAME_BYTES, type RawMessages } from '../raw/encoder.ts';

/** Field 1, of bytes that have a length. */
const EVENTS_TAG = 0x0a;
const MORE = 0x80;

function putLength(into: Buffer, at: number, length: number): number {
  let rest = length;
  let place = at;
  for (; rest >= MORE; rest >>>= 7) into[place++] = (rest & (MORE - 1)) | MORE;
  into[place++] = rest;
  return place;
}

/** The messages from `from` up to `to` as field 1 of a message; `tail`: its other fields, encoded. */
export function asField(messages: RawMessages, from: number, to: number, tail: Uint8Array): Buffer {
  const { bytes, ends } = messages;
  const begin = from === 0 ? 0 : (ends[from - 1] as number);
  const end = to === 0 ? 0 : (ends[to - 1] as number);
  // A tag and a length take no more than what stood before it.
  const out = Buffer.allocUnsafe(end - begin + tail.length);
  let [at, source] = [0, begin];
  for (let i = from; i < to; i++) {
    const last = ends[i] as number;
    out[at++] = EVENTS_TAG;
    at = putLength(out, at, last - source - FRAME_BYTES);
    bytes.copy(out, at, source + FRAME_BYTES, last);
    at += last - source - FRAME_BYTES;
    source = last;
  }
  out.set(tail, at);
  return out.subarray(0, at + tail.length);
}
