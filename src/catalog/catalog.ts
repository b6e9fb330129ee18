// catalog.db: where in time each segment and batch lies. A cache of what the segments say themselves:
// losing it changes no answer, only how long it takes.

import type Database from 'better-sqlite3';
import { TapioError } from '../errors.ts';
import type { IndexRow } from '../segment/event-files.ts';
import type { LossRow, Segment } from '../segment/reader.ts';
import { lossOf } from '../segment/small-tables.ts';
import type { SealedSegment } from '../segment/writer.ts';
import type { Zones } from '../segment/zones.ts';
import { openDatabase } from './database.ts';

/** A stretch of time [since, until), ns since 1970; null where it has no end. */
export interface Window {
  readonly since: bigint | null;
  readonly until: bigint | null;
}

export interface CataloguedSegment {
  readonly name: string;
  readonly recording: string;
  /** ts of the first and last row, ns since 1970. */
  readonly t0: bigint;
  readonly t1: bigint;
  readonly bytes: number;
  readonly rows: Readonly<Record<string, number>>;
}

export interface CataloguedBatch {
  readonly segment: string;
  readonly file: string;
  readonly batch: number;
  readonly rows: number;
  readonly firstSeq: bigint;
  readonly lastSeq: bigint;
  readonly t0: bigint;
  readonly t1: bigint;
  readonly zones: Zones;
}

/** What the catalogue takes of a segment. */
interface Entry {
  readonly name: string;
  readonly recording: string;
  readonly bytes: number;
  readonly rows: Readonly<Record<string, number>>;
  readonly index: readonly Pick<
    IndexRow,
    'file' | 'batch' | 'rows' | 'firstSeq' | 'lastSeq' | 'firstTs' | 'lastTs' | 'zones'
  >[];
  readonly losses: readonly LossRow[];
}

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;

// t0 leads the index, and no row is longer than the longest: both ends of the search are bounded.
const inWindow = (table: string): string => `
  SELECT * FROM ${table}
  WHERE t0 >= ? - (SELECT ifnull(max(t1 - t0), 0) FROM ${table}) AND t0 < ? AND t1 >= ?`;

type Columns = Readonly<Record<string, bigint | string | null>>;

export class Catalog {
  readonly #database: Database.Database;

  private constructor(database: Database.Database) {
    this.#database = database;
  }

  /** Opens the catalogue of a store, making it anew where it cannot be used. */
  static open(store: string): Catalog {
    return new Catalog(openDatabase(store));
  }

  /** Enters a segment as it was sealed, in place of what was known of that name. */
  addSegment(segment: SealedSegment): void {
    const losses = segment.losses.map(lossOf);
    this.#database.transaction(() => this.#enter({ ...segment, losses }))();
  }

  /** Notes that a segment is about to be removed. */
  retire(name: string): void {
    this.#database.prepare('UPDATE segments SET retired = 1 WHERE name = ?').run(name);
  }

  /** Forgets a segment, its batches and its losses. */
  removeSegment(name: string): void {
    this.#database.prepare('DELETE FROM segments WHERE name = ?').run(name);
  }

  /** Names of the segments that are entered, oldest first. */
  names(): string[] {
    return this.#database
      .prepare('SELECT name FROM segments WHERE retired = 0 ORDER BY name')
      .pluck()
      .all() as string[];
  }

