// --filter in the kernel: what it can decide never gets into the rings, and what is stored in the end is
// what a recorder without a filter has, filtered afterwards.

import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { execPath } from 'node:process';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { EventType } from '../../schemas/arrow.ts';
import { EVENTS } from '../../schemas/events.ts';
import type { CutItem } from '../../src/event/batch.ts';
import type { RowValue } from '../../src/event/json.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';
import { matches } from '../../src/query/predicate.ts';
import { recordingFilter } from '../../src/query/recording-filter.ts';
import { type NativeSource, native, type SourceOptions } from '../../src/source/binding.ts';
import { describeKernel } from '../support/kernel.ts';
import { pushable } from '../support/pushable.ts';
import {
  queryRows,
  Recording,
  ROOT,
  type Row,
  run,
  temporaryDirectory,
} from '../support/recording.ts';
import { RowTaker, type SourceRow } from '../support/source-rows.ts';

const directory = temporaryDirectory();
const wanted = `${directory.path}/kf-wanted`;
const other = `${directory.path}/kf-other`;
const OPS = [
  ...['fork', 'exec', 'exit'].map((op) => EVENTS.process.ops[op as 'fork'].id),
  ...['connect', 'accept', 'close', 'listen', 'reset'].map(
    (op) => EVENTS.network.ops[op as 'connect'].id,
  ),
  EVENTS.file.ops.open.id,
  EVENTS.syscall.ops.call.id,
];

beforeAll(() => {
  execFileSync('gcc', ['-O2', '-o', wanted, 'test/kernel/drive.c'], { cwd: ROOT });
  copyFileSync(wanted, other);
  execFileSync('chmod', ['755', other]);
});
afterAll(() => directory.remove());

const sum = (counts: BigUint64Array | undefined, op?: number): number => {
  const each = [...(counts ?? [])].filter((_, i) => op === undefined || i % native().opsMax === op);
  return Number(each.reduce((a, b) => a + b, 0n));
};

/** A recorder of this host's kernel in this process. */
class Live {
  readonly taker: RowTaker;
  readonly #source: NativeSource;
  readonly #options: SourceOptions;

  constructor() {
    this.#options = {
      kind: 'live',
      ringBytes: 16 << 20,
      tsOffset: 0n,
      nextSeq: 1n,
      slotsPerType: 2,
      ops: OPS,
      syscalls: [native().syscalls().getppid ?? 0],
      latency: false,
      exclude: { pids: [], uids: [], comms: [], cgroups: [] },
      pins: null,
      resume: null,
      orphanTimeoutNs: 60_000_000_000n,
    };
    this.#source = native().createSource(this.#options, () => {});
    this.taker = new RowTaker(this.#source, true);
    this.#source.start();
  }

  /** Takes another filter; rows that were taken before are forgotten. */
  async only(text: string | null): Promise<void> {
    this.#source.configure({ ...this.#options, filter: await recordingFilter(text) });
    this.#source.cut(0n);
    await this.flush((cut) => cut.filter === text);
    this.taker.rows.length = 0;
  }

  /** Takes all that there is up to now. */
  async flush(until: (cut: CutItem) => boolean = () => true): Promise<CutItem> {
    for (let fresh = 0; ; ) {
      this.#source.cut(null);
      await new Promise((resolve) => setTimeout(resolve, 5));
      const before = this.taker.cuts.length;
      this.taker.pump();
      fresh += this.taker.cuts.length - before;
      const cut = this.taker.cuts.at(-1);
      // The first may have been made before this was called.
      if (fresh > 1 && cut !== undefined && until(cut)) return cut;
    }
  }

  close(): void {
    this.#source.stop();
    this.#source.close();
  }
}

const opened: Live[] = [];
function live(): Live {
  const one = new Live();
  opened.push(one);
  return one;
}
afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});

const getterOf =
  (row: SourceRow) =>
  (field: string): RowValue =>
    (field === 'ktime' ? row.ts : (row[field] ?? null)) as RowValue;

/** What two recorders say alike of an event: each reads the clock for itself. */
function identity(row: SourceRow): string {
  const { seq: _1, ts: _2, flags: _3, latency_ns: _4, duration_ns: _5, cpu_ns: _6, ...rest } = row;
  return JSON.stringify(rest, (_, one) => (typeof one === 'bigint' ? `${one}` : one));
}

