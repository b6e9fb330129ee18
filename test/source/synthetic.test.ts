import { expect, test } from 'vitest';
import type { BatchItem, CutItem } from '../../src/event/batch.ts';
import { native, type SourceOptions } from '../../src/source/binding.ts';
import { pointOf, RowTaker } from '../support/source-rows.ts';

const BASE: SourceOptions = {
  kind: 'synthetic',
  pins: null,
  resume: null,
  orphanTimeoutNs: 600_000_000_000n,
  ringBytes: 4 << 20,
  tsOffset: 0n,
  nextSeq: 1n,
  slotsPerType: 4,
  rate: 200_000,
  seed: 7,
  cpus: 2,
  events: 50_000,
  ops: [1, 2, 3, 4, 5, 6, 7, 9, 15, 24, 25, 28, 37],
  syscalls: [],
  latency: true,
  exclude: { pids: [], uids: [], comms: [], cgroups: [] },
};

const sum = (values: BigUint64Array): bigint => values.reduce((a, b) => a + b, 0n);

interface Run {
  batches: BatchItem[];
  seqs: bigint[];
  final: CutItem;
  pids: Map<bigint, number>;
}

/** Runs a source until `expected` events were issued, then stops it. */
async function run(options: SourceOptions, whileRunning?: (rows: number) => void): Promise<Run> {
  const batches: BatchItem[] = [];
  const seqs: bigint[] = [];
  const pids = new Map<bigint, number>();
  let rows = 0;
  let issued = 0n;
  return await new Promise((resolve) => {
    const source = native().createSource(options, () => pump());
    const timer = setInterval(() => source.cut(null), 20);
    const pump = (): void => {
      for (let item = source.take(); item !== null; item = source.take()) {
        if (item.kind === 'batch') {
          const regions = native().columns(item.type);
          const memory = source.slotBuffer(item.slot);
          const at = (name: string): number => regions.find((r) => r.name === name)?.data ?? -1;
          const seq = new BigUint64Array(memory, at('seq'), item.rows);
          const pid = new Uint32Array(memory, at('pid'), item.rows);
          for (let i = 0; i < item.rows; i++) {
            seqs.push(seq[i] ?? 0n);
            pids.set(seq[i] ?? 0n, pid[i] ?? 0);
          }
          batches.push(item);
          rows += item.rows;
          source.release(item.slot);
        } else if (item.final) {
          source.close();
          resolve({ batches, seqs, final: item, pids });
          return;
        } else {
          whileRunning?.(rows);
          issued = sum(item.consumed) + sum(item.filtered) + sum(item.lost);
          if (issued >= BigInt(options.events ?? 0)) {
            clearInterval(timer);
            source.stop();
          }
        }
      }
    };
    source.start();
  });
}

test('what is issued is consumed, and seq has no gap', async () => {
  const { seqs, final } = await run(BASE);
  expect(sum(final.consumed)).toBe(50_000n);
  expect(sum(final.lost)).toBe(0n);
  expect(sum(final.malformed)).toBe(0n);
  expect(final.throughSeq).toBe(50_000n);
  seqs.sort((a, b) => (a < b ? -1 : 1));
  expect(seqs.length).toBe(50_000);
  expect(seqs.every((seq, i) => seq === BigInt(i + 1))).toBe(true);
});

test('the same seed gives the same events on one CPU', async () => {
  const one = { ...BASE, cpus: 1, events: 5_000 };
  const [a, b, c] = [await run(one), await run(one), await run({ ...one, seed: 8 })];
  const inOrder = (r: Run): (number | undefined)[] =>
    [...r.pids.keys()].sort((x, y) => Number(x - y)).map((seq) => r.pids.get(seq));
  expect(inOrder(a)).toEqual(inOrder(b));
  expect(inOrder(a)).not.toEqual(inOrder(c));
});

