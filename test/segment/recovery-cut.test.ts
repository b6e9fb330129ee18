// The power goes while a store is put in order: what was to be kept is there after the next start, and each
// sync of the recovery is missed where it is left out.

import { ok } from 'node:assert/strict';
import {
  appendFileSync,
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { readCommits } from '../../src/segment/commits.ts';
import { COMMITS_FILE, OPEN_PREFIX, SEAL_PREFIX } from '../../src/segment/file-names.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { recoverSegments } from '../../src/segment/recover.ts';
import { verifySegment } from '../../src/segment/verify.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker, type MadeBatch } from '../support/batches.ts';
import {
  type Check,
  codeAt,
  crashPoints,
  mutate,
  type Scenario,
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
import type { SimDisk } from '../support/sim-disk.ts';

const BUDGET = { points: env.TAPIO_LONG === undefined ? 300 : 3000, seed: 20260102 };
const NAME = '20260101T000000.000Z-0000000';

/** What a recorder that died left. */
interface Left {
  readonly batches: readonly MadeBatch[];
  /** How many of them were acknowledged and are whole. */
  readonly kept: number;
  /** Lays it out; what is done through the disk is in the page cache alone. */
  readonly leave: (disk: SimDisk, segments: string) => void;
}

/** Batches of two types in turn: more than two are merged. */
function batchesOf(count: number): MadeBatch[] {
  const maker = new BatchMaker(1);
  return Array.from({ length: count }, (_, i) => maker.make(i % 2 === 0 ? 'file' : 'memory', 5));
}

/** An open segment, each batch of which is a commit. */
function write(segments: string, batches: readonly MadeBatch[]): SegmentWriter {
  diskFiles.makeDirectory(segments);
  const writer = SegmentWriter.create(diskFiles, segments, NAME, HEADER, null);
  writer.addProcesses([processRow(1, 'init')]);
  for (const batch of batches) {
    append(writer, batch);
    writer.commit(pointAt(batch.item.lastSeq));
  }
  return writer;
}

const openName = `${OPEN_PREFIX}${NAME}`;

/** Committed lines whose data is damaged, with a torn one behind them. */
function damaged(count: number): Left {
  return {
    batches: batchesOf(count),
    kept: 1,
    leave(disk, segments) {
      write(segments, this.batches).abandon();
      // The second batch is the first of this type.
      const path = join(segments, openName, 'memory.arrow');
      writeFileSync(path, readFileSync(path).fill(0, 64));
      appendFileSync(join(segments, openName, COMMITS_FILE), '{"n":9,"through');
      disk.settle();
    },
  };
}

/** Sealed in place but for its name, and the sync of the line that says so. */
const SEALED: Left = {
  batches: batchesOf(2),
  kept: 2,
  leave(disk, segments) {
    const writer = write(segments, this.batches);
    const directory = join(segments, openName);
    cpSync(directory, join(segments, 'before'), { recursive: true });
    writer.seal();
    // As it was before the removal of what the seal does without.
    cpSync(join(segments, 'before'), directory, { recursive: true });
    cpSync(join(segments, NAME), directory, { recursive: true });
    for (const gone of ['before', NAME]) diskFiles.remove(join(segments, gone));
    const path = join(directory, COMMITS_FILE);
    const bytes = readFileSync(path);
    const length = readCommits(directory)?.ends.at(-2) ?? 0;
    writeFileSync(path, bytes.subarray(0, length));
    disk.settle();
    const file = disk.reopen(path, length);
    file.append([bytes.subarray(length)]);
    file.close();
  },
};

/** Merged, with a name that is not durable, beside the open one. */
const MERGED: Left = {
  batches: batchesOf(4),
  kept: 4,
  leave(disk, segments) {
    const writer = write(segments, this.batches);
    const sealing = join(segments, `${SEAL_PREFIX}${NAME}`);
    cpSync(join(segments, openName), join(segments, 'before'), { recursive: true });
    writer.seal();
    renameSync(join(segments, NAME), sealing);
    renameSync(join(segments, 'before'), join(segments, openName));
    disk.settle();
    disk.rename(sealing, join(segments, NAME));
  },
};

/** Puts in order what was left; after a power cut another start does it again, and all must be there. */
function recovered(left: Left): { scenario: Scenario; check: Check } {
  const scenario: Scenario = (disk, store) => {
    const segments = join(store, 'segments');
    left.leave(disk, segments);
    recoverSegments(disk, segments);
  };
  const check: Check = (store) => {
    const segments = join(store, 'segments');
    recoverSegments(diskFiles, segments);
    ok(isDeepStrictEqual(readdirSync(segments), [NAME]), `left: ${readdirSync(segments)}`);
    const { damage } = verifySegment(join(segments, NAME));
    ok(damage.length === 0, `damage: ${JSON.stringify(damage)}`);
    const [segment] = openSegments(store);
    ok(segment?.sealed, 'it is not sealed');
    const rows = everything(segment);
    segment.close();
    const files = Object.keys(segment.commits?.lines.at(-1)?.files ?? {});
    const there = readdirSync(join(segments, NAME)).sort();
    ok(isDeepStrictEqual(there, [...files, COMMITS_FILE].sort()), `files: ${there}`);
    const wanted = rowsOf(left.batches.slice(0, left.kept));
    ok(isDeepStrictEqual(rows, wanted), `${rows.size} rows instead of ${wanted.size}`);
  };
  return { scenario, check };
}

const LEFT = {
  'damage, then sealed in place': damaged(3),
  'sealed but for its name': SEALED,
  'merged beside the open one': MERGED,
};

for (const [name, left] of Object.entries(LEFT)) {
  test(`${name}: a second power cut costs nothing`, { timeout: 120_000 }, () => {
    const { scenario, check } = recovered(left);
    crashPoints(scenario, check, BUDGET);
  });
}

/** Breaks the syncs of recover.ts, each in every scenario that reaches it; says which nobody missed. */
function unnoticed(kind: 'skip' | 'delay', points: number): string[] {
  const noticed = new Map<string, boolean>();
  for (const left of Object.values(LEFT)) {
    const { scenario, check } = recovered(left);
    const own = syncSites(scenario).filter((site) => site.startsWith('src/segment/recover.ts'));
    for (const { site, caught } of mutate(kind, scenario, check, own, { ...BUDGET, points })) {
      const said = caught?.said.split('\n')[0]?.slice(0, 160) ?? 'not here';
      console.info(`${kind} ${site} ${codeAt(site)} ${said}`);
      noticed.set(site, noticed.get(site) || caught !== null);
    }
  }
  expect(noticed.size).toBe(4);
  return [...noticed].flatMap(([site, yes]) => (yes ? [] : [codeAt(site)]));
}

test('each sync of the recovery is missed', { timeout: 300_000 }, () => {
  expect(unnoticed('skip', 3000)).toEqual([]);
});

test('one that comes too late is noticed', { timeout: 300_000 }, () => {
  // What follows this one at once is the truncate of another file.
  expect(unnoticed('delay', 1000)).toEqual(['src/segment/recover.ts: commitsFile.sync();']);
});
