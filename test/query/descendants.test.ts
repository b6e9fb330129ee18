// Who descends from whom, against a host that knows itself who made whom.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  descendantsOf,
  type Life,
  lifeAt,
  livesOf,
  missingForks,
  setsOf,
  withDescendants,
} from '../../src/query/descendants.ts';
import { bootKey } from '../../src/query/process-rows.ts';
import { ProcessSet } from '../../src/query/process-set.ts';
import { select } from '../../src/query/select.ts';
import type { Segment } from '../../src/segment/reader.ts';
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
import { rowSeqs, rowsFound } from '../support/rows.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);

let directory: ReturnType<typeof temporaryDirectory>;
const opened: Segment[] = [];
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => {
  for (const segment of opened.splice(0)) segment.close();
  directory.remove();
});

const storeAt = (name = 'store'): string => join(directory.path, name);

function open(...paths: string[]): readonly Segment[] {
  const { segments } = openStores(paths);
  opened.push(...segments);
  return segments;
}

const nameOf = ({ pid, pstart }: { pid: number; pstart: bigint }): string => `${pid}:${pstart}`;

/** Who is held: born in what is held, or alive as it begins; and from whom each descends. */
function parents(people: People, begin: Snapshot, first: number): Map<string, string | null> {
  const links = new Map<string, string | null>();
  const there = new Set(begin.people.map(nameOf));
  const snapshot = people.history[0] as Snapshot;
  for (const one of people.all) {
    const born = people.rows.find((row) => row.op === 'fork' && row.child_pstart === one.pstart);
    if (born !== undefined && born.segment >= first) {
      links.set(nameOf(one), one.parent === null ? null : nameOf(one.parent));
    } else if (there.has(nameOf(one))) {
      // Of those that were there at first, the parent of that time.
      const then = snapshot.people.find((other) => nameOf(other) === nameOf(one));
      const adopter = snapshot.people.find(({ pid }) => pid === then?.ppid);
      const parent = born === undefined ? adopter : one.parent;
      const link = parent === null || parent === undefined ? null : nameOf(parent);
      links.set(nameOf(one), link !== null && there.has(link) ? link : null);
    }
  }
  return links;
}

function depthBelow(links: ReadonlyMap<string, string | null>, name: string, root: string): number {
  let depth = 0;
  for (let at: string | null | undefined = name; at; at = links.get(at), depth++) {
    if (at === root) return depth;
  }
  return -1;
}

test('all descendants, and nobody else, also where the first segments are gone', () => {
  let sizes = 0;
  for (let round = 0; round < 5; round++) {
    const seed = SEED + round;
    const take = random(seed);
    const people = new People(seed);
    // Some are orphans before the recorder starts.
    for (let i = 0; i < 80; i++) people.step();
    people.begin();
    const recorder = new PeopleRecorder(storeAt(`${round}`), people, seed);
    const directories = [0, 1, 2].map((i) => recorder.record(60 + 30 * i, i < 2));
    for (let first = 0; first < 3; first++) {
      const segments = open(recorder.store);
      const begin = people.history.findLast(({ segment }) => segment < first) ?? people.history[0];
      const links = parents(people, begin as Snapshot, first);
      const names = [...links.keys()];
      for (let i = 0; i < 8; i++) {
        const root = names[Math.floor(take() * names.length)] as string;
        const [pid = 0, pstart = 0n] = [
          Number(root.split(':')[0]),
          BigInt(root.split(':')[1] ?? 0),
        ];
        const where = `seed ${seed}, ${root} of segments from ${first}`;
        const lives = livesOf(segments, pid);
        const held = names.filter((name) => name.startsWith(`${pid}:`)).sort();
        expect(lives.map(nameOf).sort(), where).toEqual(held);
        const life = lives.find((one) => one.pstart === pstart) as Life;
        const set = descendantsOf(segments, [life]).get(bootKey(segments[0] as Segment));
        const expected = names
          .map((name) => [name, depthBelow(links, name, root)] as const)
          .filter(([, depth]) => depth >= 0);
        const got = [...(set as ProcessSet)].map(
          ([p, s]) => [`${p}:${s}`, set?.depthOf(p, s)] as const,
        );
        expect(new Map(got), where).toEqual(new Map(expected));
        sizes += got.length;
      }
      rmSync(directories[first] as string, { recursive: true });
    }
  }
  // The test would be idle were nobody a parent.
  expect(sizes, `seed ${SEED}`).toBeGreaterThan(5 * 3 * 8 * 1.5);
});

test('the rows of a process and its descendants are those of all rows that are theirs', async () => {
  const people = new People(SEED);
  const recorder = new PeopleRecorder(storeAt(), people, SEED);
  for (let i = 0; i < 3; i++) recorder.record(80);
  const segments = open(recorder.store);
  const none = { since: null, until: null, types: [], ops: [], comms: [] };
  const seed = `seed ${SEED}`;
  for (const { pid } of people.all.slice(0, 12)) {
    const selection = withDescendants(segments, select({ ...none, pids: [`${pid}`] }));
    const [set] = selection.processes?.values() ?? [];
    const expected = people.rows.filter((row) => set?.has(row.pid, row.pstart));
    const rows = await rowSeqs({ segments, problems: [] }, selection);
    expect(rows.length, seed).toBe(expected.length);
    expect(expected.length, seed).toBeGreaterThan(0);
    const alone = await rowSeqs({ segments, problems: [] }, select({ ...none, pids: [`${pid}`] }));
    expect(rows, seed).toEqual(expect.arrayContaining(alone));
  }
  expect(() => withDescendants(segments, select({ ...none, pids: [] }))).toThrow(
    '--children are those of --pid',
  );
});

