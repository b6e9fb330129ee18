// catalog.db: where in time each segment and batch lies. A cache of what the segments say themselves:
// losing it changes no answer, so trouble with it is told and never stops a recording.

import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import type { SealedSegment } from '../segment/writer.ts';

const FILE = 'catalog.db';

/** Folder of the numbered migrations, found from src/catalog/ and from dist/chunks/ alike. */
function migrationsDirectory(): string {
  const tries = ['../../schemas/catalog', '../schemas/catalog'];
  for (const relative of tries) {
    const path = fileURLToPath(new URL(relative, import.meta.url));
    if (existsSync(path)) return path;
  }
  throw new Error('the package lacks schemas/catalog');
}

function migrate(database: Database.Database): void {
  const directory = migrationsDirectory();
  const version = database.pragma('user_version', { simple: true }) as number;
  const files = readdirSync(directory)
    .filter((name) => name.endsWith('.sql'))
    .sort();
  for (const name of files.slice(version)) {
    database.transaction(() => {
      database.exec(readFileSync(join(directory, name), 'utf8'));
      database.pragma(`user_version = ${Number(name.slice(0, 4))}`);
    })();
  }
}

function openDatabase(path: string): Database.Database {
  const database = new Database(path);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = NORMAL');
  database.pragma('busy_timeout = 5000');
  migrate(database);
  return database;
}

export class Catalog {
  readonly #database: Database.Database;

  private constructor(database: Database.Database) {
    this.#database = database;
  }

  /** Opens the catalogue of a store, making it anew where it cannot be used. */
  static open(store: string): Catalog {
    const path = join(store, FILE);
    try {
      return new Catalog(openDatabase(path));
    } catch {
      for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
      return new Catalog(openDatabase(path));
    }
  }

  /** Enters a segment that was sealed, in place of what was known of that name. */
  addSegment(segment: SealedSegment, recording: string): void {
    const times = segment.index.flatMap((row) => [row.firstTs, row.lastTs]);
    const lowest = times.reduce((a, b) => (b < a ? b : a), times[0] ?? 0n);
    const highest = times.reduce((a, b) => (b > a ? b : a), times[0] ?? 0n);
    const database = this.#database;
    database.transaction(() => {
      database.prepare('INSERT OR IGNORE INTO recordings (id) VALUES (?)').run(recording);
      database
        .prepare(
          'INSERT OR REPLACE INTO segments (name, recording, t0, t1, bytes, rows) VALUES (?, ?, ?, ?, ?, ?)',
        )
        .run(segment.name, recording, lowest, highest, segment.bytes, JSON.stringify(segment.rows));
      const insert = database.prepare(
        'INSERT OR REPLACE INTO batches (segment, file, batch, rows, first_seq, last_seq, t0, t1, zones) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
      );
      for (const row of segment.index) {
        insert.run(
          segment.name,
          row.file,
          row.batch,
          row.rows,
          row.firstSeq,
          row.lastSeq,
          row.firstTs,
          row.lastTs,
          JSON.stringify(row.zones),
        );
      }
    })();
  }

  close(): void {
    this.#database.close();
  }
}
