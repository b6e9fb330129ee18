// What Prometheus is told is what status, account, the sink's file and the clients say; and it is told when something is wrong.

import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { status as grpcStatus } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { resolveConfig } from '../../src/config/config.ts';
import { Daemon, type Summary } from '../../src/daemon.ts';
import { STUCK_MS } from '../../src/metrics/health.ts';
import { MetricsServer } from '../../src/metrics/server.ts';
import { accountsOf, statusOf } from '../crash/cli.ts';
import { type Family, sampleOf, sumOf } from '../support/exposition.ts';
import { ask, clientsAt, streamed } from '../support/grpc-client.ts';
import { Recording, ROOT, temporaryDirectory, whyNoKernel } from '../support/recording.ts';
import { asked, portIn, scrape } from '../support/scrape.ts';
import { until } from '../support/sinks.ts';

const EVENTS = 12_000;

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
let undo: (() => unknown)[];
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  undo = [() => directory.remove()];
});
afterEach(async () => {
  for (const one of undo.reverse()) await one();
});

async function start(...flags: string[]): Promise<{ recording: Recording; port: number }> {
  const recording = await Recording.start(store, [
    ...['--source', 'synthetic', '--metrics', '127.0.0.1:0'],
    ...flags,
  ]);
  undo.push(async () => {
    if (!recording.hasEnded) await recording.kill();
  });
  return { recording, port: portIn(recording.stderr) };
}

/** Waits until what is scraped is as it should be; gives it. */
async function scraped(
  port: number,
  what: string,
  holds: (families: Map<string, Family>) => boolean,
): Promise<Map<string, Family>> {
  let families = new Map<string, Family>();
  const look = async (): Promise<boolean> => {
    families = await scrape(port);
    return holds(families);
  };
  await until(look, what);
  return families;
}

/** Each of a summary's counts by type and op. */
const countsOf = ({ events }: Summary): Record<string, number> =>
  Object.fromEntries(
    Object.entries(events).flatMap(([type, ops]) =>
      Object.entries(ops).map(([op, rows]) => [`op=${op},type=${type}`, rows]),
    ),
  );

const linesOf = (path: string): string[] =>
  existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];

