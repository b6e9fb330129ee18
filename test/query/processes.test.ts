// Who was alive at a time, against a host that knows itself how everybody was.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { formatTs } from '../../src/event/clock.ts';
import { type ProcessesAt, processesAt } from '../../src/query/processes.ts';
import { openStores } from '../../src/segment/store.ts';
import { random } from '../support/batches.ts';
import {
  BOOTED,
  INIT,
  People,
  PeopleRecorder,
  type PeopleRow,
  type Person,
  type Snapshot,
} from '../support/people.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { flipped } from '../support/segments.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

const storeAt = (name = 'store'): string => join(directory.path, name);

function at(paths: readonly string[], time: bigint | null): ProcessesAt {
  const opened = openStores(paths);
  try {
    return processesAt(opened, time);
  } finally {
    for (const segment of opened.segments) segment.close();
  }
}

/** What ppid can be known to be: that of an orphan only where a row of its segment tells. */
function knownPpid(people: People, { segment }: Snapshot, one: Person): number | null {
  const { orphaned } = one;
  if (orphaned === null) return one.ppid;
  const told = people.rows.some(
    (row) => row.segment === segment && row.pstart === one.pstart && row.ts > orphaned,
  );
  return told ? one.ppid : null;
}

const isOf = (row: PeopleRow, one: Pick<Person, 'pid' | 'pstart'>): boolean =>
  row.pid === one.pid && row.pstart === one.pstart;

/**
 * Whether anything in the first segment that is held tells what one ran: its last exec, or else that of who
 * forked it; or its table, which has what it ran last.
 */
function isTold(rows: readonly PeopleRow[], one: Person, until: bigint): boolean {
  const execs = rows.filter((row) => row.op === 'exec' && row.result === 0 && isOf(row, one));
  if (execs.some(({ ts }) => ts <= until)) return true;
  const fork = rows.find((row) => row.op === 'fork' && row.child_pstart === one.pstart);
  if (fork === undefined || one.parent === null) return execs.length === 0;
  return isTold(rows, one.parent, fork.ts);
}

/** Holds what was found against the truth; `first` is the first segment that is held. */
function compare(people: People, moment: Snapshot, found: ProcessesAt, first: number): void {
  const held = people.rows.filter(({ segment }) => segment >= first);
  const told = held.filter(({ ts }) => ts <= moment.ts);
  const begun = held.filter(({ segment }) => segment === first);
  const expected = moment.people.map((one) => {
    const { pid, pstart, comm, exe, args, cwd } = one;
    const fork = told.find((row) => row.child_pstart === pstart);
    const own = held.filter((row) => isOf(row, one));
    // Before a first row that is held, the next one has to do.
    const begins =
      fork === undefined && moment.segment === first && !told.some((r) => isOf(r, one));
    const next = begins ? own.find(({ segment }) => segment === first) : undefined;
    const program =
      moment.segment !== first || isTold(begun, one, moment.ts)
        ? { comm, exe, args, cwd }
        : { comm: nameOf(told, own, one, next), exe: null, args: null, cwd: null };
    const ppid = knownPpid(people, moment, one);
    return { pid, pstart, ppid, uid: next?.uid ?? one.uid, startTs: BOOTED + pstart, ...program };
  });
  expected.sort((a, b) => a.pid - b.pid);
  const got = found.processes.map((one) => {
    const { pid, pstart, ppid, uid, startTs, comm, exe, args, cwd } = one;
    return { pid, pstart, ppid, uid, startTs, comm, exe, args, cwd };
  });
  expect(got).toEqual(expected);
}

/** What rows call a process that nothing tells the program of. */
function nameOf(
  told: readonly PeopleRow[],
  own: readonly PeopleRow[],
  one: Person,
  next: PeopleRow | undefined,
): string | null {
  const spoke = told.some((row) => isOf(row, one) || row.child_pstart === one.pstart);
  if (spoke) return one.comm;
  const renames = next?.op === 'exec' && next.result === 0;
  return own.length > 0 && next !== undefined && !renames ? one.comm : null;
}

