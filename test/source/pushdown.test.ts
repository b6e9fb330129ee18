// What of a filter is decided before a record is made: the synthetic source runs the kernel's own code for
// it. However much of a random filter that takes, what comes out is what the plain executor says of the rows
// without a filter.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EventType } from '../../schemas/arrow.ts';
import type { RowValue } from '../../src/event/json.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';
import { matches } from '../../src/query/predicate.ts';
import { recordingFilter } from '../../src/query/recording-filter.ts';
import { native, type SourceFilter, type SourceOptions } from '../../src/source/binding.ts';
import { pushable } from '../support/pushable.ts';
import { RowTaker, type SourceRow } from '../support/source-rows.ts';

const EVENTS = 300;
const PAIRS = process.env.TAPIO_LONG === undefined ? 1_000 : 20_000;

const OPTIONS: Omit<SourceOptions, 'seed'> = {
  kind: 'synthetic',
  pins: null,
  resume: null,
  orphanTimeoutNs: 600_000_000_000n,
  ringBytes: 1 << 19,
  tsOffset: 0n,
  nextSeq: 1n,
  slotsPerType: 1,
  rate: 0,
  cpus: 1,
  events: EVENTS,
  ops: [1, 2, 3, 4, 5, 6, 7, 9, 15, 24, 25, 28, 37],
  syscalls: [],
  latency: true,
  exclude: { pids: [], uids: [], comms: [], cgroups: [] },
};

const bySeq = (a: SourceRow, b: SourceRow): number => Number(a.seq - b.seq);
const sum = (values: BigUint64Array): number => Number(values.reduce((a, b) => a + b, 0n));

interface Outcome {
  readonly rows: SourceRow[];
  /** Left out before a record was made, and after it was read. */
  readonly before: number;
  readonly after: number;
}

async function outcome(seed: number, filter: SourceFilter | null): Promise<Outcome> {
  return await new Promise((resolve) => {
    const source = native().createSource({ ...OPTIONS, seed, filter }, () => {
      taker.pump();
      const cut = taker.cuts.at(-1);
      if (cut === undefined) return;
      if (cut.final) {
        source.close();
        resolve({
          rows: taker.rows.toSorted(bySeq),
          before: sum(cut.filtered),
          after: sum(cut.own),
        });
      } else if (sum(cut.consumed) + sum(cut.filtered) + sum(cut.own) === EVENTS) source.stop();
      else source.cut(null);
    });
    const taker = new RowTaker(source, true);
    source.start();
    source.cut(null);
  });
}

const getterOf =
  (row: SourceRow) =>
  (field: string): RowValue =>
    (row[field] ?? null) as RowValue;
/** Of rows of different runs, which differ in their times. */
const timeless = ({ seq: _1, ts: _2, flags: _3, ...row }: SourceRow): object => row;

const texts = (rows: readonly SourceRow[], ...fields: string[]): string[] =>
  [...new Set(rows.flatMap((row) => fields.map((field) => row[field])))].filter(
    (one) => typeof one === 'string',
  );

test(`${PAIRS} random filters, as much of them as can be decided before`, {
  timeout: 1_200_000,
}, async () => {
  const seed = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
  const { rows } = await outcome(seed, null);
  expect(rows.length).toBe(EVENTS);
  const numbers = rows.flatMap((row) => [row.pid, row.ppid, row.cgroup_id, row.sport, row.dport]);
  const addresses = texts(rows, 'saddr', 'daddr');
  const paths = texts(rows, 'path', 'filename');
  const names = texts(rows, 'comm');
  const filters = fc.sample(
    pushable({
      numbers: [...numbers.filter((n) => n !== null && n !== undefined), 0, 1].map((n) =>
        BigInt(n as number),
      ),
      names: [...names, ...names.map((one) => one.slice(0, 2)), 'a\\b', 'no such name at all'],
      addresses: [
        ...addresses,
        ...addresses.map((one) => `${one}/${one.includes(':') ? 128 : 32}`),
        ...['0.0.0.0/0', '::/0', '::/64', '10.1.0.0/16', '10.1.0.0/25', '2000::/3'],
      ],
      paths: [...paths, ...paths.map((one) => one.slice(0, one.lastIndexOf('/') + 1)), '/', ''],
    }),
    { numRuns: PAIRS, seed },
  );
  const sums = { before: 0, after: 0, rows: 0 };
  for (const text of filters) {
    const filter = await parseFilter(text);
    const expected = rows.filter(
      (row) => matches(filter.for(row.type as EventType), getterOf(row)) === true,
    );
    const found = await outcome(seed, await recordingFilter(text));
    expect(found.rows.map(timeless), `seed ${seed}: ${text}`).toEqual(expected.map(timeless));
    expect(found.rows.length + found.before + found.after).toBe(EVENTS);
    sums.before += found.before;
    sums.after += found.after;
    sums.rows += found.rows.length;
  }
  // It takes most, and is not all.
  expect(sums.before, `seed ${seed}`).toBeGreaterThan(2 * sums.after);
  expect(sums.after, `seed ${seed}`).toBeGreaterThan(0);
  expect(sums.rows, `seed ${seed}`).toBeGreaterThan(PAIRS);
});

test('filters of what is known beforehand leave nothing to be decided later', async () => {
  for (const text of [
    'type == "network"',
    'op in ["open", "exec"]',
    'uid == 0 || pid > 2000',
    'comm == "nginx" && network.dport == 443',
    '!(comm == "nginx" || comm.startsWith("s"))',
    '!(comm in ["nginx", "sshd"])',
    'network.dport >= 1024 && !cidr("10.0.0.0/8").containsIP(network.daddr)',
    'op == "open" && file.path.startsWith("/etc/")',
    'op == "open" ? file.path != "/etc/passwd" : comm == "sshd"',
    'op == "exec" && process.filename.startsWith("/usr/bin/")',
    'has(process.exit_code)',
  ]) {
    const { rows, before, after } = await outcome(7, await recordingFilter(text));
    expect([text, after], text).toEqual([text, 0]);
    expect(before, text).toBeGreaterThan(0);
    expect(rows.length, text).toBeGreaterThan(0);
  }
});
