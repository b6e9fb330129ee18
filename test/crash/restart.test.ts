// A recorder that was killed is started again, but not as it was: with other ops, other rings, too late, or
// without a place for its rings. And what it leaves behind.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Account } from '../../src/query/account.ts';
import type { LossRow } from '../../src/segment/reader.ts';
import { changeSession, FINGERPRINT_AT } from '../support/pinned.ts';
import { queryRows, Recording, temporaryDirectory, whyNoKernel } from '../support/recording.ts';
import { accountsOf, cleanUp, cli, damageOf, pinsOf, sleep, until } from './cli.ts';
import { Found, NUMBERED_OPS, Workload } from './workload.ts';

const why = whyNoKernel();
if (why !== null && process.env.CI !== undefined) throw new Error(`crash tests must run: ${why}`);

/** Numbers a second of each of two drivers; each makes two events. */
const RATE = 1000;
/** Runs a program where there is no bpffs. */
const NO_BPFFS = ['unshare', '-m', 'sh', '-c', 'umount /sys/fs/bpf && exec "$@"', 'sh'];

let directory: ReturnType<typeof temporaryDirectory>;
let store: string;
let undo: (() => unknown)[] = [];
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  undo = [() => cleanUp(store)];
});
afterEach(async () => {
  for (const one of undo.reverse()) await one();
  directory.remove();
});

async function record(
  flags: readonly string[],
  under: readonly string[] = [],
  into = store,
): Promise<Recording> {
  const recording = await Recording.start(into, flags, { under });
  undo.push(() => recording.kill());
  return recording;
}

/** Drives numbers from now on. */
function drive(rate = RATE): Workload {
  const workload = new Workload(directory.path, rate);
  undo.push(() => workload.stop());
  return workload;
}

/** What a store has, each event once. */
function foundIn(path = store): Found {
  const found = new Found();
  found.take(path);
  expect([...found.wrong, ...found.doubled]).toEqual([]);
  expect(damageOf(path)).toBe('');
  return found;
}

/** The account of the only recording, which has to hold. */
function accountOf(path = store): Account {
  const [account, ...more] = accountsOf(path);
  expect(more).toEqual([]);
  expect(account).toMatchObject({ holds: true, reasons: [] });
  return account as Account;
}

/** Losses by stage and cause; ? where nobody knows how many. */
function lossesOf({ causes }: Account): Record<string, number | '?'> {
  const out: Record<string, number | '?'> = {};
  for (const { stage, cause, count, known } of causes) {
    const sum = Number(out[`${stage} ${cause}`] ?? 0) + count;
    out[`${stage} ${cause}`] = known ? sum : '?';
  }
  return out;
}

/** The loss rows of a cause. */
const rowsOf = (found: Found, cause: string): LossRow[] =>
  [...found.losses.values()].flat().filter((row) => row.cause === cause);

const RINGS = ['--ring-size', '16MiB'];
const NUMBERED = [...NUMBERED_OPS, ...RINGS];