/** A moment of those that are held, and a time within it. */
function pick(people: People, take: () => number, first: number): [Snapshot, bigint, string] {
  // Before the first row nothing is held, and behind the last.
  const held = people.history.filter(({ segment }, i) => i > 0 && segment >= first);
  const index = Math.floor(take() * held.length);
  const moment = held[index] as Snapshot;
  const next = held[index + 1]?.ts ?? moment.ts + 1n;
  const time = moment.ts + BigInt(Math.floor(take() * Number(next - moment.ts)));
  return [moment, time, `moment ${index} of segments from ${first}`];
}

test('at every moment who lived and as what, also where the first segments are gone', () => {
  for (let round = 0; round < 5; round++) {
    const seed = SEED + round;
    const take = random(seed);
    const people = new People(seed);
    const recorder = new PeopleRecorder(storeAt(`${round}`), people, seed);
    const segments = [0, 1, 2, 3].map((i) => recorder.record(60 + 20 * i, i < 3));
    for (let first = 0; first < 4; first++) {
      for (let i = 0; i < 12; i++) {
        const [moment, time, where] = pick(people, take, first);
        try {
          compare(people, moment, at([recorder.store], time), first);
        } catch (error) {
          (error as Error).message = `seed ${seed}, ${where}: ${(error as Error).message}`;
          throw error;
        }
      }
      rmSync(segments[first] as string, { recursive: true });
    }
  }
});

test('without a time, the end of what is held; outside of it, a sentence', () => {
  const people = new People(SEED);
  const recorder = new PeopleRecorder(storeAt(), people, SEED);
  expect(() => at([recorder.store], null)).toThrow('nothing is recorded yet');
  recorder.record(50);
  const last = people.history.at(-1) as Snapshot;
  const found = at([recorder.store], null);
  expect(found.at).toBe(last.ts);
  compare(people, last, found, 0);
  const first = people.rows[0]?.ts ?? 0n;
  const held = `held is ${formatTs(first)} to ${formatTs(last.ts)}`;
  for (const time of [first - 1n, last.ts + 1n, -5n]) {
    expect(() => at([recorder.store], time)).toThrow(
      `nothing is held of ${formatTs(time)}: ${held}`,
    );
  }
});

test('two recordings: each knows its own time, and nobody what lies between', () => {
  const people = new People(SEED);
  const one = new PeopleRecorder(storeAt(), people, SEED);
  one.record(80);
  const firstEnd = people.history.at(-1) as Snapshot;
  for (let i = 0; i < 40; i++) people.step();
  const gap = people.history.at(-20) as Snapshot;
  const two = new PeopleRecorder(storeAt(), people, SEED, { recording: '2' });
  two.record(80);
  const pids = (found: ProcessesAt): number[] => found.processes.map(({ pid }) => pid);
  const living = ({ people: all }: Snapshot): number[] =>
    all.map(({ pid }) => pid).sort((a, b) => a - b);
  expect(pids(at([storeAt()], firstEnd.ts))).toEqual(living(firstEnd));
  expect(pids(at([storeAt()], null))).toEqual(living(people.history.at(-1) as Snapshot));
  expect(() => at([storeAt()], gap.ts)).toThrow(/held is .* to .*, .* to /);
});

test('several stores: hosts beside one another, and a host that is recorded twice is one', () => {
  const here = new People(SEED);
  const there = new People(SEED + 1);
  const a = new PeopleRecorder(storeAt('a'), here, SEED, { host: 'a', recording: '1' });
  const b = new PeopleRecorder(storeAt('b'), there, SEED, { host: 'b', recording: '2' });
  const [directoryA] = [a.record(60), b.record(60)];
  const time = [here, there].map((one) => one.history.at(-1)?.ts ?? 0n).sort()[0] ?? 0n;
  const alone = [at([a.store], time), at([b.store], time)].map(({ processes }) => processes);
  expect(at([b.store, a.store], time).processes).toEqual(alone.flat());
  expect(at([a.store, directoryA], time).processes).toEqual(alone[0]);
});

