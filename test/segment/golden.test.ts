// Segments as earlier versions wrote them read as they did then. fixtures/README.md says what they are.

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { env, execPath } from 'node:process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EVENT_TYPES } from '../../schemas/arrow.ts';
import { FORMAT_VERSION } from '../../schemas/events.ts';
import { OPEN_PREFIX } from '../../src/segment/file-names.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { recoverSegments } from '../../src/segment/recover.ts';
import { segmentDirectories, segmentsOf } from '../../src/segment/store.ts';
import { verifySegment } from '../../src/segment/verify.ts';
import { ROOT, temporaryDirectory } from '../support/recording.ts';
import { openSegments } from '../support/segments.ts';

/** Of processes.arrow, since the fixtures were made. */
const LATER_COLUMNS = ['pod', 'pod_namespace'];
const GOLDEN = join(ROOT, 'fixtures/segments');
const PYTHON = join(ROOT, '.venv/bin/python');
const python = env.CI === undefined && !existsSync(PYTHON) ? test.skip : test;

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

function query(store: string): string {
  const flags = ['query', '--store', store, '--all', '-o', 'json'];
  return execFileSync(execPath, ['cli/tapio-replay.ts', ...flags], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'ignore'],
  }).toString();
}

const isOpen = (path: string): boolean => basename(path).startsWith(OPEN_PREFIX);

test('there are some of this format version, and they are not made again', () => {
  const made = `format-${FORMAT_VERSION}`;
  expect(readdirSync(GOLDEN)).toContain(made);
  const names = (): string[] =>
    readdirSync(join(GOLDEN, made), { recursive: true }).map(String).sort();
  const before = names();
  const again = spawnSync(execPath, ['fixtures/make-segments.ts'], { cwd: ROOT });
  expect([again.status, again.stderr.toString()]).toEqual([
    1,
    expect.stringContaining('never changed'),
  ]);
  expect(names()).toEqual(before);
});

for (const format of readdirSync(GOLDEN)) {
  describe(format, () => {
    const store = join(GOLDEN, format, 'store');
    const rows = readFileSync(join(GOLDEN, format, 'rows.ndjson'), 'utf8');

    test('a query gives the same bytes as ever', () => {
      for (const type of EVENT_TYPES) expect(rows).toContain(`"type":"${type}"`);
      expect(rows).toMatch(/[^\0-\x7f]/);
      expect(query(store)).toBe(rows);
    });

    test('processes and losses are the same as ever', () => {
      const expected = JSON.parse(readFileSync(join(GOLDEN, format, 'tables.json'), 'utf8'));
      const found = openSegments(store).map((segment) => {
        const { name } = segment;
        const tables = { name, processes: segment.processes(), losses: segment.losses() };
        segment.close();
        return tables;
      });
      const text = (key: string, value: unknown): unknown => {
        // Columns that came later are null in what was written before.
        if (value === null && LATER_COLUMNS.includes(key)) return undefined;
        return typeof value === 'bigint' ? String(value) : value;
      };
      expect(JSON.parse(JSON.stringify(found, text))).toEqual(expected);
    });

    test('all is as it was written', () => {
      const all = segmentDirectories(store);
      expect(all.map(isOpen)).toEqual([false, false, true]);
      for (const path of all) expect(verifySegment(path).damage, path).toEqual([]);
    });

    test('the open one is sealed by a recovery, with the same rows', () => {
      const copy = join(directory.path, 'store');
      cpSync(store, copy, { recursive: true });
      const recovered = recoverSegments(diskFiles, segmentsOf(copy));
      expect(recovered).toMatchObject([{ sealed: {}, cutRows: new Map() }]);
      expect(recovered[0]?.cutBytes).toBeGreaterThan(0);
      const all = segmentDirectories(copy);
      expect(all.map(isOpen)).toEqual([false, false, false]);
      for (const path of all) expect(verifySegment(path).damage, path).toEqual([]);
      expect(query(copy)).toBe(rows);
    });

    python('pyarrow, polars and DuckDB read the sealed ones', () => {
      for (const path of segmentDirectories(store).filter((one) => !isOpen(one))) {
        const replayed = join(directory.path, 'rows.ndjson');
        writeFileSync(replayed, query(path));
        const out = execFileSync(PYTHON, ['test/interop/check.py', path, replayed], { cwd: ROOT });
        expect(Object.keys(JSON.parse(out.toString()) as object).length).toBe(
          EVENT_TYPES.length + 3,
        );
      }
    });
  });
}
