// The same rows give the same answers, whichever way they lie: in a segment that is being written, in many small
// batches or in few large ones. What every command says is compared, to the letter.

import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { stderr, stdout } from 'node:process';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { account } from '../../cli/commands/account.ts';
import { conns } from '../../cli/commands/conns.ts';
import { ps } from '../../cli/commands/ps.ts';
import { query } from '../../cli/commands/query.ts';
import { stats } from '../../cli/commands/stats.ts';
import { trace } from '../../cli/commands/trace.ts';
import type { Command } from '../../cli/program.ts';
import { TapioError } from '../../src/errors.ts';
import { formatTs } from '../../src/event/clock.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { recoverSegments } from '../../src/segment/recover.ts';
import { openStore, segmentsOf } from '../../src/segment/store.ts';
import { BusyRecording } from '../support/busy-host.ts';
import { INIT, type PeopleRow } from '../support/people.ts';
import { temporaryDirectory } from '../support/recording.ts';

const mocked = vi.hoisted(() => ({ merges: true, out: '' }));

// A segment whose batches cannot be joined is sealed as it is.
vi.mock('../../src/segment/merge.ts', async (original) => {
  const merge = await original<typeof import('../../src/segment/merge.ts')>();
  return {
    mergeSmallBatches: (...parts: Parameters<typeof merge.mergeSmallBatches>) => {
      if (!mocked.merges) throw new TapioError('segment_damaged', 'not now');
      merge.mergeSmallBatches(...parts);
    },
  };
});

vi.mock('../../cli/output.ts', async (original) => {
  const { allColumns } = await original<typeof import('../../cli/output.ts')>();
  class Output {
    readonly closed = false;
    line(text: string): void {
      mocked.out += `${text}\n`;
    }
    flush(): void {}
    replaces(): void {}
  }
  return { allColumns, Output };
});

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const FLUSHES = 24;
const PER_FLUSH = 40;

/** The same recordings, each laid out in its own way. */
const LAYOUTS = ['open', 'open, small', 'sealed', 'sealed, small', 'recovered'] as const;
type Layout = (typeof LAYOUTS)[number];

const directory = temporaryDirectory();
const storeOf = (segments: number, layout: Layout): string =>
  join(directory.path, `${segments} ${layout}`);

/** Records the host into segments of which the last is open. */
async function recorded(store: string, segments: number): Promise<BusyRecording> {
  vi.setSystemTime(1_795_000_100_000);
  const recording = new BusyRecording(store, SEED);
  for (let i = 1; i <= FLUSHES; i++) {
    if (i === FLUSHES / 2 + 1) recording.lose(17n);
    const ends = i < FLUSHES && i % Math.ceil(FLUSHES / segments) === 0;
    await recording.happen(PER_FLUSH, ends ? 'rotated' : 'plain');
  }
  return recording;
}

const living: BusyRecording[] = [];
let rows: readonly PeopleRow[];
const realtime = (): void => void vi.useRealTimers();
const faketime = (): void =>
  void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance', 'Date'] });

beforeAll(async () => {
  faketime();
  for (const segments of [1, 3]) {
    for (const merges of [true, false]) {
      mocked.merges = merges;
      const [open, sealed] = merges
        ? (['open', 'sealed'] as const)
        : (['open, small', 'sealed, small'] as const);
      // It lives on while it is asked.
      const live = await recorded(storeOf(segments, open), segments);
      living.push(live);
      rows = live.host.people.rows;
      await (await recorded(storeOf(segments, sealed), segments)).stop();
      if (!merges) continue;
      cpSync(storeOf(segments, open), storeOf(segments, 'recovered'), { recursive: true });
      recoverSegments(diskFiles, segmentsOf(storeOf(segments, 'recovered')));
    }
  }
  mocked.merges = true;
  realtime();
});
afterAll(() => {
  for (const one of living) one.kill();
  directory.remove();
});
beforeEach(faketime);
afterEach(realtime);

