// Bytes of the kernel as text, the way the native decoder writes them: what is not UTF-8 becomes \xHH,
// and a backslash is doubled, so that the bytes can be had back.

import { isUtf8 } from 'node:buffer';

const BACKSLASH = 0x5c;

/** Length that a UTF-8 sequence with this first byte has; 1 where it can begin none. */
function sequenceLength(first: number): number {
  if (first < 0xc0) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

/** The reversible text of bytes. */
export function reversibleText(bytes: Uint8Array): string {
  if (!bytes.includes(BACKSLASH) && isUtf8(bytes)) return Buffer.from(bytes).toString('utf8');
  let out = '';
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] ?? 0;
    const length = sequenceLength(first);
    const sequence = bytes.subarray(at, at + length);
    if (sequence.length === length && isUtf8(sequence)) {
      out += first === BACKSLASH ? '\\\\' : Buffer.from(sequence).toString('utf8');
      at += length;
    } else {
      out += `\\x${first.toString(16).padStart(2, '0')}`;
      at++;
    }
  }
  return out;
}