test('rows that were lost make the answer incomplete from then on; lost signals do not', () => {
  const people = new People(SEED);
  const recorder = new PeopleRecorder(storeAt(), people, SEED);
  recorder.record(40);
  const before = people.history.at(-1) as Snapshot;
  recorder.lose('process', 'exit', 3n, before.ts + 1n);
  recorder.lose('process', 'signal', 5n, before.ts + 1n);
  recorder.lose('file', 'open', 7n, before.ts + 1n);
  recorder.record(40);
  recorder.record(40);
  expect(at([recorder.store], before.ts).missing).toEqual([]);
  expect(at([recorder.store], null).missing).toEqual([
    'incomplete: 3 events lost (ring overwritten process.exit)',
  ]);
});

test('what cannot be read is said', () => {
  const people = new People(SEED);
  const recorder = new PeopleRecorder(storeAt(), people, SEED);
  const path = join(recorder.record(60), 'processes.arrow');
  writeFileSync(path, flipped(path, 1_000));
  expect(at([recorder.store], null).missing.join()).toContain('processes.arrow');
});

test('a clock that went back: the second time is told, and said', () => {
  const people = new People(SEED);
  const recorder = new PeopleRecorder(storeAt(), people, SEED);
  recorder.record(40);
  const first = people.history[people.history.length - 5] as Snapshot;
  expect(at([recorder.store], first.ts).notes.join()).not.toContain('clock');
  const back = first.ts - (people.history.at(-1)?.ts ?? 0n) - 2_000n;
  recorder.clockStep(back);
  recorder.record(40);
  const found = at([recorder.store], first.ts);
  expect(found.notes).toEqual([expect.stringContaining('the clock went back')]);
  const second = people.history.findLast(
    ({ ts, segment }) => segment === 1 && ts + back <= first.ts,
  );
  expect(found.processes.map(({ pid }) => pid)).toEqual(
    second?.people.map(({ pid }) => pid).sort((a, b) => a - b),
  );
});

test('who has ended is not alive because a row of it came late, in the next segment', () => {
  const people = new People(SEED);
  const recorder = new PeopleRecorder(storeAt(), people, SEED);
  const { pid, pstart } = people.alive[1] as Person;
  const of = { pid, pstart, tid: pid, ppid: INIT, uid: 0, comm: 'x' };
  const [before, end] = [people.later(), people.later()];
  recorder.recordRows([{ ...of, op: 'exit', ts: end }]);
  const late = { ...of, op: 'exec', ts: before, flags: 1, result: -2, filename: '/none' };
  recorder.recordRows([late, { ...of, op: 'exec', ts: people.later(), pid: INIT, result: -2 }]);
  const pids = at([recorder.store], null).processes.map((one) => one.pid);
  expect(pids).not.toContain(pid);
  expect(pids.length).toBe(people.alive.length - 1);
});

test('a name that changes without an exec is that of the last row of the main thread', () => {
  const people = new People(SEED);
  const recorder = new PeopleRecorder(storeAt(), people, SEED);
  const init = people.alive[0] as Person;
  const says = (comm: string, tid: number): PeopleRow => ({
    ...{ op: 'signal', pid: init.pid, pstart: init.pstart, tid, ppid: 0, uid: 0, comm },
    ...{ ts: people.later(), signal: 1, target_pid: 1, result: 0 },
  });
  const rows = [says('one', init.pid), says('worker', init.pid + 1), says('two', init.pid)];
  recorder.recordRows(rows);
  const nameAt = (time: bigint): string | null | undefined =>
    at([recorder.store], time).processes.find(({ pid }) => pid === init.pid)?.comm;
  expect(rows.map(({ ts }) => nameAt(ts))).toEqual(['one', 'one', 'two']);
});
