// Two hours of a host's events at ten times their speed (ten minutes; a part of it in npm test): nothing
// grows but the segments, and these within their limit. Also where the disk is slow.

import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Recording, temporaryDirectory } from '../support/recording.ts';
import { accountsOf, damageOf, sleep, statusOf } from './cli.ts';
import { Shim } from './shim.ts';

const LONG = process.env.TAPIO_LONG !== undefined;
/** A host makes a thousand events a second. */
const RATE = 10_000;
const SECONDS = LONG ? 600 : 24;
const SLOW_SECONDS = LONG ? 120 : 16;
const MAX_BYTES = LONG ? 16 << 20 : 2 << 20;
/** What memory may grow by after the first third: garbage comes and goes. */
const GROWTH_MAX = 32 << 20;

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
let open: Recording[];
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  mkdirSync(store, { mode: 0o700 });
  open = [];
});
afterEach(async () => {
  for (const recording of open) await recording.kill();
  directory.remove();
});

interface Sample {
  readonly anonymous: number;
  readonly descriptors: number;
  readonly stored: number;
}

function sizeOf(path: string): number {
  try {
    const stat = statSync(path);
    if (!stat.isDirectory()) return stat.size;
    return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
  } catch {
    // It was renamed or retired meanwhile.
    return 0;
  }
}

function sample(pid: number): Sample {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    anonymous: Number(/^RssAnon:\s*(\d+) kB/m.exec(status)?.[1]) * 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    stored: sizeOf(join(store, 'segments')),
  };
}

async function samplesOf(pid: number, seconds: number): Promise<Sample[]> {
  const out: Sample[] = [];
  for (let i = 0; i < seconds * 2; i++) {
    await sleep(500);
    out.push(sample(pid));
  }
  return out;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

/** How much more there is in the last third than in the second, by the middle sample of each. */
function growth(samples: readonly Sample[], of: keyof Sample): number {
  const third = Math.floor(samples.length / 3);
  const values = samples.map((one) => one[of]);
  return median(values.slice(2 * third)) - median(values.slice(third, 2 * third));
}

async function record(env: NodeJS.ProcessEnv = {}): Promise<Recording> {
  const flags = ['--source', 'synthetic', '--profile', 'full', '--rate', String(RATE)];
  const limits = ['--max-bytes', String(MAX_BYTES), '--ring-size', '4MiB', '--min-free', '0%'];
  const recording = await Recording.start(store, [...flags, ...limits], { env });
  open.push(recording);
  return recording;
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

test(
  `${SECONDS} seconds: memory, descriptors and store stay as they are`,
  async () => {
    const recording = await record();
    const samples = await samplesOf(recording.pid, SECONDS);
    const { retention, events } = statusOf(store) as {
      retention: { retired: number };
      events: Record<string, Record<string, number>>;
    };
    const { summary } = await recording.stop();
    const count = Object.values(events).flatMap((ops) => Object.values(ops));
    console.log(
      `${count.reduce((a, b) => a + b, 0)} events in ${SECONDS} s: memory ${mib(samples.at(-1)?.anonymous ?? 0)} (grew by ${mib(growth(samples, 'anonymous'))}), ${samples.at(-1)?.descriptors} descriptors, store at most ${mib(Math.max(...samples.map((one) => one.stored)))} of ${mib(MAX_BYTES)}, ${retention.retired} segments retired`,
    );
    expect(summary.lost).toEqual({});
    expect(retention.retired).toBeGreaterThan(0);
    expect(growth(samples, 'anonymous')).toBeLessThan(GROWTH_MAX);
    expect(growth(samples, 'descriptors')).toBeLessThanOrEqual(1);
    // While a segment is merged it is there twice, and each second decides what goes.
    for (const { stored } of samples) expect(stored).toBeLessThan(MAX_BYTES * 1.5);
    expect(accountsOf(store)).toMatchObject([{ holds: true, reasons: [], causes: [] }]);
    expect(damageOf(store)).toBe('');
  },
  (SECONDS + 120) * 1000,
);

// In a few seconds memory is still being touched for the first time: only a long run can tell.
if (process.env.TAPIO_LONG !== undefined) {
  test(
    `${SLOW_SECONDS} seconds on a slow disk: memory stays as it is`,
    async () => {
      const shim = new Shim(directory.path, store);
      const recording = await record(shim.env);
      await sleep(2000);
      shim.slow(100);
      const samples = await samplesOf(recording.pid, SLOW_SECONDS);
      shim.clear();
      await recording.stop();
      const [account] = accountsOf(store);
      const lost = Object.values(account?.ops ?? {}).reduce((sum, op) => sum + op.lost, 0);
      console.log(
        `each write 100 ms slower: memory ${mib(samples.at(-1)?.anonymous ?? 0)} (grew by ${mib(growth(samples, 'anonymous'))}), ${lost} lost`,
      );
      expect(account).toMatchObject({ holds: true, reasons: [] });
      expect(growth(samples, 'anonymous')).toBeLessThan(GROWTH_MAX);
      expect(growth(samples, 'descriptors')).toBeLessThanOrEqual(1);
      expect(damageOf(store)).toBe('');
    },
    (SLOW_SECONDS + 120) * 1000,
  );
}
