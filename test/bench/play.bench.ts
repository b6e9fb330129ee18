// Playing: how exactly rows come when they are due, and how fast they can come. The machine's own stalls are
// measured beside it: a program that only looks at the clock shows for how long nothing ran.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { Recording, ROOT, type Row, temporaryDirectory } from '../support/recording.ts';
import { report } from './report.ts';

const RUNS = 5;
const RATE = 2000;
const ROWS = 60_000;
const MANY_ROWS = 2_000_000;
const MANY_RATE = 200_000;
/** What a recorder may need beyond the time of its events. */
const SLACK_S = 5;
const SPIN_MS = 3000;
const STALL_MS = 1;

async function record(store: string, rate: number, events: number): Promise<void> {
  const flags = ['--source', 'synthetic', '--rate', `${rate}`, '--events', `${events}`];
  const seconds = events / rate + SLACK_S;
  await new Recording(store, [...flags, '--seed', '7', '--duration', `${seconds}s`]).finished();
}

function play(store: string, ...flags: string[]): Row {
  const program = [
    'cli/tapio-replay.ts',
    'play',
    '--store',
    store,
    '-o',
    'none',
    '--stats',
    'json',
  ];
  const done = spawnSync(execPath, [...program, ...flags], { cwd: ROOT });
  return JSON.parse(done.stdout.toString()) as Row;
}

/** Share of the time in which a program that does nothing else did not run, in pieces of over 1 ms. */
function stalled(): number {
  const begun = performance.now();
  let [before, lost] = [begun, 0];
  while (before - begun < SPIN_MS) {
    const now = performance.now();
    if (now - before > STALL_MS) lost += now - before;
    before = now;
  }
  return (lost / SPIN_MS) * 100;
}

export async function bench(): Promise<void> {
  const directory = temporaryDirectory();
  try {
    const calm = join(directory.path, 'calm');
    await record(calm, RATE, ROWS);
    const stalls: number[] = [];
    const paced: Row[] = [];
    for (let i = 0; i < RUNS; i++) {
      stalls.push(stalled());
      paced.push(play(calm, '--speed', '10x'));
    }
    report({ name: 'machine stalled for over 1 ms', values: stalls, unit: '% of the time' });
    for (const name of ['p50', 'p99', 'max']) {
      const values = paced.map((one) => one.error_us[name] as number);
      report({
        name: `play 10x, ${ROWS} rows at ${10 * RATE}/s, error ${name}`,
        values,
        unit: 'µs',
      });
    }
    const share = (one: Row): number => (one.late_rows / one.rows) * 100;
    report({ name: 'play 10x late by over 1 ms', values: paced.map(share), unit: '% of rows' });
    const total = (one: Row): number => Math.abs(one.wall_s / one.scheduled_s - 1) * 100;
    report({ name: 'play 10x total off by', values: paced.map(total), unit: '%' });

    const many = join(directory.path, 'many');
    await record(many, MANY_RATE, MANY_ROWS);
    const rates = Array.from({ length: RUNS }, () => play(many, '--speed', 'max').rate as number);
    report({ name: 'play max, no sink', values: rates, unit: 'events/s' });
  } finally {
    directory.remove();
  }
}
