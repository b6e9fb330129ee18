// sinks/NAME.json: how far a sink is with each recording of a store, and what it could not be given. It is not implied by
// the segments, and small.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkSinkName } from '../config/sinks.ts';
import { TapioError } from '../errors.ts';
import { replaceFile, type StoreFiles } from '../segment/files.ts';
import { type SeqRange, SeqRanges } from './seq-ranges.ts';

const FORMAT = 1;
const FOLDER = 'sinks';
/** Ranges that a file holds; what lies behind them is sent again, which does no harm. */
const RANGES_MAX = 10_000;
/** Losses that a file names; all of them are counted. */
const LOSSES_NAMED = 100;

/** Rows that a sink will never get: nobody holds them any more, or they cannot be read. */
export interface SinkLoss {
  readonly recording: string;
  /** Seqs, both inclusive. */
  readonly first: number;
  readonly last: number;
  /** How many of them. */
  readonly rows: number;
  readonly why: string;
}

interface Progress {
  /** What is through. */
  ranges: SeqRanges;
  /** Last seq of the recording that is known to be durable. */
  end: number;
}

interface Content {
  readonly format: number;
  readonly recordings: Readonly<
    Record<
      string,
      { readonly through: number; readonly beyond: readonly SeqRange[]; readonly end: number }
    >
  >;
  readonly lost: { readonly rows: number; readonly ranges: readonly SinkLoss[] };
}

/** Where what belongs to sinks lies in a store. */
export const sinkFolder = (store: string): string => join(store, FOLDER);

/** How far a sink is. */
export class Checkpoint {
  readonly #files: StoreFiles;
  readonly #folder: string;
  readonly #path: string;
  readonly #recordings: Map<string, Progress>;
  #lostRows: number;
  #losses: SinkLoss[];
  #saved: string;
  /** True where there was none, or none that could be read. */
  readonly isNew: boolean;

  /**
   * Reads that of a sink; there need not be one yet. Throws TapioError('usage') for a name that no file can have, and
   * TapioError('store_newer') for a file of a later version. One that is garbled says nothing: all is sent again.
   */
  constructor(files: StoreFiles, store: string, name: string) {
    checkSinkName(name);
    this.#files = files;
    this.#folder = sinkFolder(store);
    this.#path = join(this.#folder, `${name}.json`);
    const content = contentOf(this.#path);
    const known = Object.entries(content?.recordings ?? {});
    this.#recordings = new Map(
      known.map(([id, { through, beyond, end }]) => [
        id,
        { ranges: new SeqRanges(through, beyond), end },
      ]),
    );
    this.#lostRows = content?.lost.rows ?? 0;
    this.#losses = [...(content?.lost.ranges ?? [])];
    this.#saved = content === null ? '' : this.#text(null);
    this.isNew = !existsSync(this.#path);
  }

  /** Seqs of a recording that are through. */
  of(recording: string): SeqRanges {
    return this.#progress(recording).ranges;
  }

  /** Rows that were lost to the sink since it was named. */
  get lostRows(): number {
    return this.#lostRows;
  }

  /** Seqs behind `through` name other rows from here on: what is through of them is not. */
  goBack(recording: string, through: number): void {
    const progress = this.#progress(recording);
    progress.ranges = progress.ranges.upTo(through);
  }

  /**
   * Notes what the store holds, by the last seq of each recording. Those that it does not hold any more are forgotten, but
   * for the one that is recorded; gives what of them was not through.
   */
  hold(held: ReadonlyMap<string, number>, current: string): SinkLoss[] {
    for (const [recording, end] of held) {
      const progress = this.#progress(recording);
      progress.end = Math.max(progress.end, end);
    }
    const lost: SinkLoss[] = [];
    for (const [recording, progress] of this.#recordings) {
      if (recording === current || held.has(recording)) continue;
      const first = progress.ranges.through + 1;
      const loss = {
        recording,
        first,
        last: progress.end,
        why: 'the store does not hold it any more',
      };
      lost.push(...this.lose(loss));
      this.#recordings.delete(recording);
    }
    return lost;
  }

  /**
   * Counts rows as lost that are not through, so many of the range at most; gives what that was, in one piece or none.
   */
  lose(loss: Omit<SinkLoss, 'rows'>, most = Number.POSITIVE_INFINITY): SinkLoss[] {
    const { recording, first, last } = loss;
    const { ranges } = this.#progress(recording);
    const rows = Math.min(most, Math.max(0, last - first + 1 - ranges.count(first, last)));
    if (rows === 0) return [];
    const counted = { ...loss, rows };
    if (most >= last - first + 1) ranges.add(first, last);
    this.#lostRows += rows;
    this.#losses = [...this.#losses, counted].slice(-LOSSES_NAMED);
    return [counted];
  }

  /**
   * Writes it, durably, where something has changed. Of `live`, which is still recorded, no more than what is durable:
   * other rows may take the place of those behind it. Throws what the file system throws.
   */
  save(live: { readonly recording: string; readonly committed: number } | null = null): void {
    const text = this.#text(live);
    if (text === this.#saved) return;
    if (!existsSync(this.#folder)) {
      this.#files.makeDirectory(this.#folder);
      this.#files.syncDirectory(join(this.#folder, '..'));
    }
    replaceFile(this.#files, this.#path, text);
    this.#saved = text;
  }

  #progress(recording: string): Progress {
    const progress = this.#recordings.get(recording) ?? { ranges: new SeqRanges(), end: 0 };
    this.#recordings.set(recording, progress);
    return progress;
  }

  #text(live: { readonly recording: string; readonly committed: number } | null): string {
    const recordings = Object.fromEntries(
      [...this.#recordings].map(([id, progress]) => {
        const isLive = live?.recording === id;
        const ranges = isLive ? progress.ranges.upTo(live.committed) : progress.ranges;
        const end = Math.max(progress.end, isLive ? live.committed : 0, ranges.through);
        const { through, beyond } = ranges;
        return [id, { through, beyond: beyond.slice(0, RANGES_MAX), end }];
      }),
    );
    const lost = { rows: this.#lostRows, ranges: this.#losses };
    return `${JSON.stringify({ format: FORMAT, recordings, lost } satisfies Content)}\n`;
  }
}

const isSeq = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

const isLoss = (one: Partial<SinkLoss> | null): boolean =>
  [one?.first, one?.last, one?.rows].every(isSeq) &&
  [one?.recording, one?.why].every((text) => typeof text === 'string');

function isContent({ format, recordings, lost }: Partial<Content>): boolean {
  if (format !== FORMAT || typeof recordings !== 'object') return false;
  if (!isSeq(lost?.rows) || !Array.isArray(lost?.ranges) || !lost.ranges.every(isLoss))
    return false;
  return Object.values(recordings ?? {}).every(
    (one) =>
      isSeq(one?.through) &&
      isSeq(one.end) &&
      Array.isArray(one.beyond) &&
      one.beyond.every((range) => Array.isArray(range) && range.length === 2 && range.every(isSeq)),
  );
}

function contentOf(path: string): Content | null {
  let read: Partial<Content> | null;
  try {
    read = JSON.parse(readFileSync(path, 'utf8')) as Partial<Content> | null;
  } catch {
    return null;
  }
  if (typeof read?.format === 'number' && read.format > FORMAT) {
    throw new TapioError(
      'store_newer',
      `${path} was written by a later version: use that one, or remove it, and all is sent again`,
    );
  }
  return read !== null && isContent(read) ? (read as Content) : null;
}
