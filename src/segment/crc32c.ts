// CRC-32C (Castagnoli), as used by iSCSI and most storage formats.

import { crc32c as nodeRsCrc32c } from '@node-rs/crc32';

/** Checksum of `bytes`, going on from `previous` (0 to begin). */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  return nodeRsCrc32c(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), previous);
}

/** Eight hex digits, as they stand in commit lines. */
export function crcText(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
