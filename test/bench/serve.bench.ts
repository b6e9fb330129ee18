// Raw events to clients over gRPC: how fast one client gets what is stored, what four that follow cost the recorder, how old an
// event is when it comes, and whether the recording loses any by it. Beside it grpc-js as one would use it.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { certificates } from '../support/certificates.ts';
import { ROOT, run, temporaryDirectory } from '../support/recording.ts';
import { type BenchRecorder, onWorkCpu, startRecorder, sum, WORK_CPU } from './recorder.ts';
import { report } from './report.ts';

const RUNS = 3;
/** Stored events that a client takes in a run. */
const STORED = 2_000_000;
const STORING_RATE = 300_000;
/** Of which the slow ways take so many. */
const SOME = 500_000;
const CLIENTS = 4;
const SECONDS = 10;
const FOLLOWED_RATE = 100_000;
const TIMED_RATE = 20_000;
const BUSY_RATE = 200_000;
/** What is not timed: connections are made, and code is compiled. */
const WARM_S = 5;
const GO_FOLDERS = ['', '/usr/local/go/bin/'];

/** What a client tells. */
interface Took {
  readonly events: number;
  readonly gaps?: number;
  readonly seconds: number;
  readonly p50_ms?: number;
  readonly p99_ms?: number;
  readonly timed?: number;
}