type Flags = Readonly<Record<string, unknown>>;

/** What a command says: rows, sentences, and its end. */
interface Answer {
  readonly code: number;
  readonly out: readonly string[];
  readonly said: readonly string[];
}

async function answer(command: Command, flags: Flags, store: string): Promise<Answer> {
  vi.setSystemTime(1_795_000_200_000);
  mocked.out = '';
  let said = '';
  const spies = [
    vi.spyOn(stderr, 'write').mockImplementation((text) => {
      said += text;
      return true;
    }),
    vi.spyOn(stdout, 'write').mockImplementation((text) => {
      mocked.out += text;
      return true;
    }),
  ];
  try {
    const code = await command.run({ _: [], output: 'json', ...flags, store } as never);
    // When the last commit was, and what an index can rule out, are no part of the answer.
    const out = mocked.out.replace(/"to":\d+/, '"to":0');
    const sentences = said
      .replaceAll(store, 'STORE')
      .replace(': the index rules all of it out', '');
    return { code, out: out.split('\n'), said: sentences.split('\n') };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** A time of the recording: when so much of it was through. */
const time = (share: number): string =>
  formatTs(rows[Math.floor(share * (rows.length - 1))]?.ts ?? 0n);

/** The names of some who are there in the middle of it. */
const someone = (): string =>
  [0.45, 0.5, 0.55].map((share) => rows[Math.floor(share * rows.length)]?.comm).join();

type Question = readonly [name: string, command: Command, flags: () => Flags];

const window = (since: number, until: number): Flags => ({
  since: time(since),
  until: time(until),
});
const all = { all: true };
const FILTERS = [
  'true',
  'pid > 4194309',
  'comm.startsWith("p1") || comm == "init"',
  'uid in [1, 3, 4]',
  'weight > 1u',
  'flags != 0',
  'type == "file" && file.bytes > 1000',
  'file.path.endsWith("/7.log")',
  'file.path == "/srv/ä/11.log"',
  'has(file.new_path) && file.ret == 0',
  'network.dport in [441, 443]',
  'cidr("10.0.0.0/26").containsIP(network.daddr)',
  'network.error != 0 || network.retransmits > 2u',
  'process.args.exists(a, a == "-1")',
  'process.exit_code == 0 || process.signal == 10',
  'syscall.name == "futex" && syscall.latency_ns > duration("50us")',
  'memory.target_pid == pid',
  'seq % 7 == 3',
  'ktime > 100000 && ktime <= 300000',
  'comm == "nobody at all"',
];

const QUESTIONS: readonly Question[] = [
  ...FILTERS.flatMap((filter): Question[] => [
    [`rows of ${filter}`, query, () => ({ ...all, _: [filter] })],
    [`how many of ${filter}`, query, () => ({ _: [filter], count: true })],
    [`sums of ${filter}`, stats, () => ({ _: [filter], by: 'type,op', of: 'pid' })],
  ]),
  ['the last rows', query, () => ({ output: 'compact' })],
  ['the first rows', query, () => ({ first: '33', output: 'table' })],
  ['the last of a type', query, () => ({ last: '21', type: 'network' })],
  ['the first of an op', query, () => ({ first: '9', op: 'exec,connect' })],
  ['a table of all', query, () => ({ ...all, output: 'table' })],
  ['all but those', query, () => ({ ...all, _: ['pid % 2 == 0'], not: true })],
  ['chosen fields', query, () => ({ ...all, fields: 'seq,file.path,comm' })],
  ['a window', query, () => window(0.4, 0.6)],
  ['a window of some', query, () => ({ ...window(0.1, 0.9), comm: someone() })],
  ['the last of a window', query, () => ({ ...window(0.2, 0.7), last: '5' })],
  ['the first of a window', query, () => ({ ...window(0.2, 0.7), first: '5' })],
  ['how many in a window', query, () => ({ ...window(0.3, 0.8), count: true })],
  ['a span around a time', query, () => ({ around: time(0.5), span: '0.1ms' })],
  ['a window before all', query, () => ({ until: '2001-01-01T00:00:00Z' })],
  ['a process and its descendants', query, () => ({ ...all, pid: `${INIT + 2}`, children: true })],
  ['sums', stats, () => ({})],
  ['a table of sums', stats, () => ({ output: 'table' })],
  ['sums by comm', stats, () => ({ by: 'comm', top: '7' })],
  ['sums by process', stats, () => ({ by: 'pid,pstart', top: '1000', of: 'file.latency_ns' })],
  ['bytes by path', stats, () => ({ by: 'file.path', sum: 'file.bytes', top: '11' })],
  ['sums by peer', stats, () => ({ by: 'network.daddr,network.dport', top: '100' })],
  ['sums of a window', stats, () => ({ ...window(0.33, 0.55), by: 'type' })],
  ['sums of some', stats, () => ({ comm: someone(), by: 'op' })],
  ...[0.02, 0.25, 0.5, 0.75, 0.99].flatMap((share): Question[] => [
    [`processes at ${share}`, ps, () => ({ at: time(share) })],
    [
      `a tree of processes at ${share}`,
      ps,
      () => ({ at: time(share), tree: true, output: 'table' }),
    ],
    [`sockets at ${share}`, conns, () => ({ at: time(share) })],
  ]),
  ['processes at the end', ps, () => ({})],
  ['sockets at the end', conns, () => ({ output: 'table' })],
  ['who listens', conns, () => ({ listening: true })],
  ['what a process did', trace, () => ({ _: [INIT + 1], children: true })],
  ['what it did alone', trace, () => ({ _: [INIT], children: false, output: 'compact' })],
  ['what it did in a window', trace, () => ({ _: [INIT], children: true, ...window(0.2, 0.4) })],
  ['the account', account, () => ({})],
];

/** Batches of a store, and whether its last segment is open. */
function shapeOf(store: string): { batches: number; open: boolean; segments: number } {
  const { segments } = openStore(store);
  const batches = segments.flatMap((one) => one.types().flatMap((type) => one.batches(type)));
  for (const segment of segments) segment.close();
  const open = readdirSync(segmentsOf(store)).some((name) => name.startsWith('.open-'));
  return { batches: batches.length, open, segments: segments.length };
}

describe.each([1, 3])('of %i segments', (segments) => {
  test('the layouts are what they are called', () => {
    const small = shapeOf(storeOf(segments, 'open, small'));
    expect(small).toMatchObject({ open: true, segments });
    expect(small.batches).toBeGreaterThan(FLUSHES * 3);
    const { batches } = shapeOf(storeOf(segments, 'open'));
    // Only the last segment still has all of its batches.
    if (segments === 1) expect(batches).toBe(small.batches);
    else expect(batches).toBeLessThan(small.batches / 2);
    const sealed = { open: false, segments };
    expect(shapeOf(storeOf(segments, 'sealed, small'))).toEqual({ ...small, ...sealed });
    for (const layout of ['sealed', 'recovered'] as const) {
      expect(shapeOf(storeOf(segments, layout))).toEqual({ batches: 5 * segments, ...sealed });
    }
  });

  let empty = 0;
  test.each(QUESTIONS)('%s: the same', async (name, command, flags) => {
    const wanted = await answer(command, flags(), storeOf(segments, 'open'));
    if (wanted.out.length === 1 || wanted.out[0] === '0') empty++;
    for (const layout of LAYOUTS.slice(1)) {
      const found = await answer(command, flags(), storeOf(segments, layout));
      expect(found, `${layout}, ${name}, seed ${SEED}`).toEqual(wanted);
    }
  });

  test('most questions have an answer', () => {
    expect(empty, `seed ${SEED}`).toBeLessThan(QUESTIONS.length / 6);
  });
});
