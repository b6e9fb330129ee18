// Five questions to a recording of 20 million mixed events, beside what a user would ask them with instead.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { env, execPath, stdout } from 'node:process';
import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';
import { Reading } from '../../src/query/reading.ts';
import { type Selection, select } from '../../src/query/select.ts';
import { groupsOf, type StatsQuestion } from '../../src/query/stats.ts';
import { openStore, segmentDirectories } from '../../src/segment/store.ts';
import { Recording, ROOT } from '../support/recording.ts';
import { report } from './report.ts';

const EVENTS = Number(env.TAPIO_BENCH_EVENTS ?? 20_000_000);
const RATE = 400_000;
const SEGMENTS = 21;
const RUNS = 5;
const NONE = { since: null, until: null, types: [], ops: [], pids: [], comms: [] };
const DIRECTORY = join(ROOT, 'build/bench/query');
const STORE = join(DIRECTORY, 'store');

/** Records once; the recording is kept for the next run. */
async function record(): Promise<void> {
  if (existsSync(join(STORE, 'segments'))) return;
  mkdirSync(STORE, { recursive: true, mode: 0o700 });
  const flags = ['--source', 'synthetic', '--profile', 'full', '--rate', String(RATE)];
  const limits = ['--events', String(EVENTS), '--max-bytes', '100GiB', '--min-free', '0%'];
  const recording = await Recording.start(STORE, [...flags, ...limits]);
  const everyMs = ((EVENTS / RATE) * 1000) / SEGMENTS;
  const timer = setInterval(() => recording.signal('SIGUSR2'), everyMs);
  // All are made by then; what is still in the rings is stored by the stop.
  await new Promise((resolve) => setTimeout(resolve, (EVENTS / RATE) * 1000 + 3000));
  clearInterval(timer);
  const { summary } = await recording.stop();
  stdout.write(
    `${JSON.stringify({ note: 'recorded', events: summary.events, lost: summary.lost })}\n`,
  );
}

interface Questions {
  readonly since: bigint;
  readonly until: bigint;
  readonly pid: number;
  readonly comm: string;
  readonly dport: number;
  readonly path: string;
}

/** What is asked is in the recording: a window in its middle, a process of it, its rarest path. */
async function questions(): Promise<Questions> {
  const opened = openStore(STORE);
  try {
    const batches = opened.segments.flatMap((s) => s.types().flatMap((type) => s.batches(type)));
    const first = batches.reduce((a, b) => (b.firstTs < a ? b.firstTs : a), 2n ** 63n);
    const last = batches.reduce((a, b) => (b.lastTs > a ? b.lastTs : a), 0n);
    const times = batches.map(({ firstTs }) => firstTs).sort((a, b) => (a < b ? -1 : 1));
    const since = times[times.length >> 1] ?? 0n;
    const until = since + (last - first) / 100n;
    const common = async (by: string, window: Partial<Selection>): Promise<unknown> => {
      const reading = Reading.of(opened, { ...select(NONE), ...window });
      const groups = await groupsOf(reading.scanner, reading.plan, asks(by), () => true);
      groups.sort((a, b) => Number(a.rows - b.rows));
      return (by === 'file.path' ? groups.find(({ keys }) => keys[0] !== null) : groups.at(-1))
        ?.keys[0];
    };
    const pid = (await common('pid', { since, until })) as number;
    const path = (await common('file.path', {})) as string;
    return { since, until, pid, path, comm: 'nginx', dport: 443 };
  } finally {
    for (const segment of opened.segments) segment.close();
  }
}

const asks = (by: string, sums: readonly string[] = []): StatsQuestion => ({
  by: [by],
  sums,
  distribution: () => null,
});

type Ask = () => Promise<{ answer: unknown; reading: Reading }>;

/** Each opens the store, plans and reads, as a program would that is asked once. */
function ours(of: Questions): Record<string, Ask> {
  const reads = (
    selection: () => Promise<Selection>,
    ask: (reading: Reading) => Promise<unknown>,
  ): Ask => {
    return async () => {
      const opened = openStore(STORE);
      try {
        const reading = Reading.of(opened, await selection());
        return { answer: await ask(reading), reading };
      } finally {
        for (const segment of opened.segments) segment.close();
      }
    };
  };
  const filtered = async (text: string, rest: Partial<typeof NONE> = {}): Promise<Selection> =>
    select({ ...NONE, ...rest, filter: await parseFilter(text) });
  const { since, until, pid, comm, dport, path } = of;
  return {
    'count by type': async () => {
      const opened = openStore(STORE);
      try {
        const counts: [EventType, number][] = [];
        let reading = Reading.of(opened, select(NONE));
        for (const type of EVENT_TYPES) {
          reading = Reading.of(opened, select({ ...NONE, types: [type] }));
          counts.push([type, await reading.count()]);
        }
        return { answer: counts.filter(([, rows]) => rows > 0), reading };
      } finally {
        for (const segment of opened.segments) segment.close();
      }
    },
    '1 % window, one pid': reads(
      async () => ({ ...(await filtered(`pid == ${pid}`)), since, until }),
      (reading) => reading.count(),
    ),
    'comm and dport': reads(
      () => filtered(`comm == "${comm}" && network.dport == ${dport}`),
      (reading) => reading.count(),
    ),
    'top 20 comm by bytes': reads(
      async () => select({ ...NONE, types: ['file'] }),
      async ({ scanner, plan }) => {
        const groups = await groupsOf(scanner, plan, asks('comm', ['file.bytes']), () => true);
        groups.sort((a, b) => Number((b.sums[0] ?? 0n) - (a.sums[0] ?? 0n)));
        return groups.slice(0, 20).map(({ keys, sums }) => [keys[0], Number(sums[0])]);
      },
    ),
    'needle path': reads(
      () => filtered(`file.path == ${JSON.stringify(path)}`),
      (reading) => reading.count(),
    ),
  };
}

