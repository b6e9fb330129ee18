// The direction of imports, and who may use which package.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

// A file imports only from ranks below its own, or from its own folder.
const RANKS: readonly (readonly string[])[] = [
  ['schemas'],
  ['src/errors.ts', 'src/escape.ts', 'src/thread-url.ts', 'src/version.ts'],
  ['src/log.ts', 'src/side-thread.ts'],
  ['src/config'],
  ['src/event'],
  ['src/source', 'src/segment', 'src/rpc'],
  ['src/catalog', 'src/control.ts', 'src/privileges.ts', 'src/raw'],
  ['src/query', 'src/unified'],
  ['src/recorder', 'src/replay', 'src/export'],
  ['src/session', 'src/sink', 'src/client'],
  ['src/service'],
  ['src/server'],
  ['src/metrics'],
  ['src/daemon.ts'],
  ['cli'],
];

const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'zstd-napi': ['src/segment'],
  '@node-rs/crc32': ['src/segment'],
  'apache-arrow': ['schemas', 'src/segment'],
  flatbuffers: ['src/segment'],
  'better-sqlite3': ['src/catalog'],
  '@grpc': ['src/sink', 'src/server', 'src/client', 'src/rpc'],
  'grpc-health-check': ['src/server'],
  'prom-client': ['src/metrics'],
  '@marcbachmann/cel-js': ['src/query'],
  '@nats-io': ['src/sink'],
  jose: ['src/service/jwt.ts', 'src/service/jwt-keys.ts'],
  yaml: ['src/config/file.ts', 'src/service/policy-file.ts'],
  yargs: ['cli'],
};

const FILE_LINES_MAX = 600;

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

const files = ['schemas', 'src', 'cli'].flatMap(sources);

/** Rank and place of a file; the longest place that covers it. */
function placeOf(file: string): { rank: number; place: string } {
  for (const [rank, places] of RANKS.entries()) {
    const place = places.find((one) => file === one || file.startsWith(`${one}/`));
    if (place !== undefined) return { rank, place };
  }
  throw new Error(`${file} has no rank: add its folder to the table`);
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
}

test('imports go one way', () => {
  const wrong: string[] = [];
  for (const file of files) {
    const own = placeOf(file);
    for (const name of importsOf(file).filter((one) => one.startsWith('.'))) {
      const target = relative(ROOT, resolve(ROOT, dirname(file), name));
      const other = placeOf(target);
      if (other.place !== own.place && other.rank >= own.rank) wrong.push(`${file} → ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});

test('packages stay where they belong', () => {
  const wrong: string[] = [];
  for (const file of files) {
    for (const name of importsOf(file).filter((one) => !one.startsWith('.'))) {
      const owner = Object.keys(PACKAGES).find((one) => name === one || name.startsWith(`${one}/`));
      const places = owner === undefined ? null : PACKAGES[owner];
      if (places?.some((place) => file === place || file.startsWith(`${place}/`)) === false) {
        wrong.push(`${file} imports ${name}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test('only source/binding.ts loads the addon', () => {
  const loading = files.filter((file) =>
    readFileSync(join(ROOT, file), 'utf8').includes('tapio_native'),
  );
  expect(loading).toEqual(['src/source/binding.ts']);
});

test('no file grows beyond one job', () => {
  const long = files.filter((file) => {
    const lines = readFileSync(join(ROOT, file), 'utf8').split('\n').length;
    // The event table is data.
    return lines > FILE_LINES_MAX && file !== 'schemas/events.ts';
  });
  expect(long).toEqual([]);
});
