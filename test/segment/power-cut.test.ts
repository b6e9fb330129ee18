// The power goes all over a segment's life: what was acknowledged is there, what is there is a prefix, and
// it is read without complaint. Then each sync is left out in turn: every one of them must be missed.

import { ok } from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { env } from 'node:process';
import { inspect, isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { COMMITS_FILE, OPEN_PREFIX } from '../../src/segment/file-names.ts';
import { diskFiles } from '../../src/segment/files.ts';
import type { Segment } from '../../src/segment/reader.ts';
import { verifySegment } from '../../src/segment/verify.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker, type MadeBatch } from '../support/batches.ts';
import {
  type Check,
  crashPoints,
  mutate,
  operationsOf,
  orderSurvivors,
  type Scenario,
  survivorsOf,
  syncSites,
} from '../support/mutate.ts';
import {
  append,
  everything,
  HEADER,
  openSegments,
  pointAt,
  processRow,
  rowsOf,
} from '../support/segments.ts';

const SEED = 20260101;
const POINTS = env.TAPIO_LONG === undefined ? 500 : 5000;
// Those that are noticed end at once.
const MUTANTS = { points: 500, seed: SEED };
// A run takes some 15 ms; this is for machines that have much else to do.
const TIMEOUT_MS = POINTS * 500;

/** One segment: its batches, each of which is a commit. */
interface Life {
  readonly name: string;
  readonly batches: readonly MadeBatch[];
}

/** What of a life was acknowledged. */
interface Acknowledged {
  commits: number;
  sealed: boolean;
}

/** Lives one after the other: `merged` ones have several batches a type, the others are sealed in place. */
function lives(kinds: readonly ('merged' | 'in place')[]): Life[] {
  const maker = new BatchMaker(1);
  return kinds.map((kind, i) => {
    maker.beginSegment();
    const types =
      kind === 'merged' ? (['process', 'file'] as const) : (['file', 'memory'] as const);
    const counts = kind === 'merged' ? [5, 9, 3, 7] : [6, 4];
    const batches = counts.map((count, b) => maker.make(types[b % 2] ?? 'file', count));
    return { name: `2026010${i + 1}T000000.000Z-000000${i}`, batches };
  });
}

/** A scenario, and the check that knows how far it came. */
function lived(all: readonly Life[]): { scenario: Scenario; check: Check } {
  let acknowledged: Acknowledged[] = [];
  const scenario: Scenario = (disk, store) => {
    acknowledged = all.map(() => ({ commits: 0, sealed: false }));
    const segments = join(store, 'segments');
    diskFiles.makeDirectory(segments);
    disk.settle();
    all.forEach(({ name, batches }, i) => {
      const mark = acknowledged[i] ?? { commits: 0, sealed: false };
      const writer = SegmentWriter.create(disk, segments, name, HEADER, null);
      writer.addProcesses([processRow(1, 'init')]);
      batches.forEach((batch, b) => {
        append(writer, batch);
        if (b === 1) {
          writer.addProcesses([processRow(2, 'sh')]);
          writer.addLosses([
            { stage: 'ring', cause: 'lost', count: 1n, first_ts: 1n, last_ts: 2n },
          ]);
        }
        writer.commit(pointAt(batch.item.lastSeq));
        mark.commits++;
      });
      writer.seal();
      mark.sealed = true;
    });
  };
  return { scenario, check: (store) => checkStore(store, all, acknowledged) };
}

function checkStore(
  store: string,
  all: readonly Life[],
  acknowledged: readonly Acknowledged[],
): void {
  const opened = openSegments(store);
  try {
    const found = all.map((life, i) => {
      const segment = opened.find(({ name }) => name === life.name);
      const { commits, sealed } = acknowledged[i] ?? { commits: 0, sealed: false };
      const there = segment === undefined ? 0 : checkSegment(segment, life);
      ok(there >= commits, `${life.name}: ${commits} commits acknowledged, ${there} found`);
      const name = basename(segment?.directory ?? '');
      if (sealed) ok(name === life.name, `${life.name}: its seal was undone`);
      return there;
    });
    ok(opened.length === found.filter((commits) => commits > 0).length, 'segments of nobody');
    // The whole is a prefix, too.
    const last = found.findLastIndex((commits) => commits > 0);
    all.slice(0, Math.max(0, last)).forEach(({ name, batches }, i) => {
      ok(found[i] === batches.length, `${name}: cut, though there are rows of a later segment`);
    });
  } finally {
    for (const segment of opened) segment.close();
  }
}

function same(what: string, found: unknown, wanted: unknown): void {
  const texts = [found, wanted].map((value) => inspect(value, { breakLength: Infinity }));
  ok(isDeepStrictEqual(found, wanted), `${what}: ${texts[0]} instead of ${texts[1]}`);
}

/** How many commits a segment has; throws where it is not as it was after one of them. */
function checkSegment(segment: Segment, { name, batches }: Life): number {
  same(`${name}: damage`, verifySegment(segment.directory).damage, []);
  const rows = everything(segment);
  const prefixes = batches.map((_, i) => rowsOf(batches.slice(0, i + 1)));
  const commits = prefixes.findIndex((prefix) => prefix.size === rows.size) + 1;
  ok(commits > 0, `${name}: ${rows.size} rows are no whole number of commits`);
  ok(isDeepStrictEqual(rows, prefixes[commits - 1]), `${name}: rows are not those written`);
  const comms = segment.processes().map(({ comm }) => comm);
  same(`${name}: processes`, comms, commits < 2 ? ['init'] : ['init', 'sh']);
  same(`${name}: losses`, segment.losses().length, commits < 2 ? 0 : 1);
  const last = segment.commits?.lines.at(-1);
  same(`${name}: through_seq`, last?.through_seq, Number(batches[commits - 1]?.item.lastSeq));
  // Under its final name a segment has what FORMAT.md lists, and nothing of what it was made with.
  if (basename(segment.directory) === name) {
    ok(segment.sealed, `${name} has its name but is not sealed`);
    const files = [...Object.keys(last?.files ?? {}), COMMITS_FILE];
    same(`${name}: files`, readdirSync(segment.directory).sort(), files.sort());
  }
  return commits;
}

const SCENARIOS = [
  ['one segment, merged', ['merged']],
  ['one segment, in place', ['in place']],
  ['two segments', ['in place', 'merged']],
] as const;

for (const [name, kinds] of SCENARIOS) {
  test(`${name}: acknowledged rows are there, and only whole commits`, {
    timeout: TIMEOUT_MS,
  }, () => {
    const { scenario, check } = lived(lives(kinds));
    crashPoints(scenario, check, { points: POINTS, seed: SEED });
  });
}

test('a sync that is left out is noticed, whichever it is', () => {
  const { scenario, check } = lived(lives(['in place', 'merged']));
  const sites = syncSites(scenario);
  // In the report of a run: what there is, and what notices its loss.
  const outcomes = mutate('skip', scenario, check, sites, MUTANTS);
  for (const { site, caught } of outcomes) {
    console.info(`${site}: ${caught === null ? 'NOT NOTICED' : caught.said.split('\n')[0]}`);
  }
  expect(survivorsOf(outcomes)).toEqual([]);
});

test('data, line and rename that change places with what follows them are noticed', () => {
  // Merged, as there a commit brings no new file: nothing stands between its data and its line.
  const { scenario, check } = lived(lives(['merged']));
  const all = operationsOf(scenario);
  const log = all.filter(({ path }) => path.includes(OPEN_PREFIX));
  const lines = log.filter(
    ({ operation, path }) => /append|sync/.test(operation) && path.endsWith(COMMITS_FILE),
  );
  const data = log.filter(({ operation, path }) => operation === 'sync' && /arrow$/.test(path));
  const renames = all.filter(({ operation }) => operation === 'rename');
  // The header's line, the first append and sync, is no commit: it becomes durable with one.
  const ordered = [...lines.slice(2), ...data, ...renames];
  const sites = [...new Set(ordered.map(({ site }) => site))];
  expect(sites.length).toBe(4);
  expect(orderSurvivors(scenario, check, sites, MUTANTS)).toEqual([]);
});
