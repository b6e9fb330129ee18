// Ids of events: the same row has the same one whenever and from wherever it is sent, also after a crash, so that a
// receiver can tell repeats. They are made of the boot, the CPU, the time, the op and the thread, which name a row.

import * as out from './text.ts';

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}

function mix(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93;
/** Of the input. */
const BYTES = 16;

/** Four words of 32 bits. */
export type Words = readonly [number, number, number, number];

/**
 * MurmurHash3_x86_128 of four words (Austin Appleby, public domain: https://github.com/aappleby/smhasher), with a
 * seed for each lane. With the same seeds no two inputs give the same result: each step can be undone.
 */
export function hashWords(words: Words, seeds: Words): Words {
  const out = new Int32Array(4);
  hashInto(out, words[0], words[1], words[2], words[3], seeds);
  return [out[0] as number, out[1] as number, out[2] as number, out[3] as number];
}

function hashInto(
  out: Int32Array,
  k1: number,
  k2: number,
  k3: number,
  k4: number,
  seeds: Words,
): void {
  let h1 = seeds[0];
  let h2 = seeds[1];
  let h3 = seeds[2];
  let h4 = seeds[3];
  h1 ^= Math.imul(rotate(Math.imul(k1, C1), 15), C2);
  h1 = (Math.imul((rotate(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
  h2 ^= Math.imul(rotate(Math.imul(k2, C2), 16), C3);
  h2 = (Math.imul((rotate(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
  h3 ^= Math.imul(rotate(Math.imul(k3, C3), 17), C4);
  h3 = (Math.imul((rotate(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
  h4 ^= Math.imul(rotate(Math.imul(k4, C4), 18), C1);
  h4 = (Math.imul((rotate(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  h1 ^= BYTES;
  h2 ^= BYTES;
  h3 ^= BYTES;
  h4 ^= BYTES;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = mix((h2 + h1) | 0);
  h3 = mix((h3 + h1) | 0);
  h4 = mix((h4 + h1) | 0);
  h1 = mix(h1);
  h1 = (h1 + h2 + h3 + h4) | 0;
  out[0] = h1;
  out[1] = h2 + h1;
  out[2] = h3 + h1;
  out[3] = h4 + h1;
}

/** Words of a text, such as a boot id. */
export function wordsOf(text: string): Words {
  let words: Words = [0, 0, 0, 0];
  const bytes = Buffer.from(text);
  const padded = Buffer.concat([bytes, Buffer.alloc((16 - (bytes.length % 16)) % 16)]);
  for (let at = 0; at < padded.length; at += 16) {
    const block = [0, 4, 8, 12].map((word) => padded.readInt32LE(at + word));
    words = hashWords(block as unknown as Words, words);
  }
  return words;
}

const HASHED = new Int32Array(4);

/** Writes the 32 lower hex digits of a row: of the words that name it, with its boot as seeds. */
export function writeId(k1: number, k2: number, k3: number, k4: number, seeds: Words): void {
  const h = HASHED;
  hashInto(h, k1, k2, k3, k4, seeds);
  out.hex(h[0] as number);
  out.hex(h[1] as number);
  out.hex(h[2] as number);
  out.hex(h[3] as number);
}
