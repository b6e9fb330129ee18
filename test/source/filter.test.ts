// The filter of a recording, on raw records: what it lets through of some rings are the rows for which the
// predicate is true, as its plain executor says of the same rings without a filter; what it leaves out is
// counted.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import type { RowValue } from '../../src/event/json.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';
import { matches } from '../../src/query/predicate.ts';
import { recordingFilter } from '../../src/query/recording-filter.ts';
import { native, type SourceFilter, type SourceOptions } from '../../src/source/binding.ts';
import { type Constants, expressionOf } from '../support/expressions.ts';
import { RowTaker, type SourceRow } from '../support/source-rows.ts';

const EVENTS = 300;
const PAIRS = process.env.TAPIO_LONG === undefined ? 2_000 : 20_000;
const MOMENT = 1_795_370_400_000_000_000n;

const OPTIONS: Omit<SourceOptions, 'tsOffset' | 'seed'> = {
  kind: 'synthetic',
  pins: null,
  resume: null,
  orphanTimeoutNs: 600_000_000_000n,
  ringBytes: 1 << 20,
  nextSeq: 1n,
  slotsPerType: 2,
  rate: 0,
  cpus: 2,
  events: EVENTS,
  ops: [1, 2, 3, 4, 5, 6, 7, 9, 15, 24, 25, 28, 37],
  syscalls: [],
  latency: true,
  exclude: { pids: [], uids: [], comms: [], cgroups: [] },
};

const bySeq = (a: SourceRow, b: SourceRow): number => Number(a.seq - b.seq);
const sum = (values: BigUint64Array | undefined): number =>
  Number((values ?? new BigUint64Array()).reduce((a, b) => a + b, 0n));

/** Rings that are full, and can be read again and again. */
class FullRings {
  readonly #source;
  readonly tsOffset: bigint;
  #ready: () => void = () => {};

  constructor(seed: number) {
    // Times lie around the moment that expressions name.
    this.tsOffset = MOMENT - native().clocks().monotonic;
    const options = { ...OPTIONS, seed, tsOffset: this.tsOffset };
    this.#source = native().createSource(options, () => this.#ready());
    this.#source.start();
  }

  /** Reads all of it, and says how much was left out. */
  async read(filter: SourceFilter | null): Promise<{ rows: SourceRow[]; leftOut: number }> {
    const { ops, syscalls, latency, exclude } = OPTIONS;
    this.#source.configure({ ops, syscalls, latency, exclude, filter });
    this.#source.rewind({ tsOffset: this.tsOffset, nextSeq: 1n, point: null });
    const taker = new RowTaker(this.#source, true);
    this.#source.pause(false);
    for (;;) {
      const wakes = new Promise<void>((resolve) => {
        this.#ready = resolve;
      });
      this.#source.cut(null);
      await wakes;
      taker.pump();
      const cut = taker.cuts.at(-1);
      if (sum(cut?.consumed) + sum(cut?.own) < EVENTS) continue;
      expect(cut?.filter).toBe(filter?.text ?? null);
      expect(sum(cut?.lost) + sum(cut?.malformed)).toBe(0);
      expect(taker.rows.length).toBe(sum(cut?.consumed));
      return { rows: taker.rows.toSorted(bySeq), leftOut: sum(cut?.own) };
    }
  }

  close(): void {
    this.#source.close();
  }
}

const typeOf = (row: SourceRow): EventType => row.type as EventType;
const getterOf =
  (row: SourceRow, tsOffset: bigint) =>
  (field: string): RowValue =>
    field === 'ktime' ? (row.ts as bigint) - tsOffset : ((row[field] ?? null) as RowValue);
const withoutSeq = ({ seq: _seq, ...row }: SourceRow): object => row;

/** Values that the rows have, so that comparisons with them are true now and then. */
function constantsIn(rows: readonly SourceRow[]): Constants {
  const cells = rows.flatMap((row) => Object.values(row)).flat();
  const numbers = cells.flatMap((one) =>
    typeof one === 'number' || typeof one === 'bigint' ? [BigInt(one)] : [],
  );
  // Products of two fit 63 bits.
  const small = numbers.filter((n) => n >= 0n && n < 2n ** 31n);
  const words = cells.filter((one) => typeof one === 'string');
  const some = <T>(values: readonly T[]): T[] => [...new Set(values)].slice(0, 200);
  return { numbers: some([...small, 0n, 1n, 443n]), words: some([...words, '', '/', 'nginx']) };
}

test(`${PAIRS} random filters on raw records are what the plain executor says`, {
  timeout: 1_200_000,
}, async () => {
  const seed = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
  const rings = new FullRings(seed);
  try {
    await rings.read(null);
    // Read once more: as they were written, rows may have come late.
    const { rows, leftOut } = await rings.read(null);
    expect(leftOut).toBe(0);
    const constants = constantsIn(rows);
    const samples = EVENT_TYPES.flatMap((type) =>
      fc.sample(expressionOf(type, constants), {
        numRuns: (PAIRS * 1.25) / EVENT_TYPES.length,
        seed,
      }),
    );
    let [tried, some] = [0, 0];
    for (const { ours } of samples) {
      const made = await recordingFilter(ours).catch(() => null);
      // Some constants together are none: a division by zero.
      if (made === null) continue;
      const filter = await parseFilter(ours);
      const expected = rows.filter(
        (row) => matches(filter.for(typeOf(row)), getterOf(row, rings.tsOffset)) === true,
      );
      const read = await rings.read(made);
      tried++;
      if (expected.length > 0 && expected.length < rows.length) some++;
      if (read.rows.length !== expected.length || read.leftOut !== EVENTS - expected.length) {
        expect.fail(`seed ${seed}: ${ours}: ${read.rows.length} rows, not ${expected.length}`);
      }
      expect(read.rows.map(withoutSeq), `seed ${seed}: ${ours}`).toEqual(expected.map(withoutSeq));
    }
    expect(tried, `seed ${seed}`).toBeGreaterThanOrEqual(PAIRS);
    expect(some, `seed ${seed}`).toBeGreaterThan(tried / 5);
  } finally {
    rings.close();
  }
});

test('seq is no ground to filter a recording by', async () => {
  await expect(recordingFilter('pid == 1 && seq > 5')).rejects.toThrow('filtered by seq');
  await expect(recordingFilter('pid = 1')).rejects.toThrow('==');
  expect(await recordingFilter(null)).toBe(null);
});
