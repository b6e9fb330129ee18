// Which segments have to go so that the store keeps within its limits, and how they go: marked in the
// catalogue, renamed, removed, forgotten. A start finishes what is found half done.

import { existsSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { CatalogCache } from '../catalog/cache.ts';
import { GONE_PREFIX } from '../segment/file-names.ts';
import type { StoreFiles } from '../segment/files.ts';

/** What a store may take. */
export interface RetentionLimits {
  readonly bytesMax: number;
  /** Age of a segment's last row, ms. */
  readonly ageMaxMs: number;
  /** What must stay free on the disk: bytes, or a share of it. */
  readonly freeMin: { readonly bytes: number } | { readonly share: number };
}

/** A sealed segment. */
export interface HeldSegment {
  readonly name: string;
  readonly bytes: number;
  /** Wall clock of its last row, ms since 1970. */
  readonly lastMs: number;
}

/** What the disk says, bytes. */
export interface Disk {
  readonly total: number;
  readonly free: number;
}

/** At most so many are removed at a time, behind one sync of their directory. */
export const RETIRED_AT_ONCE = 32;

/** How many of the oldest segments have to go; `open` is what the segment being written takes, bytes. */
export function countToRetire(
  held: readonly HeldSegment[],
  heldBytes: number,
  open: number,
  disk: Disk,
  nowMs: number,
  limits: RetentionLimits,
): number {
  const { bytesMax, ageMaxMs, freeMin } = limits;
  const wanted = 'bytes' in freeMin ? freeMin.bytes : freeMin.share * disk.total;
  let bytes = heldBytes + open;
  let free = disk.free;
  let count = 0;
  for (const segment of held) {
    const tooOld = nowMs - segment.lastMs > ageMaxMs;
    if (bytes <= bytesMax && free >= wanted && !tooOld) break;
    bytes -= segment.bytes;
    free += segment.bytes;
    count++;
  }
  return count;
}

/** The sealed segments of a store, oldest first, and their removal. */
export class Retention {
  readonly #files: StoreFiles;
  readonly #segments: string;
  readonly #limits: RetentionLimits;
  /** The oldest are at the front; those before #first are gone. */
  #held: HeldSegment[];
  #first = 0;
  /** Renamed, and not removed yet. */
  readonly #leaving: HeldSegment[] = [];
  #bytes: number;
  #disk: Disk | null = null;

  constructor(
    files: StoreFiles,
    segments: string,
    limits: RetentionLimits,
    held: readonly HeldSegment[],
  ) {
    this.#files = files;
    this.#segments = segments;
    this.#limits = limits;
    this.#held = [...held];
    this.#bytes = held.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Bytes of the sealed segments. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What the disk said last. */
  get disk(): Disk | null {
    return this.#disk;
  }

  add(segment: HeldSegment): void {
    this.#held.push(segment);
    this.#bytes += segment.bytes;
  }

  /**
   * Removes what has to go, a few at a time; `open` as above, of what is committed. `needed`: at least one
   * must go, because a write has failed for want of room. Gives how many went. Throws what the file system throws.
   */
  step(catalog: CatalogCache | null, open: number, nowMs: number, needed = false): number {
    this.#finish(catalog);
    const { blocks, bavail, bsize } = statfsSync(this.#segments);
    const disk = { total: blocks * bsize, free: bavail * bsize };
    this.#disk = disk;
    // Where nothing is committed after it, the newest says where the recording stands: it stays.
    const end = this.#held.length - (open > 0 ? 0 : 1);
    const held = this.#held.slice(this.#first, Math.min(end, this.#first + RETIRED_AT_ONCE));
    const due = countToRetire(held, this.#bytes, open, disk, nowMs, this.#limits);
    const going = held.slice(0, needed ? Math.max(1, due) : due);
    for (const { name } of going) catalog?.retire(name);
    for (const segment of going) {
      const path = join(this.#segments, segment.name);
      // Somebody may have removed it by hand.
      if (existsSync(path)) this.#files.rename(path, this.#gone(segment));
      this.#leaving.push(segment);
      this.#first++;
      this.#bytes -= segment.bytes;
    }
    this.#finish(catalog);
    if (this.#first > 1024) this.#held = this.#held.slice(this.#first);
    if (this.#first > 1024) this.#first = 0;
    return going.length;
  }

  /** Removes those whose names are gone, also of an earlier step that failed. */
  #finish(catalog: CatalogCache | null): void {
    if (this.#leaving.length === 0) return;
    // A power cut must not bring a name back whose files are gone.
    this.#files.syncDirectory(this.#segments);
    for (let segment = this.#leaving[0]; segment !== undefined; segment = this.#leaving[0]) {
      this.#files.remove(this.#gone(segment));
      catalog?.removeSegment(segment.name);
      this.#leaving.shift();
    }
  }

  /** The name under which it is removed; a start removes what it finds of that name. */
  #gone({ name }: HeldSegment): string {
    return join(this.#segments, `${GONE_PREFIX}${name}`);
  }
}