/** Builds the Go client; null where there is no Go. */
function buildGo(into: string): string | null {
  const path = join(into, 'stream');
  for (const folder of GO_FOLDERS) {
    try {
      execFileSync(`${folder}go`, ['build', '-o', path, '.'], {
        cwd: join(ROOT, 'test/interop/stream'),
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return null;
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

/** Runs a client on the workload's CPU. */
const client = async (command: string, ...args: string[]): Promise<Took> =>
  JSON.parse(await run('taskset', ['-c', WORK_CPU, command, ...args])) as Took;

/** Several runs of a client: events a second, and where the recorder is given, its CPU for a million of them. */
async function throughput(
  name: string,
  recorder: BenchRecorder | null,
  take: () => Promise<Took>,
): Promise<void> {
  const [rates, costs]: [number[], number[]] = [[], []];
  for (let i = 0; i < RUNS; i++) {
    const before = recorder?.status().cpu_s ?? 0;
    const { events, seconds } = await take();
    const after = recorder?.status().cpu_s ?? 0;
    rates.push(events / seconds);
    costs.push(((after - before) / events) * 1e6);
  }
  report({ name, values: rates, unit: 'events/s' });
  if (recorder !== null) report({ name: `${name}, CPU`, values: costs, unit: 's/M events' });
}

/** What is stored, to one client at a time. */
async function stored(go: string, directory: string): Promise<void> {
  const port = await freePort();
  const at = certificates(directory, 'server', 'client');
  const socket = `unix:${join(directory, 'socket')}`;
  const policy = join(directory, 'policy.yaml');
  const all = (who: string): string => `  - {who: '${who}', allow: '*'}\n`;
  writeFileSync(policy, `rules:\n${all('cn:client')}${all('uid:0')}`, { mode: 0o600 });
  const recorder = await startRecorder([
    ...['--source', 'synthetic', '--rate', String(STORING_RATE), '--events', String(STORED)],
    ...['--listen', `${socket},127.0.0.1:${port}`, '--tls-client-ca', at('ca.pem')],
    ...['--tls-cert', at('server.pem'), '--tls-key', at('server.key'), '--policy', policy],
  ]);
  let held = 0;
  // What a busy machine loses of them is not waited for.
  for (
    let status = recorder.status();
    held + sum(status.lost) < STORED;
    status = recorder.status()
  ) {
    held = sum(status.events);
    await sleep(500);
  }
  const tls = ['-ca', at('ca.pem'), '-cert', at('client.pem'), '-key', at('client.key')];
  const over = { plaintext: [socket], mTLS: [...tls, `127.0.0.1:${port}`] };
  for (const [name, way] of Object.entries(over)) {
    for (const method of ['StreamRawEvents', 'StreamRawEventBatches']) {
      const take = (): Promise<Took> => client(go, ...way, method, '1', String(held));
      await throughput(`serve ${method} to Go, ${name}`, recorder, take);
    }
  }
  for (const how of ['raw', 'decoded']) {
    const args = ['test/interop/batches.py', socket, '1', String(SOME), how];
    const take = (): Promise<Took> => client('.venv/bin/python', ...args);
    await throughput(`serve batches to Python, ${how}`, recorder, take);
  }
  await recorder.stop();
}

/** grpc-js alone, to the same client. */
async function peer(go: string): Promise<void> {
  const server = spawn(execPath, ['test/bench/plain-server.ts'], {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const port = await new Promise<string>((resolve) =>
    server.stdout.once('data', (text) => resolve(String(text).trim())),
  );
  const args = [`127.0.0.1:${port}`, 'StreamRawEvents', '0', String(SOME)];
  await throughput('grpc-js, one message an event, to Go', null, () => client(go, ...args));
  server.stdin.end();
  await new Promise((resolve) => server.once('close', resolve));
}

/** Clients that follow what is recorded until they are ended. */
function following(go: string, socket: string, clients: number): ChildProcess[] {
  const args = ['-c', WORK_CPU, go, socket, 'StreamRawEvents', '0', String(1e12)];
  return Array.from({ length: clients }, () => spawn('taskset', args, { stdio: 'ignore' }));
}

/** CPU of the recorder while so many follow: share of a core, and events a second that were given out. */
async function costOf(
  go: string,
  directory: string,
  clients: number,
  rate: number,
): Promise<{ share: number; rate: number }> {
  const socket = `unix:${join(directory, 'socket')}`;
  const recorder = await startRecorder([
    ...['--source', 'synthetic', '--rate', String(rate), '--listen', socket],
  ]);
  const children = following(go, socket, clients);
  try {
    await sleep(WARM_S * 1000);
    const [before, begun] = [recorder.status(), performance.now()];
    await sleep(SECONDS * 1000);
    const after = recorder.status();
    const seconds = (performance.now() - begun) / 1000;
    const rows = (after.server?.rows ?? 0) - (before.server?.rows ?? 0);
    return { share: (after.cpu_s - before.cpu_s) / seconds, rate: rows / seconds };
  } finally {
    for (const child of children) child.kill();
    await recorder.stop();
  }
}

async function followed(go: string, directory: string): Promise<void> {
  for (const rate of [FOLLOWED_RATE, FOLLOWED_RATE / CLIENTS]) {
    const [shares, rates]: [number[], number[]] = [[], []];
    for (let i = 0; i < RUNS; i++) {
      const without = await costOf(go, directory, 0, rate);
      const served = await costOf(go, directory, CLIENTS, rate);
      shares.push((served.share - without.share) * 100);
      rates.push(served.rate);
    }
    const name = `serve ${CLIENTS} clients at ${rate} events/s each`;
    report({ name: `${name}, CPU added`, values: shares, unit: '% of a core' });
    report({ name: `${name}, given out`, values: rates, unit: 'events/s' });
  }
}

/** Events of the kernel as they come to a client: their age, and what the recording lost meanwhile. */
async function live(go: string, directory: string): Promise<void> {
  const socket = `unix:${join(directory, 'socket')}`;
  for (const rate of [TIMED_RATE, BUSY_RATE]) {
    const [took, lost]: [Took[], number[]] = [[], []];
    for (let i = 0; i < RUNS; i++) {
      const recorder = await startRecorder(['--listen', socket]);
      const seconds = WARM_S + SECONDS;
      const until = ['-warm', String(WARM_S), '-seconds', String(seconds - 1)];
      const taking = client(go, ...until, socket, 'StreamRawEvents', '0', String(1e12));
      await sleep(500);
      await onWorkCpu('build/bench/mixed', String(rate), String(seconds));
      took.push(await taking);
      lost.push(sum((await recorder.stop()).lost));
    }
    const name = `kernel to client at ${rate} events/s`;
    for (const p of ['p50_ms', 'p99_ms'] as const) {
      const values = took.map((one) => one[p] ?? Number.NaN);
      report({ name: `${name}, ${p.slice(0, 3)}`, values, unit: 'ms' });
    }
    report({ name: `${name}, missed`, values: took.map(({ gaps = 0 }) => gaps), unit: 'gaps' });
    report({ name: `${name}, lost by the recorder`, values: lost, unit: 'events' });
  }
}

export async function bench(): Promise<void> {
  const directory = temporaryDirectory();
  try {
    const go = buildGo(directory.path);
    if (go === null) throw new Error('no Go was found: its client is what is measured');
    execFileSync('gcc', ['-O2', '-o', 'build/bench/mixed', 'test/bench/mixed.c'], { cwd: ROOT });
    await stored(go, directory.path);
    await peer(go);
    await followed(go, directory.path);
    await live(go, directory.path);
  } finally {
    directory.remove();
  }
}
