// catalog.db itself: opened, brought up to date by the numbered migrations, made anew where it is no use.

import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';

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
  if (version > files.length) throw new Error(`the catalogue is of a newer version (${version})`);
  for (const name of files.slice(version)) {
    database.transaction(() => {
      database.exec(readFileSync(join(directory, name), 'utf8'));
      database.pragma(`user_version = ${Number(name.slice(0, 4))}`);
    })();
  }
}

function open(path: string): Database.Database {
  // SQLite gives its journals the mode of the database file.
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
  const database = new Database(path);
  try {
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = NORMAL');
    database.pragma('busy_timeout = 5000');
    database.pragma('foreign_keys = ON');
    // Pages that are damaged would otherwise fail each use, at this start and at every other.
    const found = database.pragma('quick_check(1)', { simple: true });
    if (found !== 'ok') throw new Error(`the catalogue is damaged (${found})`);
    migrate(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Opens the catalogue of a store; one that is damaged or of another version is made anew. */
export function openDatabase(store: string): Database.Database {
  const path = join(store, FILE);
  try {
    return open(path);
  } catch {
    for (const suffix of ['', '-wal', '-shm']) {
      rmSync(path + suffix, { recursive: true, force: true });
    }
    return open(path);
  }
}