function bytesUnder(path: string): number {
  if (!statSync(path).isDirectory()) return statSync(path).size;
  return readdirSync(path).reduce((sum, name) => sum + bytesUnder(join(path, name)), 0);
}

/** From starting the program to its first row; and what it takes of memory for a long answer. */
function program(of: Questions): void {
  const values: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const began = performance.now();
    const args = [
      'dist/tapio-replay.js',
      'query',
      `pid == ${of.pid}`,
      '--first',
      '1',
      '--store',
      STORE,
    ];
    execFileSync(execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'ignore'] });
    values.push(performance.now() - began);
  }
  report({ name: 'query: first row, from starting the program to its end', values, unit: 'ms' });
  const script = `/usr/bin/env node dist/tapio-replay.js query --first 2000000 -o json --store ${STORE} 2>/dev/null > /dev/null & p=$!; m=0; while kill -0 $p 2>/dev/null; do r=$(sed -n 's/^RssAnon:[^0-9]*\\([0-9]*\\) kB/\\1/p' /proc/$p/status 2>/dev/null); [ "\${r:-0}" -gt $m ] && m=$r; sleep 0.2; done; echo $m`;
  const ran = spawnSync('sh', ['-c', script], { cwd: ROOT, env: { ...env } });
  report({
    name: 'query -o json, 2 million rows: anonymous memory',
    values: [Number(ran.stdout) / 1024],
    unit: 'MiB',
  });
}

export async function bench(): Promise<void> {
  await record();
  const asked = await questions();
  const held = bytesUnder(join(STORE, 'segments'));
  const index = segmentDirectories(STORE).reduce(
    (sum, path) => sum + statSync(join(path, 'index.arrow')).size,
    0,
  );
  report({
    name: 'query: index of all batches',
    values: [(index / held) * 100],
    unit: '% of the store',
  });
  const answers = new Map<string, unknown>();
  for (const [name, ask] of Object.entries(ours(asked))) {
    const values: number[] = [];
    for (let run = 0; run <= RUNS; run++) {
      const began = performance.now();
      const { answer, reading } = await ask();
      // The first is to warm up, as it is with the peers.
      if (run > 0) values.push(performance.now() - began);
      answers.set(name, answer);
      if (run === RUNS) {
        const { bytes, batches } = reading.scanner.counts;
        const share = (bytes / held) * 100;
        stdout.write(
          `${JSON.stringify({ note: name, batches, bytes, percent_of_store: Number(share.toPrecision(3)), answer })}\n`,
        );
      }
    }
    report({ name: `query: ${name}`, values, unit: 'ms' });
  }
  program(asked);
  const python = join(ROOT, '.venv/bin/python');
  const plain = JSON.stringify({
    ...asked,
    since: Number(asked.since),
    until: Number(asked.until),
  }).replace(/"(since|until)":[\d.e+]+/g, (_, key: 'since' | 'until') => `"${key}":${asked[key]}`);
  const args = [
    'test/bench/query_peers.py',
    STORE,
    join(DIRECTORY, 'parquet'),
    String(RUNS),
    plain,
  ];
  const out = execFileSync(python, args, { cwd: ROOT, maxBuffer: 1 << 26 }).toString();
  for (const line of out.trim().split('\n')) {
    const { engine, query, ms, answer, error } = JSON.parse(line);
    if (error !== undefined) stdout.write(`${line}\n`);
    else report({ name: `query: ${query} (${engine})`, values: ms, unit: 'ms' });
    const own = JSON.stringify(answers.get(query));
    if (error === undefined && typeof answer === 'number' && JSON.stringify(answer) !== own) {
      stdout.write(
        `${JSON.stringify({ note: `${query} (${engine}) says ${answer}, we say ${own}` })}\n`,
      );
    }
  }
  if (env.TAPIO_BENCH_KEEP === undefined) rmSync(DIRECTORY, { recursive: true, force: true });
}
