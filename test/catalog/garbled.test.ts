// catalog.db may be gone or garbage: no command's output changes, and the recorder makes it anew.

import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { env, execPath } from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Catalog, type Window } from '../../src/catalog/catalog.ts';
import { Segment } from '../../src/segment/reader.ts';
import { ensureStore, segmentDirectories, segmentsOf } from '../../src/segment/store.ts';
import { random } from '../support/batches.ts';
import { Recording, ROOT, temporaryDirectory } from '../support/recording.ts';

const ALL: Window = { since: null, until: null };
const SEED = 11;
const FILES = ['catalog.db', 'catalog.db-wal', 'catalog.db-shm'];
const COMMANDS: readonly (readonly string[])[] = [
  ['query', '--all'],
  ['segments'],
  ['verify'],
  ['account'],
];

let directory: ReturnType<typeof temporaryDirectory>;
let recorded: string;
let outputs: string[];

/** Records for a moment; two segments where asked. */
async function record(store: string, rotate: boolean): Promise<void> {
  const flags = ['--source', 'synthetic', '--seed', '3', '--rate', '2000'];
  const recording = await Recording.start(store, flags);
  await rowsCome();
  if (rotate) {
    recording.signal('SIGUSR2');
    await rowsCome();
  }
  await recording.stop();
}

// Longer than a flush: each segment has rows.
const rowsCome = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1_200));

beforeAll(async () => {
  directory = temporaryDirectory();
  recorded = join(directory.path, 'recorded');
  await record(recorded, true);
  outputs = run(recorded);
});
afterAll(() => directory.remove());

/** What each command prints, and how it ends. The store's own path is left out. */
function run(store: string): string[] {
  return COMMANDS.map(([name = '', ...flags]) => {
    const words = ['cli/tapio-replay.ts', name, '--store', store, '-o', 'json', ...flags];
    const { status, stdout, stderr } = spawnSync(execPath, words, {
      cwd: ROOT,
      maxBuffer: 1 << 28,
      env: { ...env, NODE_COMPILE_CACHE: join(directory.path, 'compiled') },
    });
    return `${name}: ${status}\n${stdout}\n${stderr}`.replaceAll(store, 'STORE');
  });
}

const garbage = (length: number): Buffer => {
  const next = random(SEED);
  return Buffer.from(Array.from({ length }, () => Math.floor(next() * 256)));
};

/** Ways to lose a catalogue; each is given the path of catalog.db. */
const LOSSES: readonly (readonly [name: string, lose: (path: string) => void])[] = [
  ['deleted', (path) => rmSync(path)],
  ['empty', (path) => truncateSync(path)],
  ['cut in the middle', (path) => truncateSync(path, statSync(path).size >> 1)],
  ['zeroed', (path) => writeFileSync(path, Buffer.alloc(statSync(path).size))],
  ['random bytes', (path) => writeFileSync(path, garbage(statSync(path).size))],
  [
    'random pages behind a good head',
    (path) => {
      const bytes = readFileSync(path);
      garbage(bytes.length - 4096).copy(bytes, 4096);
      writeFileSync(path, bytes);
    },
  ],
  [
    'random bytes in each page',
    (path) => {
      const bytes = readFileSync(path);
      for (let at = 200; at + 64 < bytes.length; at += 512) garbage(64).copy(bytes, at);
      writeFileSync(path, bytes);
    },
  ],
  ['with the journal of another', (path) => writeFileSync(`${path}-wal`, garbage(9000))],
  ['with a shared memory of another', (path) => writeFileSync(`${path}-shm`, garbage(32_768))],
  [
    'a directory in its place',
    (path) => {
      rmSync(path);
      mkdirSync(join(path, 'full'), { recursive: true });
    },
  ],
];

/** The catalogue's content, without what follows from when it was made. */
function contentOf(store: string): unknown {
  const catalog = Catalog.open(store);
  try {
    return [catalog.names(), catalog.batchesIn(ALL), catalog.lossesIn(ALL)];
  } finally {
    catalog.close();
  }
}

/** What a catalogue that is made from the segments alone has. */
function contentOfSegments(store: string): unknown {
  const fresh = join(directory.path, 'fresh');
  rmSync(fresh, { recursive: true, force: true });
  ensureStore(fresh);
  const catalog = Catalog.open(fresh);
  const names = readdirSync(segmentsOf(store)).sort();
  catalog.sync(names, (name) => new Segment(join(segmentsOf(store), name)));
  catalog.close();
  return contentOf(fresh);
}

function copyOf(name: string): string {
  const store = join(directory.path, name);
  cpSync(recorded, store, { recursive: true });
  return store;
}

test('a recording has a catalogue, and something to say', () => {
  expect(existsSync(join(recorded, 'catalog.db'))).toBe(true);
  expect(segmentDirectories(recorded).length).toBe(2);
  expect(contentOf(recorded)).toEqual(contentOfSegments(recorded));
  expect(outputs.map((text) => text.split('\n')[0])).toEqual([
    'query: 0',
    'segments: 0',
    'verify: 0',
    'account: 0',
  ]);
});

for (const [name, lose] of LOSSES) {
  test(`${name}: commands say the same, and the recorder makes it anew`, async () => {
    const store = copyOf(name);
    lose(join(store, 'catalog.db'));
    expect(run(store)).toEqual(outputs);
    await record(store, false);
    expect(segmentDirectories(store).length).toBe(3);
    expect(contentOf(store)).toEqual(contentOfSegments(store));
  });
}

test('all of its files are as nothing', () => {
  const store = copyOf('all');
  for (const file of FILES) writeFileSync(join(store, file), garbage(5000));
  expect(run(store)).toEqual(outputs);
});
