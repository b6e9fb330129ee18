// play --to: a replay goes to a receiver as UnifiedEvents.

import { spawn, spawnSync } from 'node:child_process';
import { cpSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { UnifiedEvent } from '../../src/unified/event.ts';
import { queryRows, Recording, ROOT, type Row, temporaryDirectory } from '../support/recording.ts';

const directory = temporaryDirectory();
const store = join(directory.path, 'store');
const SEED = String(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const EVENTS = 5_000;
let rows: Row[] = [];

beforeAll(async () => {
  const flags = ['--source', 'synthetic', '--rate', '5000', '--events', String(EVENTS)];
  const recording = await Recording.start(store, [...flags, '--seed', SEED]);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await recording.stop();
  rows = queryRows(store);
  expect(rows.length).toBe(EVENTS);
});
afterAll(() => directory.remove());

interface Said {
  readonly err: string;
  readonly out: string;
  readonly code: number | null;
}

function play(to: string, ...words: string[]): Said {
  const args = ['cli/tapio-replay.ts', 'play', '--speed', 'max', '--to', to, '--store', store];
  const done = spawnSync(execPath, [...args, ...words], { cwd: ROOT, maxBuffer: 1 << 28 });
  return { err: done.stderr.toString(), out: done.stdout.toString(), code: done.status };
}

let files = 0;
const fresh = (): string => join(directory.path, `events-${files++}.ndjson`);
const eventsIn = (path: string): UnifiedEvent[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as UnifiedEvent);
const seqOf = ({ attributes }: UnifiedEvent): number => Number(attributes?.seq);

test('every row arrives, in order, with an id of its own', () => {
  const path = fresh();
  const { err, code } = play(`ndjson:${path}`);
  expect(err).toContain(`${EVENTS.toLocaleString('en-US')} events are at`);
  expect(code).toBe(0);
  const events = eventsIn(path);
  expect(events.map(seqOf)).toEqual(rows.map(({ seq }) => seq));
  expect(new Set(events.map(({ id }) => id)).size).toBe(EVENTS);
  expect(events.every(({ id }) => /^[0-9a-f]{32}$/.test(id))).toBe(true);
});

test('the same bytes come from a copy of the store, whenever', () => {
  const [one, other] = [fresh(), fresh()];
  play(`ndjson:${one}`);
  const copy = join(directory.path, 'copy');
  cpSync(store, copy, { recursive: true });
  const args = ['cli/tapio-replay.ts', 'play', '--speed', 'max', '--store', copy];
  spawnSync(execPath, [...args, '--to', `ndjson:${other}`], { cwd: ROOT });
  expect(readFileSync(other).equals(readFileSync(one))).toBe(true);
});

test('to the standard output go events, and nothing else', () => {
  const { out, err } = play('ndjson:-', '--type', 'memory');
  const events = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as UnifiedEvent);
  expect(events.map(seqOf)).toEqual(
    rows.filter(({ type }) => type === 'memory').map(({ seq }) => seq),
  );
  expect(err).toContain('played ');
});

test('an expression chooses what goes', () => {
  const path = fresh();
  play(`ndjson:${path}`, 'type == "network" && network.dport == 443');
  const wanted = rows.filter(({ type, network }) => type === 'network' && network.dport === 443);
  expect(wanted.length).toBeGreaterThan(0);
  expect(eventsIn(path).map(seqOf)).toEqual(wanted.map(({ seq }) => seq));
});

test('as if it happened now: other ids, later times, and the original ones beside them', () => {
  const [was, is] = [fresh(), fresh()];
  play(`ndjson:${was}`, '--type', 'process');
  const began = Date.now();
  play(`ndjson:${is}`, '--type', 'process', '--rebase', 'now');
  const [before, after] = [eventsIn(was), eventsIn(is)];
  expect(after.map(seqOf)).toEqual(before.map(seqOf));
  const ids = new Set(before.map(({ id }) => id));
  expect(after.some(({ id }) => ids.has(id))).toBe(false);
  expect(Date.parse(after[0]?.timestamp ?? '')).toBeGreaterThanOrEqual(began - 1);
  const original = after.map(({ attributes }) => attributes?.original_timestamp);
  // As Go writes times: without zeros at the end.
  const goTime = (ts: string): string => ts.replace(/\.?0*Z$/, 'Z');
  const times = new Map(rows.map(({ seq, ts }) => [seq, goTime(ts)]));
  expect(original).toEqual(after.map((event) => times.get(seqOf(event))));
});

test.each([
  ['carrier-pigeon://roof', 'carrier-pigeon'],
  ['nowhere', 'a sink is named by a URL'],
] as const)('--to %s leads nowhere: one sentence, exit 2', (to, sentence) => {
  const { err, code } = play(to);
  expect(code).toBe(2);
  expect(err).toContain(sentence);
  expect(err).not.toContain('bug');
});

test('a receiver that is not there is waited for, and Ctrl-C ends the wait', async () => {
  // A port that was free a moment ago.
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const args = ['cli/tapio-replay.ts', 'play', '--speed', 'max', '--store', store];
  const child = spawn(execPath, [...args, '--to', `http://127.0.0.1:${port}/events`], {
    cwd: ROOT,
  });
  let err = '';
  await new Promise<void>((resolve) => {
    child.stderr.on('data', (text) => {
      err += text;
      if (err.includes('does not take events')) resolve();
    });
  });
  child.kill('SIGINT');
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect(code).toBe(1);
  expect(err).toContain('were not taken');
  expect(err).toMatch(/played [\d,]+ rows in \d/);
});
