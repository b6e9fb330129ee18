// Played is what was queried: the same rows in the same order, from merged blocks as from a scan.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EVENT_TYPES } from '../../schemas/arrow.ts';
import type { EventRun } from '../../src/event/stream.ts';
import { plan } from '../../src/query/plan.ts';
import { type Selection, select } from '../../src/query/select.ts';
import { Player } from '../../src/replay/player.ts';
import { StoredEvents } from '../../src/replay/stored.ts';
import { ensureStore, openStore, segmentsOf } from '../../src/segment/store.ts';
import { scan } from '../support/plain-scan.ts';
import { MadeRecording } from '../support/recorded.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { flipped } from '../support/segments.ts';
import { FakeClock } from '../support/streams.ts';

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

const ALL: Selection = select({
  since: null,
  until: null,
  types: [],
  ops: [],
  pids: [],
  comms: [],
});

/** A store of several segments of two recordings, the last segment open; and its rows as they were made. */
function record(seed: number): { store: string; made: MadeRecording[] } {
  const store = join(directory.path, `store-${seed}`);
  ensureStore(store);
  const made = ['first', 'second'].map((name, at) => {
    const recording = new MadeRecording(segmentsOf(store), name, seed + at, at * 10);
    for (let segment = 0; segment < 3; segment++) {
      for (let i = 0; i < 7; i++) {
        const type = EVENT_TYPES[(seed + i * (segment + 1)) % EVENT_TYPES.length] ?? 'file';
        recording.write([type, 1 + ((seed * 31 + i * 17) % 60)]);
      }
      // What is sealed is merged: batches of different types then overlap.
      if (at === 0 || segment < 2) recording.seal();
    }
    if (at === 1) recording.kill();
    return recording;
  });
  return { store, made };
}

/** Rows as (type, seq, ts). */
async function streamed(events: AsyncIterable<readonly EventRun[]>): Promise<unknown[]> {
  const out: unknown[] = [];
  for await (const runs of events) {
    for (const { block, from, to } of runs) {
      for (let row = from; row < to; row++) {
        out.push([block.type, ...['seq', 'ts'].map((name) => block.columns.get(name)?.get(row))]);
      }
    }
  }
  return out;
}

test('everything comes, as it was recorded, and as a scan gives it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(1000), async (seed) => {
      const { store, made } = record(seed);
      const { segments } = openStore(store);
      try {
        const all = await streamed(new StoredEvents(segments, ALL, () => []).events());
        const recorded = made.flatMap(({ rows }) =>
          [...rows].map(([seq, { type, cells }]) => [type, seq, cells[1]]),
        );
        expect(all).toEqual(recorded);
        const scanned = [...scan(plan(segments, ALL))].map(({ source, seq, row }) => [
          source.info.type,
          seq,
          source.segment.read(source.info, ['ts']).get('ts')?.get(row),
        ]);
        expect(all).toEqual(scanned);
      } finally {
        for (const segment of segments) segment.close();
        rmSync(store, { recursive: true });
      }
    }),
    { numRuns: 10 },
  );
});

test('of a selection the same rows come as a query gives, from any time on, played or not', async () => {
  const { store } = record(5);
  const { segments } = openStore(store);
  try {
    const rows = (await streamed(new StoredEvents(segments, ALL, () => []).events())) as [
      string,
      bigint,
      bigint,
    ][];
    const time = fc.option(fc.constantFrom(...rows.map(([, , ts]) => ts)));
    const types = fc.subarray([...EVENT_TYPES]);
    await fc.assert(
      fc.asyncProperty(time, time, time, types, async (since, until, from, names) => {
        fc.pre(since === null || until === null || since < until);
        const selection = select({ since, until, types: names, ops: [], pids: [], comms: [] });
        const expected = rows.filter(
          ([type, , ts]) =>
            (names.length === 0 || (names as string[]).includes(type)) &&
            (since === null || ts >= since) &&
            (until === null || ts < until) &&
            (from === null || ts >= from),
        );
        const events = new StoredEvents(segments, selection, () => []);
        expect(await streamed(events.events(from))).toEqual(expected);
        const player = new Player(events, {
          pace: { speed: 10 },
          maxGapNs: 1e9,
          loops: 1,
          rebase: false,
          stepping: false,
          clock: new FakeClock(),
        });
        expect(await streamed(player.events(from))).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  } finally {
    for (const segment of segments) segment.close();
  }
});

test('a damaged batch is left out and named, the rest comes', async () => {
  const { store, made } = record(9);
  const { segments } = openStore(store);
  const path = join(segments[0]?.directory ?? '', 'network.arrow');
  try {
    const [batch] = segments[0]?.batches('network') ?? [];
    writeFileSync(path, flipped(path, (batch?.offset ?? 0) + (batch?.metadataLength ?? 0) + 9));
    const all = await streamed(new StoredEvents(segments, ALL, () => ['pid']).events());
    const total = made.reduce((sum, { rows }) => sum + rows.size, 0);
    expect(all.length).toBe(total - (batch?.rows ?? 0));
    expect(segments[0]?.problems.map(({ rows }) => rows)).toEqual([batch?.rows]);
  } finally {
    for (const segment of segments) segment.close();
  }
});