test('what selection rejects is counted as filtered', async () => {
  const exclude = { pids: [], uids: [0], comms: [], cgroups: [] };
  const { final, seqs } = await run({ ...BASE, exclude });
  expect(sum(final.filtered)).toBeGreaterThan(0n);
  expect(sum(final.filtered) + sum(final.consumed)).toBe(50_000n);
  expect(BigInt(seqs.length)).toBe(sum(final.consumed));
});

test('a ring that is lapped while the drain stands still loses exactly what it says', async () => {
  const options = { ...BASE, ringBytes: 512 << 10, events: 60_000, rate: 0, slotsPerType: 2 };
  const { final, seqs } = await new Promise<Run>((resolve) => {
    const seqs: bigint[] = [];
    const source = native().createSource(options, () => {
      for (let item = source.take(); item !== null; item = source.take()) {
        if (item.kind === 'batch') {
          for (let i = 0; i < item.rows; i++) seqs.push(0n);
          source.release(item.slot);
        } else if (item.final) {
          source.close();
          resolve({ batches: [], seqs, final: item, pids: new Map() });
          return;
        }
      }
    });
    source.start();
    source.pause(true);
    setTimeout(() => {
      source.pause(false);
      source.stop();
    }, 1500);
  });
  expect(sum(final.lost)).toBeGreaterThan(0n);
  expect(sum(final.lost) + sum(final.consumed)).toBe(60_000n);
  expect(BigInt(seqs.length)).toBe(sum(final.consumed));
});

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('after a rewind the same rows come again, with the same seqs', async () => {
  const source = native().createSource({ ...BASE, ringBytes: 64 << 20 }, () => {});
  const taker = new RowTaker(source);
  const started = source.start();
  expect(started).toEqual({ alive: [], sockets: [], how: 'new', resumed: false, notes: [] });
  const until = async (enough: () => boolean): Promise<void> => {
    while (!enough()) {
      source.cut(null);
      await sleep(5);
      taker.pump();
    }
  };
  const consumed = (): bigint => sum(taker.cuts.at(-1)?.consumed ?? new BigUint64Array());
  await until(() => consumed() > 10_000n);
  const committed = taker.cuts.at(-1);
  if (committed === undefined) throw new Error('no cut');
  await until(() => consumed() === 50_000n);
  const memory = source.slotBuffer(0);
  const first = taker.rows.splice(0).filter((row) => row.seq > committed.throughSeq);
  source.rewind({ tsOffset: 0n, nextSeq: committed.throughSeq + 1n, point: pointOf(committed) });
  taker.forgetDictionaries();
  source.cut(null);
  await sleep(50);
  expect(source.take()).toBe(null);
  source.pause(false);
  source.stop();
  while (taker.cuts.at(-1)?.final !== true) {
    await sleep(5);
    taker.pump();
  }
  const last = taker.cuts.at(-1);
  expect(source.slotBuffer(0)).toBe(memory);
  expect(memory.byteLength).toBeGreaterThan(0);
  source.close();
  const inOrder = (rows: typeof first): typeof first =>
    rows.toSorted((a, b) => Number(a.seq - b.seq));
  expect(inOrder(taker.rows)).toEqual(inOrder(first));
  expect(last?.rings).toBe(committed.rings);
  expect(last?.ended).toBe(true);
  expect(last?.throughSeq).toBe(50_000n);
  expect([sum(last?.consumed ?? new BigUint64Array()), last?.lost.some((n) => n > 0n)]).toEqual([
    50_000n,
    false,
  ]);
  expect(last?.emitted).toEqual(last?.consumed);
});

test('a point in rings that are not there is not used', async () => {
  const counters = new BigUint64Array(2 * native().opsMax);
  const resume = {
    rings: 'gone',
    positions: new BigUint64Array(2).fill(8n),
    ahead: [[], []],
    consumed: counters.fill(1n),
    lost: counters,
    own: counters,
    malformed: new BigUint64Array(native().opsMax),
    late: 3n,
    newest: 1n,
  };
  const { final } = await run({ ...BASE, resume });
  expect(sum(final.consumed)).toBe(50_000n);
  expect(final.throughSeq).toBe(50_000n);
});
