// When the store cannot be written: which failures are waited out, under which name, and what is said.

import { existsSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { LossCauseName } from '../../schemas/losses.ts';
import { systemCode, TapioError } from '../errors.ts';
import { GONE_PREFIX } from '../segment/file-names.ts';
import type { StoreFiles } from '../segment/files.ts';
import { segmentsOf } from '../segment/store.ts';

/** A time in which the store could not be written. */
export interface Outage {
  readonly cause: LossCauseName;
  /** When it began, ms since 1970. */
  readonly since: number;
}

const CAUSES: Readonly<Record<string, LossCauseName>> = {
  ENOSPC: 'no_space',
  EDQUOT: 'quota',
  EIO: 'io_error',
  EROFS: 'read_only',
};

const SENTENCES: Readonly<Partial<Record<LossCauseName, string>>> = {
  no_space: 'the disk of the store is full: make room there, or lower --max-bytes',
  quota: 'the disk quota is used up: raise it, or lower --max-bytes',
  io_error: 'the disk of the store fails (EIO): see the kernel log',
  read_only: 'the file system of the store is read-only: see the kernel log, and mount it writable',
};

/** Room from which writing is tried again: this much, or this share of a small file system. */
const ROOM_BYTES = 16 << 20;
const ROOM_SHARE = 0.05;

/** Which outage an error of the file system means; throws what cannot be waited out. */
export function outageOf(error: unknown, store: string): LossCauseName {
  if (!existsSync(segmentsOf(store))) throw storeGone(store);
  const cause = CAUSES[systemCode(error) ?? ''];
  if (cause === undefined) throw error;
  return cause;
}

/** The error for a store whose directory is not there any more. */
export function storeGone(store: string): TapioError {
  return new TapioError(
    'io',
    `the store ${store} is gone (removed, or its disk unmounted): bring it back, or choose another --store, and start again`,
  );
}

/** What the user is told as it begins. */
export function outageText(cause: LossCauseName): string {
  return `${SENTENCES[cause]}; recording goes on into the rings, and is stored when it can be`;
}

/** True where a file system has room enough to try again. */
export function hasRoom(store: string): boolean {
  const { bavail, blocks, bsize } = statfsSync(store);
  return bavail * bsize >= Math.min(ROOM_BYTES, blocks * bsize * ROOM_SHARE);
}

/** A name that a start removes, should it be left behind. */
const PROBE = `${GONE_PREFIX}probe`;
const PROBE_BYTES = 1 << 16;

/** Writes and removes a file, durably: throws what the file system throws. */
export function probeStore(files: StoreFiles, segments: string): void {
  const path = join(segments, PROBE);
  files.remove(path);
  const file = files.create(path);
  try {
    file.append([Buffer.alloc(PROBE_BYTES, 1)]);
    file.sync();
  } finally {
    file.close();
  }
  files.syncDirectory(segments);
  files.remove(path);
}
