// Five questions to a recording of 20 million mixed events, beside what a user would ask them with instead.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { env, execPath, stdout } from 'node:process';
import { createInterface } from 'node:readline';
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
const RUNS = 9;
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

/** From starting the program to the first byte of its answer, ms. */
async function firstByte(args: readonly string[]): Promise<number> {
  const began = performance.now();
  const child = spawn(execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  const took = performance.now() - began;
  await once(child, 'close');
  return took;
}

/** From starting the program to its first row; and what it takes of memory for a long answer. */
async function program(of: Questions): Promise<void> {
  const values: number[] = [];
  const args = [
    'dist/tapio-replay.js',
    'query',
    `pid == ${of.pid}`,
    '--first',
    '1',
    '--store',
    STORE,
  ];
  for (let run = 0; run <= RUNS; run++) {
    const took = await firstByte(args);
    if (run > 0) values.push(took);
  }
  report({ name: 'query: first row, from starting the program', values, unit: 'ms' });
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
  const times = new Map<string, number[]>();
  const peers = new Peers(asked);
  // The first round is to warm up.
  for (let round = 0; round <= RUNS; round++) {
    const answers = new Map<string, unknown>();
    for (const [name, ask] of Object.entries(ours(asked))) {
      const began = performance.now();
      const { answer, reading } = await ask();
      if (round > 0) note(times, `query: ${name}`, performance.now() - began);
      answers.set(name, answer);
      if (round === RUNS) tellRead(name, answer, reading, held);
    }
    for (const { engine, query, ms, answer, error } of await peers.round()) {
      const own = answers.get(query);
      const differs = error ?? (typeof answer === 'number' && answer !== own);
      if (differs) stdout.write(`${JSON.stringify({ engine, query, error, answer, own })}\n`);
      else if (round > 0) note(times, `query: ${query} (${engine})`, ms);
    }
  }
  await peers.end();
  for (const [name, values] of times) report({ name, values, unit: 'ms' });
  await program(asked);
  if (env.TAPIO_BENCH_KEEP === undefined) rmSync(DIRECTORY, { recursive: true, force: true });
}

function note(times: Map<string, number[]>, name: string, ms: number): void {
  times.set(name, [...(times.get(name) ?? []), ms]);
}

function tellRead(
  name: string,
  answer: unknown,
  { scanner, segments }: Reading,
  held: number,
): void {
  const { bytes, batches } = scanner.counts;
  const all = segments.reduce((sum, segment) => sum + segment.bytesRead, bytes);
  const share = Number(((all / held) * 100).toPrecision(3));
  stdout.write(
    `${JSON.stringify({ note: name, batches, bytes: all, percent_of_store: share, answer })}\n`,
  );
}

interface PeerAnswer {
  readonly engine: string;
  readonly query: string;
  readonly ms: number;
  readonly answer: unknown;
  readonly error?: string;
}

/** DuckDB and polars, in a process that answers everything once for each line. */
class Peers {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(of: Questions) {
    const python = join(ROOT, '.venv/bin/python');
    // Times do not fit a number of JSON's readers here, but they do there.
    const questions = JSON.stringify(of, (_, value) =>
      typeof value === 'bigint' ? `${value}` : value,
    ).replace(/"(since|until)":"(\d+)"/g, '"$1":$2');
    const args = ['test/bench/query_peers.py', STORE, join(DIRECTORY, 'parquet'), questions];
    this.#child = spawn(python, args, { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    this.#lines = lines[Symbol.asyncIterator]();
  }

  async round(): Promise<PeerAnswer[]> {
    this.#child.stdin?.write('\n');
    const answers: PeerAnswer[] = [];
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) throw new Error('the peers have ended');
      if (value === '') return answers;
      answers.push(JSON.parse(value) as PeerAnswer);
    }
  }

  async end(): Promise<void> {
    this.#child.stdin?.end();
    await once(this.#child, 'close');
  }
}