test('the numbers are those that status, account, the sink and the clients have', async () => {
  const file = join(directory.path, 'config.yaml');
  const sent = join(directory.path, 'events.ndjson');
  const sinks = (filter: string): void =>
    writeFileSync(file, `sinks:\n  - {name: file, url: 'ndjson:${sent}', filter: '${filter}'}\n`);
  sinks('type != "memory"');
  const { recording, port } = await start(
    ...['--rate', '10000', '--events', `${EVENTS}`, '--config', file],
    ...['--exclude', 'comm=nginx'],
  );
  const { events, recorder } = clientsAt(join(store, 'recorder.sock'));
  undo.push(() => events.close());
  undo.push(() => recorder.close());
  const stream = events.StreamRawEvents({ since: '1' });
  const live = streamed(stream);
  await until(async () => (await asked(port, '/readyz')).status === 200, 'readiness');
  const early = await scraped(
    port,
    'a stream',
    (now) => sumOf(now, 'tapio_ebpf_server_streams_open') === 1,
  );
  expect(sampleOf(early, 'tapio_ebpf_server_connections_open')).toBe(1);
  for (const wrong of [{ page_size: 10_001 }, { selection: { filter: 'nonsense' } }]) {
    await expect(ask(events, 'QueryRawEvents', wrong)).rejects.toMatchObject({
      code: grpcStatus.INVALID_ARGUMENT,
    });
  }
  const received = 'tapio_ebpf_events_received_total';
  const filtered = 'tapio_ebpf_events_filtered_total';
  await scraped(
    port,
    'all events',
    (now) => sumOf(now, received) + sumOf(now, filtered) === EVENTS,
  );
  const page = await ask(events, 'QueryRawEvents', { page_size: 10 });
  expect(page.events.length).toBe(10);
  const rows = EVENTS - sumOf(await scrape(port), filtered);
  const now = await scraped(
    port,
    'all is through',
    (at) =>
      sumOf(at, 'tapio_ebpf_sink_rows_behind') === 0 &&
      sumOf(at, 'tapio_ebpf_server_events_sent_total') === rows + 10,
  );
  const status = statusOf(store) as unknown as Summary;
  const counts = [...(now.get(received)?.samples ?? [])].filter(([, count]) => count > 0);
  expect(Object.fromEntries(counts)).toEqual(countsOf(status));
  expect(sumOf(now, filtered)).toBe(status.filtered);
  expect(status.filtered).toBeGreaterThan(0);
  expect(sumOf(now, 'tapio_ebpf_events_dropped_total')).toBe(0);
  expect(sampleOf(now, 'tapio_ebpf_recording_segments')).toBe(status.segments);
  const sink = (name: string, labels = 'sink=file'): number =>
    sampleOf(now, `tapio_ebpf_sink_${name}`, labels);
  expect(sink('events_delivered_total')).toBe(linesOf(sent).length);
  expect(sink('up')).toBe(1);
  expect(sink('events_lost_total', 'reason=not_held,sink=file')).toBe(0);
  const server = (name: string, labels = ''): number =>
    sampleOf(now, `tapio_ebpf_server_${name}`, labels);
  expect(server('streams_total')).toBe(1);
  expect(server('events_missed_total')).toBe(0);
  expect(server('calls_refused_total', 'code=usage')).toBe(2);
  // A message of an event takes more than a seq and a name.
  expect(server('sent_bytes_total')).toBeGreaterThan(rows * 50);
  stream.cancel();
  events.close();
  expect((await live).messages.length).toBe(rows);
  const after = await scraped(
    port,
    'it hung up',
    (at) => sumOf(at, 'tapio_ebpf_server_connections_open') === 0,
  );
  expect(sampleOf(after, 'tapio_ebpf_server_streams_open')).toBe(0);
  expect(sampleOf(after, 'tapio_ebpf_server_connections_total')).toBe(1);
  expect(sampleOf(after, 'tapio_ebpf_server_sent_bytes_total')).toBeGreaterThan(rows * 50);
  const text = execFileSync(execPath, ['cli/tapio-record.ts', 'status', '--store', store], {
    cwd: ROOT,
  }).toString();
  expect(text).toMatch(
    /^serving at unix:.*recorder\.sock: 0 connections; 0 streams; [\d,]+ events given out \(.*\); 2 calls refused$/m,
  );
  // The sink of that name is another from now on, and counts on.
  sinks('true');
  recording.signal('SIGHUP');
  await until(() => recording.stderr.includes('was read again'), 'the file to be read again');
  const memory = Object.values(status.events.memory ?? {}).reduce((a, b) => a + b, 0);
  const changed = await scrape(port);
  expect(memory).toBeGreaterThan(0);
  expect(
    sampleOf(changed, 'tapio_ebpf_sink_events_delivered_total', 'sink=file'),
  ).toBeGreaterThanOrEqual(sink('events_delivered_total'));
  const { summary } = await recording.stop();
  expect(countsOf(summary)).toEqual(Object.fromEntries(counts));
  expect(summary.server).toMatchObject({ rows: rows + 10, refused: { usage: 2 }, streams: 1 });
  const audit = join(store, 'audit');
  const lines = readdirSync(audit).flatMap((name) => linesOf(join(audit, name)));
  expect(lines.filter((line) => line.startsWith('{')).length).toBe(summary.server?.audit_lines);
  const [account] = accountsOf(store);
  expect(account?.holds).toBe(true);
  const told = (field: 'stored' | 'filtered'): number =>
    Object.values(account?.ops ?? {}).reduce((sum, op) => sum + op[field], 0);
  expect([told('stored'), told('filtered')]).toEqual([rows, status.filtered]);
});

