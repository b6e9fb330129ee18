import { cpSync, mkdirSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mergeRecordings, type Ordered, recordingKey } from '../../src/query/merge.ts';
import { select } from '../../src/query/select.ts';
import { openStores } from '../../src/segment/store.ts';
import { MadeRecording } from '../support/recorded.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { rowSeqs } from '../support/rows.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);

/** Streams of recordings: ts mostly goes up, and now and then back. */
const recordings = fc
  .array(fc.array(fc.integer({ min: -3, max: 9 }), { maxLength: 20 }), { maxLength: 6 })
  .map((streams) =>
    streams.map((steps, stream): Ordered[] => {
      let ts = 0n;
      return steps.map((step, i) => {
        ts += BigInt(step);
        return { ts, seq: BigInt(i + 1), key: `recording ${stream}` };
      });
    }),
  );

async function* asStream(rows: readonly Ordered[]): AsyncGenerator<Ordered> {
  yield* rows;
}

/** The plainest merge there is: again and again the least of what stands first. */
function simpleMerge(streams: readonly (readonly Ordered[])[]): Ordered[] {
  const left = streams.map((stream) => [...stream]);
  const out: Ordered[] = [];
  for (;;) {
    const heads = left.flatMap(([head]) => (head === undefined ? [] : [head]));
    heads.sort((a, b) => Number(a.ts - b.ts) || (a.key < b.key ? -1 : 1));
    const [least] = heads;
    if (least === undefined) return out;
    out.push(least);
    left.find(([head]) => head === least)?.shift();
  }
}

test('by ts, then key, and each recording in its own order', async () => {
  await fc.assert(
    fc.asyncProperty(recordings, async (streams) => {
      const merged = await Array.fromAsync(mergeRecordings(streams.map(asStream)));
      expect(merged).toEqual(simpleMerge(streams));
      for (const [i, stream] of streams.entries()) {
        expect(merged.filter(({ key }) => key === `recording ${i}`)).toEqual(stream);
      }
    }),
    { numRuns: 500, seed: SEED },
  );
});

test('where every ts goes up, it is sorting', async () => {
  const rising = recordings.map((streams) =>
    streams.map((stream) => stream.map((one, i) => ({ ...one, ts: BigInt(i) * 3n }))),
  );
  await fc.assert(
    fc.asyncProperty(rising, async (streams) => {
      const sorted = streams.flat().sort((a, b) => Number(a.ts - b.ts) || (a.key < b.key ? -1 : 1));
      expect(await Array.fromAsync(mergeRecordings(streams.map(asStream)))).toEqual(sorted);
    }),
    { seed: SEED },
  );
});

test('streams are read no further than they must be, and closed with the reader', async () => {
  const taken = [0, 0];
  const closed: number[] = [];
  async function* stream(of: 0 | 1, step: bigint): AsyncGenerator<Ordered> {
    try {
      for (let seq = 1n; ; seq++) {
        taken[of] = (taken[of] ?? 0) + 1;
        yield { ts: seq * step, seq, key: `${of}` };
      }
    } finally {
      closed.push(of);
    }
  }
  let count = 0;
  for await (const _ of mergeRecordings([stream(0, 1n), stream(1, 1000n)]))
    if (++count === 10) break;
  expect(taken).toEqual([10, 1]);
  expect(closed).toEqual([0, 1]);
});

test('keys order by host, boot and recording, part by part', () => {
  const of = (host: string, boot_id: string, recording: string): string =>
    recordingKey({ host, boot_id, recording });
  const ordered = [of('a', 'z', 'z'), of('a b', 'a', 'a'), of('ab', 'a', 'b'), of('ab', 'b', 'a')];
  expect([...ordered].reverse().sort()).toEqual(ordered);
});

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

function segmentsDirectory(store: string): string {
  const path = join(directory.path, store, 'segments');
  mkdirSync(path, { recursive: true });
  return path;
}

const seqs = async (paths: readonly string[]): Promise<bigint[]> => {
  const opened = openStores(paths);
  const none = { since: null, until: null, types: [], ops: [], pids: [], comms: [] };
  try {
    return await rowSeqs(opened, select(none));
  } finally {
    for (const segment of opened.segments) segment.close();
  }
};

test('a recording that lies in two stores and a copy is one, each row once', async () => {
  const [a, b] = [segmentsDirectory('a'), segmentsDirectory('b')];
  const made = new MadeRecording(a, 'one', SEED, 1);
  for (let i = 0; i < 4; i++) {
    const { directory: path } = made.write(['process', 20], ['file', 30]).seal();
    if (i === 1) renameSync(path, join(b, basename(path)));
    if (i === 2) cpSync(path, join(b, basename(path)), { recursive: true });
  }
  const all = [...made.rows.keys()];
  const [storeA, storeB] = [join(a, '..'), join(b, '..')];
  expect(await seqs([storeA, storeB]), `seed ${SEED}`).toEqual(all);
  expect(await seqs([storeB, storeA, storeB]), `seed ${SEED}`).toEqual(all);
  const alone = openStores([storeA]);
  expect(alone.problems.map(({ text }) => text)).toEqual([
    expect.stringContaining('and this one are gone'),
  ]);
  const together = openStores([storeA, storeB]);
  expect(together.problems).toEqual([]);
  for (const segment of [...alone.segments, ...together.segments]) segment.close();
});

test('one store that is not there is named', () => {
  const a = segmentsDirectory('a');
  new MadeRecording(a, 'one', SEED, 1).write(['file', 5]).seal();
  expect(() => openStores([join(a, '..'), join(directory.path, 'none')])).toThrow(
    `there is no store at ${join(directory.path, 'none')}`,
  );
});