test('a pid that was used again: the life at a time, else the last', () => {
  const people = new People(SEED);
  const recorder = new PeopleRecorder(storeAt(), people, SEED);
  for (let i = 0; i < 6; i++) recorder.record(100);
  const segments = open(recorder.store);
  const reused = people.all.filter(
    ({ pid }, _, all) => all.filter((one) => one.pid === pid).length > 2,
  );
  expect(reused.length, `seed ${SEED}`).toBeGreaterThan(0);
  for (const { pid, pstart } of reused.slice(0, 20)) {
    const lives = livesOf(segments, pid);
    const where = `seed ${SEED}, ${pid}`;
    expect(lives.map((life) => life.startTs)).toEqual(lives.map((life) => life.startTs).toSorted());
    expect(lifeAt(lives, null), where).toEqual(lives.at(-1));
    const of = (row: PeopleRow): boolean => row.pid === pid && row.pstart === pstart;
    const end = people.rows.find((row) => row.op === 'exit' && of(row))?.ts;
    const last = end === undefined ? BOOTED + pstart : end - 1n;
    expect(lifeAt(lives, last)?.pstart, where).toBe(pstart);
    expect(lifeAt(lives, BOOTED + pstart)?.pstart, where).toBe(pstart);
    if (end === undefined) continue;
    // As it has ended, nobody has that pid until it is given again.
    expect(lifeAt(lives, end)?.pstart, where).toBe(lives.at(-1)?.pstart);
  }
  expect(lifeAt([], null)).toBeNull();
});

test('a late row names a parent after its child has forked: nobody is missed', () => {
  const people = new People(SEED);
  const recorder = new PeopleRecorder(storeAt(), people, SEED);
  const root = people.alive[1] as Person;
  const names = [root, ...[1, 2, 3, 4].map((n) => ({ pid: INIT + 100 + n, pstart: BigInt(n) }))];
  const forks = [0, 1, 2, 3].map((i): PeopleRow => {
    const [parent, child] = [names[i] as Person, names[i + 1] as Person];
    const own = { child_pid: child.pid, child_pstart: child.pstart };
    const { pid, pstart } = parent;
    return { op: 'fork', ts: people.later(), pid, pstart, tid: pid, comm: 'x', flags: 1, ...own };
  });
  recorder.recordRows(forks.toReversed());
  const segments = open(recorder.store);
  const [set] = descendantsOf(segments, livesOf(segments, root.pid)).values();
  expect(names.map(({ pid, pstart }) => set?.depthOf(pid, pstart))).toEqual([0, 1, 2, 3, 4]);
});

test('sets are of a boot: what has the same name on another host is another', async () => {
  const people = [new People(SEED), new People(SEED)];
  const stores = people.map((one, i) => {
    const own = { host: `host ${i}`, recording: `${i + 1}` };
    const recorder = new PeopleRecorder(storeAt(`${i}`), one, SEED, own);
    recorder.record(60);
    return recorder.store;
  });
  const segments = open(...stores);
  const lives = livesOf(segments, INIT);
  expect(lives.length).toBe(2);
  const [mine] = lives as [Life];
  const sets = descendantsOf(segments, [mine]);
  expect([...sets.keys()]).toEqual([mine.boot]);
  const none = { since: null, until: null, types: [], ops: [], pids: [], comms: [] };
  const rows = await rowsFound({ segments, problems: [] }, { ...select(none), processes: sets });
  expect(rows.length).toBe(60);
  expect(new Set(rows.map(({ run }) => bootKey(run.block.segment)))).toEqual(new Set([mine.boot]));
  expect([...(setsOf([mine]).get(mine.boot) ?? [])]).toEqual([[INIT, mine.pstart]]);
});

test('forks that were lost are said, from then on', () => {
  const people = new People(SEED);
  const recorder = new PeopleRecorder(storeAt(), people, SEED);
  const then = people.later();
  recorder.lose('process', 'fork', 2n, then);
  recorder.lose('process', 'exec', 2n, then);
  recorder.record(20);
  const segments = open(recorder.store);
  expect(missingForks(segments, then)).toEqual([]);
  expect(missingForks(segments, null)).toEqual([
    'incomplete: 2 events lost (ring overwritten process.fork): descendants of a fork that was lost may be left out',
  ]);
});

test('a set knows whether a pid of it lies in a range', () => {
  const take = random(SEED);
  for (let round = 0; round < 200; round++) {
    const set = new ProcessSet();
    const pids = Array.from({ length: Math.floor(take() * 6) }, () => Math.floor(take() * 40));
    for (const pid of pids) set.add(pid, BigInt(round), 0);
    const [a, b] = [Math.floor(take() * 40), Math.floor(take() * 40)];
    const [min, max] = [Math.min(a, b), Math.max(a, b)];
    const expected = pids.some((pid) => pid >= min && pid <= max);
    expect(set.hasPidIn(min, max), `seed ${SEED}: ${pids} in ${min} to ${max}`).toBe(expected);
    expect(set.size).toBe(new Set(pids).size);
  }
});