test('a port that is taken, and one that anybody can reach', async () => {
  const wide = await Recording.start(store, ['--source', 'synthetic', '--metrics', '0.0.0.0:0']);
  undo.push(() => wide.kill());
  expect(wide.stderr.match(/warning: /g)).toHaveLength(1);
  expect(wide.stderr).toContain('--metrics 0.0.0.0 answers whoever can reach it');
  const taken = `127.0.0.1:${portIn(wide.stderr)}`;
  const other = new Recording(join(directory.path, 'other'), [
    ...['--source', 'synthetic', '--metrics', taken],
  ]);
  expect(await other.ended()).toBe(2);
  expect(other.stderr).toContain(`--metrics ${taken} cannot be listened at (EADDRINUSE)`);
});

const why = whyNoKernel();

test.skipIf(why !== null)(
  'a store that cannot be written makes it not ready, for as long as that lasts',
  async () => {
    mkdirSync(store, { mode: 0o700 });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m,mode=0700', 'none', store]);
    undo.push(() => execFileSync('umount', ['-l', store]));
    const { port } = await start('--rate', '3000', '--min-free', '0%');
    await until(async () => (await asked(port, '/readyz')).status === 200, 'readiness');
    const before = await scraped(port, 'a disk', (now) => now.has('tapio_ebpf_disk_size_bytes'));
    expect(sampleOf(before, 'tapio_ebpf_disk_size_bytes')).toBe(16 * 2 ** 20);
    expect(sampleOf(before, 'tapio_ebpf_store_writable')).toBe(1);
    const filler = join(store, 'filler');
    const file = openSync(filler, 'a');
    try {
      for (;;) writeSync(file, Buffer.alloc(4096));
    } catch {
      closeSync(file);
    }
    await until(async () => (await asked(port, '/readyz')).status === 503, 'the outage');
    expect((await asked(port, '/readyz')).text).toMatch(
      /^the store cannot be written \(no_space\)/,
    );
    expect((await asked(port, '/healthz')).status).toBe(200);
    await scraped(port, 'the outage', (now) => sampleOf(now, 'tapio_ebpf_store_writable') === 0);
    rmSync(filler);
    await until(async () => (await asked(port, '/readyz')).status === 200, 'its end');
    const received = 'tapio_ebpf_events_received_total';
    await scraped(
      port,
      'more events',
      (now) => sumOf(now, received) > sumOf(before, received) + 3000,
    );
  },
);

test('a recording thread that is stuck makes it unhealthy until it is started again, and counters stay', async () => {
  const config = resolveConfig([{ source: 'synthetic', rate: 6000 }], availableParallelism());
  const notes: string[] = [];
  const daemon = new Daemon(store, config, null, (text) => notes.push(text), {
    worker: new URL('../crash/stuck-worker.ts', import.meta.url),
    silenceMsMax: STUCK_MS + 1000,
    pins: join(directory.path, 'pins'),
  });
  undo.push(async () => {
    daemon.stop();
    await daemon.finished.catch(() => {});
  });
  await daemon.started;
  const address = { host: '127.0.0.1', port: 0 };
  const server = await MetricsServer.open({ address, measured: () => daemon.measured() });
  undo.push(() => server.close());
  const port = Number(new URL(server.url).port);
  const [received, restarts] = [
    'tapio_ebpf_events_received_total',
    'tapio_ebpf_thread_restarts_total',
  ];
  await until(async () => (await asked(port, '/readyz')).status === 200, 'readiness');
  await scraped(port, 'events', (now) => sumOf(now, received) > 5000);
  let [events, isBack] = [0, false];
  writeFileSync(`${store}.loop`, '');
  await until(async () => (await asked(port, '/healthz')).status === 503, 'the stuck thread');
  expect((await asked(port, '/readyz')).status).toBe(503);
  for (let now = await scrape(port); !isBack; now = await scrape(port)) {
    const count = sumOf(now, received);
    expect(count).toBeGreaterThanOrEqual(events);
    isBack = sampleOf(now, restarts, 'thread=recording') === 1 && count > events && events > 0;
    events = count;
    await sleep(100);
  }
  await until(async () => (await asked(port, '/healthz')).status === 200, 'health');
  await until(async () => (await asked(port, '/readyz')).status === 200, 'readiness');
  await scraped(port, 'more events', (now) => sumOf(now, received) > events + 3000);
  expect(notes.some((text) => text.includes('has not answered'))).toBe(true);
});
