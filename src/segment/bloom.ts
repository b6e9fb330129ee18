// Bloom filters over the values of a column (B. H. Bloom, Space/Time Trade-offs in Hash Coding with Allowable
// Errors, 1970; two hashes make them all: Kirsch and Mitzenmacher, Less Hashing, Same Performance, 2006).
// What they are asked for and do not have is not there; of the rest about one in a hundred is not either.

import { crc32c } from './crc32c.ts';

const HASHES = 6;
const BITS_PER_VALUE = 10;
/** With fewer bits per value than this a filter says yes too often to be worth its bytes. */
const BITS_PER_VALUE_MIN = 5;
const BITS_MIN = 64;

/** The finaliser of MurmurHash3 (https://github.com/aappleby/smhasher, public domain). */
function mix(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Hash of a string, 32 bits. */
export function hashText(text: string): number {
  return mix(crc32c(Buffer.from(text)));
}

/** Hash of a number of up to 32 bits; negative ones are what they are as unsigned. */
export function hashNumber(value: number): number {
  return mix(Math.imul(value, 0x9e3779b1));
}

/** Most values that a filter of at most `bitsMax` bits is made of. */
export function capacityOf(bitsMax: number): number {
  return Math.floor(bitsMax / BITS_PER_VALUE_MIN);
}

/** A filter of at most `bitsMax` bits over hashes, base64. */
export function bloomOf(hashes: readonly number[], bitsMax: number): string {
  let bits = BITS_MIN;
  while (bits < hashes.length * BITS_PER_VALUE && bits * 2 <= bitsMax) bits *= 2;
  const bytes = new Uint8Array(bits >> 3);
  for (const hash of hashes) {
    const step = mix(hash) | 1;
    for (let i = 0, at = hash; i < HASHES; i++, at = (at + step) >>> 0) {
      const bit = at & (bits - 1);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
    }
  }
  return Buffer.from(bytes).toString('base64');
}

/** False where a value with this hash is not among those of a filter. What is no filter says true. */
export function mayHave(filter: string, hash: number): boolean {
  const bytes = Buffer.from(filter, 'base64');
  const bits = bytes.length * 8;
  if (bits < BITS_MIN || (bits & (bits - 1)) !== 0) return true;
  const step = mix(hash) | 1;
  for (let i = 0, at = hash; i < HASHES; i++, at = (at + step) >>> 0) {
    const bit = at & (bits - 1);
    if (((bytes[bit >> 3] ?? 0) & (1 << (bit & 7))) === 0) return false;
  }
  return true;
}