describe.skipIf(why !== null)(`started again ${why ?? ''}`, () => {
  test('with other ops: the same rings go on, nothing is lost', async () => {
    const before = await record(NUMBERED);
    const driven = drive();
    await sleep(1200);
    await before.kill();
    const rings = readdirSync(pinsOf(store));
    await sleep(300);
    const ops = ['--profile', 'default', '--enable', 'file.read', '--syscalls', 'kcmp'];
    const after = await record([...ops, ...RINGS]);
    expect(readdirSync(pinsOf(store))).toEqual(rings);
    await sleep(500);
    await driven.stop();
    await after.stop();
    expect(foundIn().missing(driven.done())).toEqual([]);
    expect(lossesOf(accountOf())).toEqual({});
    expect(queryRows(store, ['--op', 'read', '--last', '1']).length).toBe(1);
    expect(existsSync(pinsOf(store))).toBe(false);
    console.log(`other ops: ${driven.total()} numbers, each once`);
  });

  for (const [name, flags, change] of [
    ['another ring size', ['--ring-size', '8MiB'], () => {}],
    [
      'another event table',
      RINGS,
      (rings: string) => changeSession(rings, FINGERPRINT_AT, 'another'),
    ],
  ] as const) {
    test(`with ${name}: other rings take over, one handover is told and nothing else is lost`, async () => {
      const before = await record(NUMBERED);
      const driven = drive();
      await sleep(1200);
      await before.kill();
      const [rings = ''] = readdirSync(pinsOf(store));
      change(join(pinsOf(store), rings));
      await sleep(300);
      const after = await record([...NUMBERED_OPS, ...flags]);
      await until('the old rings are gone', () => !existsSync(join(pinsOf(store), rings)));
      await sleep(500);
      await driven.stop();
      await after.stop();
      const found = new Found();
      found.take(store);
      expect(found.wrong).toEqual([]);
      expect(damageOf(store)).toBe('');
      expect(lossesOf(accountOf())).toEqual({ 'recorder handover': '?' });
      const [row, ...more] = rowsOf(found, 'handover');
      expect(more).toEqual([]);
      // In that instant, an event may be in both rings or in neither.
      const ns = Number((row?.lastTs ?? 0n) - (row?.firstTs ?? 0n));
      const instant = 4 + (4 * RATE * ns) / 1e9;
      expect(found.missing(driven.done()).length).toBeLessThanOrEqual(instant);
      expect(found.doubled.length).toBeLessThanOrEqual(instant);
      expect(existsSync(pinsOf(store))).toBe(false);
      console.log(
        `${name}: ${driven.total()} numbers, a handover of ${(ns / 1e3).toFixed(0)} µs, missing ${found.missing(driven.done()).length}, doubled ${found.doubled.length}`,
      );
    });
  }

  test('later than the orphan timeout: one silence is told, then recording goes on', async () => {
    const flags = [...NUMBERED, '--orphan-timeout', '1s'];
    const before = await record(flags);
    const driven = drive();
    await sleep(1200);
    await before.kill();
    await sleep(2500);
    const after = await record(flags);
    const goneOn = driven.done();
    await sleep(700);
    await driven.stop();
    await after.stop();
    const found = foundIn();
    expect(lossesOf(accountOf())).toEqual({ 'recorder orphaned': '?' });
    expect(rowsOf(found, 'orphaned').length).toBe(1);
    // Of each driver and kind, one stretch is missing, and it ended before the recorder was back.
    const missing = found.missing(driven.done()).map((text) => text.split(' ').map(Number));
    expect(missing.length).toBe(4);
    missing.forEach(([, from = 0, , to = 0], i) => {
      expect(to - from).toBeGreaterThan(1000);
      expect(to % 1_000_000_000).toBeLessThan(goneOn[i % 2] ?? 0);
    });
    console.log(
      `orphaned: ${driven.total()} numbers, of which ${missing.slice(0, 2).map(([, from = 0, , to = 0]) => to - from + 1)} fell into one silence`,
    );
  });

  test('lapped while it was dead: stored and lost are what was issued', async () => {
    const flags = [...NUMBERED_OPS, '--ring-size', '512KiB'];
    const before = await record(flags);
    const driven = drive(10_000);
    await sleep(1200);
    await before.kill();
    await sleep(1500);
    const after = await record(flags);
    await sleep(500);
    await driven.stop();
    await after.stop();
    const account = accountOf();
    const { issued, stored, lost } = account.ops['syscall.call'] ?? {
      issued: 0,
      stored: 0,
      lost: 0,
    };
    expect(issued).toBe(driven.total());
    expect(stored + lost).toBe(issued);
    expect(stored).toBe(foundIn().count('syscall'));
    expect(lost).toBeGreaterThan(1000);
    expect(Object.keys(lossesOf(account))).toEqual(['ring overwritten']);
    console.log(`lapped: ${issued} calls issued, ${stored} stored, ${lost} lost`);
  });

  test('where there is no bpffs: it says so, records, and a kill is one crash row', async () => {
    const before = await record(NUMBERED, NO_BPFFS);
    expect(before.stderr).toContain('a restart leaves a gap');
    const driven = drive();
    await sleep(1500);
    await before.kill();
    expect(existsSync(pinsOf(store))).toBe(false);
    const early = foundIn().count('syscall');
    expect(early).toBeGreaterThan(500);
    const after = await record(NUMBERED, NO_BPFFS);
    await sleep(700);
    await driven.stop();
    await after.stop();
    const found = foundIn();
    expect(lossesOf(accountOf())).toEqual({ 'recorder crash': '?' });
    expect(rowsOf(found, 'crash').length).toBe(1);
    expect(found.count('syscall')).toBeGreaterThan(early + 500);
    expect(found.missing(driven.done()).length).toBeGreaterThan(0);
  });

  test('beside another: each has all of it, and neither minds the end of the other', async () => {
    const other = join(directory.path, 'other');
    undo.push(() => cleanUp(other));
    const first = await record(NUMBERED);
    const second = await record(NUMBERED, [], other);
    const driven = drive();
    await sleep(1000);
    await first.kill();
    await sleep(300);
    const again = await record(NUMBERED);
    await again.stop();
    await sleep(300);
    await driven.stop();
    expect([existsSync(pinsOf(store)), existsSync(pinsOf(other))]).toEqual([false, true]);
    await second.stop();
    expect(existsSync(pinsOf(other))).toBe(false);
    for (const path of [store, other]) expect(lossesOf(accountOf(path))).toEqual({});
    expect(foundIn(other).missing(driven.done())).toEqual([]);
    // The first was stopped before the end: each driver's numbers are there up to one of them.
    expect(foundIn().missing(driven.done()).length).toBe(4);
  });

  test('not at all: doctor names what was left, and removes it for that store alone', async () => {
    const other = join(directory.path, 'other');
    undo.push(() => cleanUp(other));
    const dead = await record(NUMBERED);
    const alive = await record(NUMBERED, [], other);
    await dead.kill();
    expect(cli('tapio-record', 'doctor', '--store', store).stdout).toContain(store);
    const removed = cli('tapio-record', 'doctor', '--clean', '--store', store);
    expect([removed.status, removed.stdout.trim().split('\n').length]).toEqual([0, 1]);
    expect(removed.stdout).toContain('still recording');
    expect([existsSync(pinsOf(store)), existsSync(pinsOf(other))]).toEqual([false, true]);
    // What a living recorder has is not touched, even where it is named.
    const spared = cli('tapio-record', 'doctor', '--clean', '--store', other);
    expect(spared.stdout).toBe('nothing was left behind\n');
    expect(existsSync(pinsOf(other))).toBe(true);
    await alive.stop();
    // The rings are gone: the next start says that it does not know what was lost.
    const after = await record(NUMBERED);
    await after.stop();
    expect(lossesOf(accountOf())).toEqual({ 'recorder crash': '?' });
  });
});