  /**
   * Makes the catalogue name the sealed segments of `names` and no others; `open` opens one that is not
   * entered yet. What is entered is not asked again, what cannot be read is left out.
   */
  sync(names: readonly string[], open: (name: string) => Segment): void {
    this.#database.transaction(() => {
      const known = new Set(this.names());
      const there = new Set(names);
      for (const name of known) if (!there.has(name)) this.removeSegment(name);
      for (const name of names) {
        if (!known.has(name)) this.#enterFrom(() => open(name));
      }
    })();
  }

  /** Enters a segment from what it says itself; one that cannot be read is left out. */
  enterFrom(open: () => Segment): void {
    this.#database.transaction(() => this.#enterFrom(open))();
  }

  #enterFrom(open: () => Segment): void {
    let segment: Segment;
    try {
      segment = open();
    } catch (error) {
      if (error instanceof TapioError) return;
      throw error;
    }
    try {
      if (segment.sealed) this.#enter(entryOf(segment));
    } finally {
      segment.close();
    }
  }

  /** Segments with a row in the window, oldest first. */
  segmentsIn(window: Window): CataloguedSegment[] {
    return this.#select(`${inWindow('segments')} ORDER BY name`, window).map((row) => ({
      name: String(row.name),
      recording: String(row.recording),
      t0: BigInt(row.t0 ?? 0n),
      t1: BigInt(row.t1 ?? 0n),
      bytes: Number(row.bytes),
      rows: JSON.parse(String(row.rows)) as Record<string, number>,
    }));
  }

  /** Batches that may have a row in the window, by segment and seq. */
  batchesIn(window: Window): CataloguedBatch[] {
    const sql = `${inWindow('batches')} ORDER BY segment, first_seq`;
    return this.#select(sql, window).map((row) => ({
      segment: String(row.segment),
      file: String(row.file),
      batch: Number(row.batch),
      rows: Number(row.rows),
      firstSeq: BigInt(row.first_seq ?? 0n),
      lastSeq: BigInt(row.last_seq ?? 0n),
      t0: BigInt(row.t0 ?? 0n),
      t1: BigInt(row.t1 ?? 0n),
      zones: JSON.parse(String(row.zones)) as Zones,
    }));
  }

  /** Losses that overlap the window, by time. */
  lossesIn(window: Window): LossRow[] {
    return this.#select(`${inWindow('losses')} ORDER BY t0, t1`, window).map((row) =>
      lossOf({
        stage: row.stage ?? null,
        cause: row.cause ?? null,
        type: row.type ?? null,
        op: row.op ?? null,
        cpu: row.cpu === null ? null : Number(row.cpu),
        count: row.count ?? null,
        first_ts: row.t0 ?? null,
        last_ts: row.t1 ?? null,
      }),
    );
  }

  close(): void {
    this.#database.close();
  }

  #select(sql: string, { since, until }: Window): Columns[] {
    const from = since ?? MIN;
    // The bound t0 >= from - longest must not leave the range of an integer.
    const low = since === null ? MIN / 2n : since;
    return this.#database
      .prepare(sql)
      .safeIntegers()
      .all(low, until ?? MAX, from) as Columns[];
  }

  #enter({ name, recording, bytes, rows, index, losses }: Entry): void {
    const database = this.#database;
    // Batches first, then losses: a segment of losses alone has a place in time too.
    const times = [
      ...index.flatMap((row) => [row.firstTs, row.lastTs]),
      ...(index.length > 0 ? [] : losses.flatMap((loss) => [loss.firstTs, loss.lastTs])),
    ];
    const [t0, t1] = rangeOf(times);
    database.prepare('DELETE FROM segments WHERE name = ?').run(name);
    database.prepare('INSERT OR IGNORE INTO recordings (id) VALUES (?)').run(recording);
    database
      .prepare(
        'INSERT INTO segments (name, recording, t0, t1, bytes, rows) VALUES (?, ?, ?, ?, ?, ?)',
      )
      .run(name, recording, t0, t1, bytes, JSON.stringify(rows));
    const batch = database.prepare(
      'INSERT INTO batches (segment, file, batch, rows, first_seq, last_seq, t0, t1, zones) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    );
    for (const one of index) {
      const { file, firstSeq, lastSeq, firstTs, lastTs } = one;
      const zones = JSON.stringify(one.zones);
      batch.run(name, file, one.batch, one.rows, firstSeq, lastSeq, firstTs, lastTs, zones);
    }
    const loss = database.prepare(
      'INSERT INTO losses (segment, stage, cause, type, op, cpu, count, t0, t1) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    );
    for (const { stage, cause, type, op, cpu, count, firstTs, lastTs } of losses) {
      loss.run(name, stage, cause, type, op, cpu, count, firstTs, lastTs);
    }
  }
}

function rangeOf(times: readonly bigint[]): [bigint, bigint] {
  const [first = 0n] = times;
  return times.reduce<[bigint, bigint]>(
    ([low, high], time) => [time < low ? time : low, time > high ? time : high],
    [first, first],
  );
}

function entryOf(segment: Segment): Entry {
  const types = segment.types();
  return {
    name: segment.name,
    recording: segment.header.recording,
    bytes: segment.bytes(),
    rows: Object.fromEntries(types.map((type) => [type, segment.rows(type)])),
    index: types.flatMap((type) =>
      segment.batches(type).map((info) => ({ ...info, file: `${type}.arrow` })),
    ),
    losses: segment.losses(),
  };
}
