// store.json: what the segments of a store do not imply. Its id names the store's rings in the kernel, and
// the recording that was last begun says whether it ended by itself.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FORMAT_VERSION } from '../../schemas/events.ts';
import { TapioError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { replaceFile, type StoreFiles } from './files.ts';

const FILE = 'store.json';

/** The recording that was last begun in a store. */
export interface LastRecording {
  readonly id: string;
  readonly boot_id: string;
  /** Wall clock, ms since 1970; `ended` is null while it goes on, and after it died. */
  readonly began: number;
  readonly ended: number | null;
  /** Where it follows one that died: since when rows are missing, which its first commit tells. */
  readonly lost_since?: number | null;
}

export interface StoreFile {
  readonly format: number;
  /** Version of the recorder that wrote this. */
  readonly recorder: string;
  readonly id: string;
  readonly recording: LastRecording | null;
}

/**
 * Reads the file of a store; one that is missing or garbled is as good as new. Throws TapioError
 * `store_newer` for a store of a format that we do not know.
 */
export function readStoreFile(store: string): StoreFile {
  const found = parse(store);
  if (found !== null && found.format > FORMAT_VERSION) {
    throw new TapioError(
      'store_newer',
      `the store ${store} is of format ${found.format}, and this version knows up to ${FORMAT_VERSION}: use tapio-record ${found.recorder} or later, or another --store`,
    );
  }
  return found ?? { format: FORMAT_VERSION, recorder: VERSION, id: randomUUID(), recording: null };
}

function textOf(store: string): string | null {
  try {
    return readFileSync(join(store, FILE), 'utf8');
  } catch {
    return null;
  }
}

function parse(store: string): StoreFile | null {
  try {
    const read = JSON.parse(textOf(store) ?? '') as Partial<StoreFile>;
    const whole = typeof read.id === 'string' && typeof read.format === 'number';
    return whole && /^[\w-]+$/.test(read.id ?? '') ? (read as StoreFile) : null;
  } catch {
    return null;
  }
}

/**
 * Writes which recording goes on or has ended, null where none was recorded here; durable when it returns.
 * Where that is said already it takes no room: a recorder that was killed goes on although its disk is full.
 */
export function writeStoreFile(
  files: StoreFiles,
  store: string,
  id: string,
  recording: LastRecording | null,
): void {
  const content: StoreFile = { format: FORMAT_VERSION, recorder: VERSION, id, recording };
  const text = `${JSON.stringify(content)}\n`;
  const path = join(store, FILE);
  if (textOf(store) !== text) {
    replaceFile(files, path, text);
    return;
  }
  // Its content was durable before it had its name; whoever wrote it may have been killed before that was.
  files.syncDirectory(store);
}