describeKernel('kernel filter', () => {
  const EACH = 500;
  const me = process.pid;
  test.each([
    ['comm == "kf-wanted"', 'getppid', 'syscall.call'],
    ['comm.startsWith("kf-") && comm != "kf-other"', 'getppid', 'syscall.call'],
    [`comm == "kf-wanted" && ppid == ${me} && uid == 0 && op != "open"`, 'getppid', 'syscall.call'],
    [`type == "syscall" ? comm == "kf-wanted" : pid == 1`, 'getppid', 'syscall.call'],
    ['comm == "kf-wanted" && file.path == "/dev/null"', 'open', 'file.open'],
    ['comm == "kf-wanted" && file.path.startsWith("/dev/")', 'open', 'file.open'],
    ['comm == "kf-wanted" && !file.path.startsWith("/etc/")', 'open', 'file.open'],
    [
      'comm == "kf-wanted" && cidr("127.0.0.0/8").containsIP(network.daddr)',
      'accept',
      'network.connect',
    ],
    ['comm == "kf-wanted" && network.daddr == "127.0.0.1"', 'accept', 'network.accept'],
    ['comm == "kf-wanted" && network.sport in [0, 80] == false', 'accept', 'network.connect'],
  ])('%s: only what matches gets into the rings', async (filter, kind, name) => {
    const [type = '', opName = ''] = name.split('.');
    const op = (EVENTS[type as EventType].ops as Record<string, { id: number }>)[opName]?.id ?? 0;
    const source = live();
    await source.only(filter);
    const before = await source.flush();
    await run(wanted, [kind, `${EACH}`]);
    await run(other, [kind, `${EACH}`]);
    const after = await source.flush();
    const grown = (of: 'emitted' | 'filtered' | 'own' | 'lost'): number =>
      sum(after[of], op) - sum(before[of], op);
    const rows = source.taker.rows.filter((row) => row.op === opName);
    const matching = rows.filter((row) => row.comm === 'kf-wanted').length;
    // Files that a program opens as it starts are rows as well.
    expect(matching).toBeGreaterThanOrEqual(EACH);
    expect(rows.length).toBe(matching);
    expect({ emitted: grown('emitted'), own: grown('own'), lost: grown('lost') }).toEqual({
      emitted: matching,
      own: 0,
      lost: 0,
    });
    expect(grown('filtered')).toBeGreaterThanOrEqual(EACH);
  });

  test('nothing of other ports, networks and directories gets into the rings', async () => {
    const source = live();
    const server = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const drive = (): string[] => [
      `exec 3<>/dev/tcp/127.0.0.1/${port}; cat <&3; exec 3<&-; cat /etc/hostname`,
    ];
    const mine = 'comm in ["bash", "cat"]';
    const all = `network.dport == ${port} || file.path == "/etc/hostname"`;
    for (const [filter, ops] of [
      [`${mine} && (${all})`, ['close', 'connect', 'open']],
      [`${mine} && network.dport == ${port}`, ['close', 'connect']],
      [`${mine} && network.dport != ${port} && op == "connect"`, []],
      [`${mine} && cidr("10.0.0.0/8").containsIP(network.daddr)`, []],
      [`${mine} && file.path.startsWith("/etc/hostnamer")`, []],
      [`${mine} && op == "exec" && process.filename.startsWith("/usr/sbin/")`, []],
    ] as const) {
      await source.only(filter);
      const before = await source.flush();
      await run('bash', ['-c', ...drive()]);
      const after = await source.flush();
      const seen = [...new Set(source.taker.rows.map(({ op }) => op))].sort();
      expect([filter, seen]).toEqual([filter, ops]);
      // Relative names are not told from others in the kernel: nobody here opens any.
      expect([filter, sum(after.emitted) - sum(before.emitted)]).toEqual([
        filter,
        source.taker.rows.length,
      ]);
    }
    server.close();
  });

  test('names that are relative or longer than is seen are left to the recorder', async () => {
    const source = live();
    const folder = join(directory.path, 'a-directory-with-a-name-that-is-long-enough-for-this');
    mkdirSync(folder);
    for (const name of ['one', 'two']) writeFileSync(join(folder, name), name);
    const drive = `cd ${folder}; cat one two ${folder}/one ${folder}/two; cat /proc/self/comm`;
    const at = (name: string): string => `"${folder}/${name}"`;
    // Of a long name the kernel sees the beginning, which these share.
    for (const [filter, stored, own] of [
      [`file.path == ${at('one')}`, 2, 2],
      [`file.path != ${at('one')} && file.path.startsWith(${at('')})`, 2, 2],
      ['file.path == "/proc/self/comm"', 1, 2],
      [`file.path.startsWith("/tmp/") && !file.path.startsWith(${at('o')})`, 2, 2],
    ] as const) {
      await source.only(`comm == "cat" && op == "open" && ${filter}`);
      const before = await source.flush();
      await run('bash', ['-c', drive]);
      const after = await source.flush();
      const found = source.taker.rows.filter(({ path }) => /\/(one|two|comm)$/.test(`${path}`));
      expect([filter, found.length]).toEqual([filter, stored]);
      expect(sum(after.own) - sum(before.own), filter).toBeGreaterThanOrEqual(own);
    }
  });

  test('random filters store what a recorder without them has of the same events', async () => {
    const seed = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
    const count = process.env.TAPIO_LONG === undefined ? 60 : 600;
    const plain = live();
    const filtered = live();
    let [some, pushed] = [0, 0];
    const texts = fc.sample(
      pushable({
        numbers: [0n, 1n, 80n, BigInt(me), 40_000n],
        names: ['kf-wanted', 'kf-other', 'true', 'kf-'],
        addresses: ['127.0.0.1', '127.0.0.0/8', '0.0.0.0', '::/0', '::1'],
        paths: ['/dev/null', '/etc/', '/bin/true', '/', '/numbered/1'],
      }),
      { numRuns: count, seed },
    );
    for (const text of texts) {
      const filter = await parseFilter(text);
      await plain.only(null);
      await filtered.only(text);
      const before = await filtered.flush();
      const drivers: number[] = [];
      for (const kind of ['exec', 'accept', 'open', 'numbered', 'getppid']) {
        const program = drivers.length % 2 === 0 ? wanted : other;
        drivers.push(JSON.parse(await run(program, [kind, '3'])).pid as number);
      }
      const after = await filtered.flush();
      await plain.flush();
      const ours = (row: SourceRow): boolean =>
        drivers.includes(Number(row.pid)) || drivers.includes(Number(row.ppid));
      const expected = plain.taker.rows
        .filter(ours)
        .filter((row) => matches(filter.for(row.type as EventType), getterOf(row)) === true);
      const rows = filtered.taker.rows.filter(ours);
      expect(rows.map(identity).sort(), `seed ${seed}: ${text}`).toEqual(
        expected.map(identity).sort(),
      );
      if (rows.length > 0) some++;
      if (sum(after.filtered) > sum(before.filtered)) pushed++;
    }
    expect([some, pushed].map((one) => one > count / 5)).toEqual([true, true]);
  }, 600_000);

  test('the account holds, across a death and another filter', async () => {
    const store = join(directory.path, 'store');
    const flags = ['--syscalls', 'getppid', '--filter'];
    const first = await Recording.start(store, [...flags, 'comm == "kf-wanted" && cpu >= 0']);
    await run(wanted, ['getppid', '1000']);
    await run(other, ['getppid', '1000']);
    await first.kill();
    // The programs go on, with the filter that they have.
    await run(wanted, ['getppid', '1000']);
    await run(other, ['getppid', '1000']);
    const text = 'comm == "kf-wanted" && !(syscall.args.exists(x, x == 77)) && op == "call"';
    const second = await Recording.start(store, [...flags, text]);
    await run(wanted, ['getppid', '1000']);
    await run(other, ['open', '1000']);
    await second.stop();
    const rows = queryRows(store);
    const calls = rows.filter((row) => row.op === 'call');
    expect(calls.length).toBe(3000);
    expect(rows.every((row) => row.comm === 'kf-wanted')).toBe(true);
    const account = spawnSync(
      execPath,
      ['cli/tapio-replay.ts', 'account', '--store', store, '-o', 'json'],
      { cwd: ROOT },
    );
    expect(account.status, account.stdout.toString()).toBe(0);
    const { ops } = JSON.parse(account.stdout.toString()) as { ops: Row };
    expect(ops['syscall.call']).toMatchObject({ stored: 3000, lost: 0 });
    expect(ops['syscall.call'].filtered).toBeGreaterThanOrEqual(2000);
    expect(ops['file.open'].filtered).toBeGreaterThanOrEqual(1000);
  });
});
