// A file system without room.

import { closeSync, openSync, writeSync } from 'node:fs';

/** Fills a file system to its last byte, by a file of this path. */
export function fill(path: string): void {
  const fd = openSync(path, 'w');
  for (let bytes = 1 << 20; bytes > 0; ) {
    try {
      writeSync(fd, Buffer.alloc(bytes));
    } catch {
      bytes >>= 1;
    }
  }
  closeSync(fd);
}
