// sinks/NAME.json: how far a sink is with each recording of a store. It is not implied by the segments, and small.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TapioError } from '../errors.ts';
import { replaceFile, type StoreFiles } from '../segment/files.ts';
import { type SeqRange, SeqRanges } from './seq-ranges.ts';

const FORMAT = 1;
const FOLDER = 'sinks';
/** Ranges that a file holds; what lies behind them is sent again, which does no harm. */
const RANGES_MAX = 10_000;
/** Names become names of files. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

interface Content {
  readonly format: number;
  readonly recordings: Readonly<
    Record<string, { readonly through: number; readonly beyond: readonly SeqRange[] }>
  >;
}

/** How far a sink is. */
export class Checkpoint {
  readonly #files: StoreFiles;
  readonly #folder: string;
  readonly #path: string;
  readonly #recordings: Map<string, SeqRanges>;
  #saved: string;

  /**
   * Reads that of a sink; there need not be one yet. Throws TapioError('usage') for a name that no file can have, and
   * TapioError('store_newer') for a file of a later version. One that is garbled says nothing: all is sent again.
   */
  constructor(files: StoreFiles, store: string, name: string) {
    if (!NAME.test(name)) {
      throw new TapioError(
        'usage',
        `${JSON.stringify(name)} is no name for a sink: letters, digits, _ . and -, at most 64`,
      );
    }
    this.#files = files;
    this.#folder = join(store, FOLDER);
    this.#path = join(this.#folder, `${name}.json`);
    const content = contentOf(this.#path);
    const known = Object.entries(content?.recordings ?? {});
    this.#recordings = new Map(
      known.map(([id, { through, beyond }]) => [id, new SeqRanges(through, beyond)]),
    );
    this.#saved = content === null ? '' : this.#text();
  }

  /** Seqs of a recording that are through. */
  of(recording: string): SeqRanges {
    const ranges = this.#recordings.get(recording) ?? new SeqRanges();
    this.#recordings.set(recording, ranges);
    return ranges;
  }

  /** Forgets recordings that are not held any more. */
  keep(recordings: ReadonlySet<string>): void {
    for (const id of this.#recordings.keys()) if (!recordings.has(id)) this.#recordings.delete(id);
  }

  /** Writes it, durably, where something has changed. Throws what the file system throws. */
  save(): void {
    const text = this.#text();
    if (text === this.#saved) return;
    if (!existsSync(this.#folder)) {
      this.#files.makeDirectory(this.#folder);
      this.#files.syncDirectory(join(this.#folder, '..'));
    }
    replaceFile(this.#files, this.#path, text);
    this.#saved = text;
  }

  #text(): string {
    const recordings = Object.fromEntries(
      [...this.#recordings].map(([id, { through, beyond }]) => [
        id,
        { through, beyond: beyond.slice(0, RANGES_MAX) },
      ]),
    );
    return `${JSON.stringify({ format: FORMAT, recordings } satisfies Content)}\n`;
  }
}

const isSeq = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

function isContent(read: Partial<Content>): read is Content {
  if (read.format !== FORMAT || typeof read.recordings !== 'object') return false;
  return Object.values(read.recordings ?? {}).every(
    (one) =>
      isSeq(one?.through) &&
      Array.isArray(one.beyond) &&
      one.beyond.every((range) => Array.isArray(range) && range.length === 2 && range.every(isSeq)),
  );
}

function contentOf(path: string): Content | null {
  let read: Partial<Content>;
  try {
    read = JSON.parse(readFileSync(path, 'utf8')) as Partial<Content>;
  } catch {
    return null;
  }
  if (typeof read?.format === 'number' && read.format > FORMAT) {
    throw new TapioError(
      'store_newer',
      `${path} was written by a later version: use that one, or remove it, and all is sent again`,
    );
  }
  return read !== null && isContent(read) ? read : null;
}
