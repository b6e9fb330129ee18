// From the kernel to a NATS server: what sending onward costs the host, and how long an event takes.

import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { NatsServer } from '../support/nats-server.ts';
import { ROOT } from '../support/recording.ts';
import { onWorkCpu, startRecorder, sum } from './recorder.ts';
import { report } from './report.ts';

const ROUNDS = 3;
const SECONDS = 10;
/** Raw events a second of a busy host, of which 1 % go onward by the default filter. */
const RAW_RATE = 100_000;
/** Onward events a second of which each is timed. */
const TIMED_RATE = 20_000;
/** What is not timed: connections are made, and code is compiled. */
const WARM_MS = 10_000;
/** In it is the time of an event. */
const HEAD_BYTES = 200;
const TIMESTAMP = '"timestamp":"';

const mixed = (rate: number, seconds: number): Promise<string> =>
  onWorkCpu('build/bench/mixed', String(rate), String(seconds));

interface Cost {
  /** CPU of the recorder, % of the machine. */
  readonly cpu: number;
  readonly raw: number;
  readonly onward: number;
  readonly lost: number;
}

async function costOf(flags: readonly string[]): Promise<Cost> {
  const recorder = await startRecorder(flags);
  await mixed(RAW_RATE, WARM_MS / 1000);
  const [before, begun] = [recorder.status(), performance.now()];
  await mixed(RAW_RATE, SECONDS);
  const after = recorder.status();
  const seconds = (performance.now() - begun) / 1000;
  const taken = (status: typeof after): number => status.sinks[0]?.taken ?? 0;
  await recorder.stop();
  return {
    cpu: ((after.cpu_s - before.cpu_s) / seconds / availableParallelism()) * 100,
    raw: (sum(after.events) - sum(before.events)) / seconds,
    onward: (taken(after) - taken(before)) / seconds,
    lost: sum(after.lost),
  };
}

/** ms since 1970 of an RFC 3339 time. */
function timeOf(text: string): number {
  const seconds = Date.parse(`${text.slice(0, 19)}Z`);
  return seconds + Number(`0${text.slice(19, -1)}`) * 1000;
}

/** Times of events from the kernel to a subscriber, ms, in order. */
async function latencies(server: NatsServer): Promise<number[]> {
  const connection = await server.connect();
  const recorder = await startRecorder([
    ...['--sink', `nats://${server.server}`, '--sink-filter', 'type == "file"'],
  ]);
  const found: number[] = [];
  let isWarm = false;
  connection.subscribe('>', {
    callback: (_error, message) => {
      if (!isWarm) return;
      const now = performance.timeOrigin + performance.now();
      const text = Buffer.from(message.data.subarray(0, HEAD_BYTES)).toString('latin1');
      const at = text.indexOf(TIMESTAMP) + TIMESTAMP.length;
      if (at > TIMESTAMP.length) found.push(now - timeOf(text.slice(at, text.indexOf('"', at))));
    },
  });
  const work = mixed(TIMED_RATE, SECONDS + WARM_MS / 1000);
  await sleep(WARM_MS);
  isWarm = true;
  await work;
  await sleep(500);
  await recorder.stop();
  await connection.close();
  return found.sort((a, b) => a - b);
}

export async function bench(): Promise<void> {
  execFileSync('gcc', ['-O2', '-o', 'build/bench/mixed', 'test/bench/mixed.c'], { cwd: ROOT });
  const server = await NatsServer.start();
  try {
    const to = ['--sink', `nats://${server.server}`];
    const kinds = { none: [], default: to, all: [...to, '--sink-filter', 'true'] };
    const costs: Record<keyof typeof kinds, Cost[]> = { none: [], default: [], all: [] };
    // In turn, as the machine is not the same at all times.
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, flags] of Object.entries(kinds)) {
        costs[name as keyof typeof kinds].push(await costOf(flags));
      }
    }
    const added = (name: 'default' | 'all'): number[] =>
      costs[name].map(({ cpu }, i) => cpu - (costs.none[i]?.cpu ?? 0));
    const all = Object.values(costs).flat();
    const machine = '% of the machine';
    report({ name: 'onward, raw', values: all.map(({ raw }) => raw), unit: 'events/s' });
    report({ name: 'onward, lost', values: [sum(all.map(({ lost }) => lost))], unit: 'events' });
    report({ name: 'onward off, CPU', values: costs.none.map(({ cpu }) => cpu), unit: machine });
    for (const name of ['default', 'all'] as const) {
      const rates = costs[name].map(({ onward }) => onward);
      report({ name: `onward ${name}, taken`, values: rates, unit: 'events/s' });
      report({ name: `onward ${name}, CPU added`, values: added(name), unit: machine });
    }
    const timed: number[][] = [];
    for (let round = 0; round < ROUNDS; round++) timed.push(await latencies(server));
    for (const share of [0.5, 0.99]) {
      report({
        name: `kernel to NATS subscriber, p${share * 100}`,
        values: timed.map((one) => one[Math.floor(one.length * share)] ?? Number.NaN),
        unit: 'ms',
      });
    }
    report({
      name: 'kernel to NATS subscriber, timed',
      values: timed.map(({ length }) => length / SECONDS),
      unit: 'events/s',
    });
  } finally {
    await server.remove();
  }
}
