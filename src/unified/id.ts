// Ids of events: the same row has the same one whenever and from wherever it is sent, also after a crash, so that a
// receiver can tell repeats. They are made of the boot, the CPU, the time, the op and the thread, which name a row.

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}

function mix(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

const [C1, C2, C3, C4] = [0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93] as const;

/** Four words of 32 bits. */
export type Words = readonly [number, number, number, number];

/**
 * MurmurHash3_x86_128 of four words (Austin Appleby, public domain: https://github.com/aappleby/smhasher), with a
 * seed for each lane.
 */
export function hashWords([k1, k2, k3, k4]: Words, seeds: Words): Words {
  let [h1, h2, h3, h4]: number[] = [...seeds];
  h1 = (h1 as number) ^ Math.imul(rotate(Math.imul(k1, C1), 15), C2);
  h1 = (Math.imul((rotate(h1, 19) + (h2 as number)) | 0, 5) + 0x561ccd1b) | 0;
  h2 = (h2 as number) ^ Math.imul(rotate(Math.imul(k2, C2), 16), C3);
  h2 = (Math.imul((rotate(h2, 17) + (h3 as number)) | 0, 5) + 0x0bcaa747) | 0;
  h3 = (h3 as number) ^ Math.imul(rotate(Math.imul(k3, C3), 17), C4);
  h3 = (Math.imul((rotate(h3, 15) + (h4 as number)) | 0, 5) + 0x96cd1c35) | 0;
  h4 = (h4 as number) ^ Math.imul(rotate(Math.imul(k4, C4), 18), C1);
  h4 = (Math.imul((rotate(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  [h1, h2, h3, h4] = [h1 ^ 16, h2 ^ 16, h3 ^ 16, h4 ^ 16];
  h1 = (h1 + h2 + h3 + h4) | 0;
  [h2, h3, h4] = [(h2 + h1) | 0, (h3 + h1) | 0, (h4 + h1) | 0];
  [h1, h2, h3, h4] = [mix(h1), mix(h2), mix(h3), mix(h4)];
  h1 = (h1 + h2 + h3 + h4) | 0;
  return [h1, (h2 + h1) | 0, (h3 + h1) | 0, (h4 + h1) | 0];
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

const HEX = Array.from({ length: 1 << 16 }, (_, i) => i.toString(16).padStart(4, '0'));
const hex = (word: number): string => (HEX[word >>> 16] as string) + (HEX[word & 0xffff] as string);

/** 32 lower hex digits. */
export function hexOf([a, b, c, d]: Words): string {
  return hex(a) + hex(b) + hex(c) + hex(d);
}
