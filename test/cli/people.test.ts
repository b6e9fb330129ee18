// ps and trace as they are typed.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { formatTs } from '../../src/event/clock.ts';
import {
  BOOTED,
  INIT,
  People,
  PeopleRecorder,
  type PeopleRow,
  type Person,
} from '../support/people.ts';
import { ROOT, type Row, temporaryDirectory } from '../support/recording.ts';
import { replay, type Said } from '../support/typed.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

const jsonOf = ({ out }: Said): Row[] => out.map((line) => JSON.parse(line) as Row);

function recorded(seed = SEED, name = 'store', host = 'host'): [PeopleRecorder, People] {
  const people = new People(seed);
  const recording = `${host.length}`;
  return [
    new PeopleRecorder(join(directory.path, name), people, seed, { host, recording }),
    people,
  ];
}

/** A row of a process, as it is. */
function row(people: People, one: Person, op: string, own: Row): PeopleRow {
  const { pid, pstart, ppid, uid, comm } = one;
  return { op, ts: people.later(), pid, pstart, tid: pid, ppid, uid, comm, ...own };
}

test('ps: a table, a tree, and JSON in the same order', () => {
  const [recorder, people] = recorded();
  recorder.record(120);
  const table = replay('ps', '--store', recorder.store);
  const pids = people.alive.map(({ pid }) => pid).sort((a, b) => a - b);
  expect(table.code).toBe(0);
  expect(table.out[0]).toMatch(/^pid +ppid +uid +start \(UTC\+00:00\) +comm +args$/);
  expect(table.out.slice(1).map((line) => Number.parseInt(line, 10))).toEqual(pids);
  expect(table.err).toContain(`reading ${recorder.store}\n`);
  expect(table.err).toContain(', the end of what is held\n');
  const tree = replay('ps', '--store', recorder.store, '--tree');
  const listed = jsonOf(replay('ps', '--store', recorder.store, '--tree', '-o', 'json'));
  expect(tree.out.slice(1).map((line) => Number.parseInt(line, 10))).toEqual(
    listed.map(({ pid }) => pid),
  );
  expect(listed.map(({ pid }) => pid).sort((a, b) => a - b)).toEqual(pids);
  // Each stands below its parent: the last line before it that is one step less deep.
  listed.forEach(({ ppid, depth }, i) => {
    const parent = listed.slice(0, i).findLast((one) => one.depth === depth - 1);
    if (depth > 0) expect(ppid, `seed ${SEED}`).toBe(parent?.pid);
    else expect(pids).not.toContain(ppid);
  });
});

test('ps: what programs call themselves cannot command the terminal, and ? is what no row tells', () => {
  const [recorder, people] = recorded();
  const [init, parent] = people.alive as [Person, Person];
  const child = { pid: INIT + 90, pstart: 900n } as Person;
  recorder.recordRows([
    row(people, parent, 'fork', { child_pid: child.pid, child_pstart: child.pstart }),
    row(people, { ...child, ppid: parent.pid, uid: 0, comm: 'a\u001b[2J' }, 'exec', {
      ...{ result: 0, filename: '/bin/\nx', args: ['x', '\u001b]0;title\u0007', 'two words'] },
    }),
    row(people, parent, 'exit', { exit_code: 0 }),
    row(people, init, 'exec', { result: -2, filename: '/none' }),
  ]);
  const { out } = replay('ps', '--store', recorder.store);
  const line = out.find((one) => one.startsWith(`${child.pid}`));
  expect(line).toMatch(/^\d+ +\? +0 .* a\\x1b\[2J +x \\x1b\]0;title\\x07 two words$/);
  const [found] = jsonOf(replay('ps', '--store', recorder.store, '-o', 'json')).filter(
    ({ pid }) => pid === child.pid,
  );
  expect(found).toMatchObject({ ppid: null, pstart: '900', exe: '/bin/\nx', comm: 'a\u001b[2J' });
});

test('ps: lines are cut at the width of a terminal, unless they are wanted whole', () => {
  const [recorder, people] = recorded();
  const init = people.alive[0] as Person;
  const args = ['x'.repeat(300)];
  recorder.recordRows([row(people, init, 'exec', { result: 0, filename: '/x', args })]);
  const terminal = (...words: string[]): string[] => {
    const command = [execPath, 'cli/tapio-replay.ts', 'ps', '--store', recorder.store, ...words];
    const script = `stty cols 70; ${command.join(' ')} 2>/dev/null`;
    const done = spawnSync('script', ['-qec', script, '/dev/null'], { cwd: ROOT });
    return done.stdout.toString().split('\r\n').slice(1, -1);
  };
  const lines = terminal();
  expect(lines.length).toBe(people.alive.length);
  expect(Math.max(...lines.map((line) => line.length))).toBe(70);
  expect(lines[0]?.endsWith('x…')).toBe(true);
  expect(terminal('--wide')[0]?.endsWith('xxx')).toBe(true);
});

test('ps: a time that is not held, and what is wrong usage', () => {
  const [recorder] = recorded();
  recorder.record(20);
  const early = replay('ps', '--store', recorder.store, '--at', '2001-01-01T00:00:00Z');
  expect([early.out, early.code]).toEqual([[], 1]);
  expect(early.err).toMatch(/nothing is held of 2001-01-01T00:00:00.0{9}Z: held is .* to .*\n$/);
  for (const words of [['extra'], ['--at', '1m', '--at', '2m']]) {
    expect(replay('ps', '--store', recorder.store, ...words).code, words.join(' ')).toBe(2);
  }
});

test('trace: one timeline, indented by who made whom; itself alone; a window', () => {
  const [recorder, people] = recorded();
  const [, parent] = people.alive as [Person, Person];
  const child = { ...parent, pid: INIT + 90, pstart: 900n, ppid: parent.pid, comm: 'child' };
  const rows = [
    row(people, parent, 'fork', { child_pid: child.pid, child_pstart: child.pstart }),
    row(people, child, 'exec', { result: 0, filename: '/bin/child', args: ['child'] }),
    row(people, people.alive[2] as Person, 'exec', { result: -2, filename: '/none' }),
    row(people, child, 'exit', { exit_code: 3 }),
    row(people, parent, 'exec', { result: -2, filename: '/none' }),
  ];
  recorder.recordRows(rows);
  const of = ['trace', `${parent.pid}`, '--store', recorder.store];
  const lines = replay(...of).out.map((line) => line.slice('00:00:00.000000'.length));
  expect(lines.map((line) => / *\S/.exec(line)?.[0].length)).toEqual([3, 5, 5, 3]);
  expect(lines[1]).toBe(`    child[${child.pid}]  process.exec  child`);
  const seqs = (...words: string[]): number[] =>
    jsonOf(replay(...of, '-o', 'json', ...words)).map(({ seq }) => seq);
  expect(seqs()).toEqual([1, 2, 4, 5]);
  expect(seqs('--no-children')).toEqual([1, 5]);
  const [from, to] = [rows[1]?.ts ?? 0n, rows[4]?.ts ?? 0n].map(formatTs);
  expect(seqs('--since', from ?? '', '--until', to ?? '')).toEqual([2, 4]);
  expect(replay(...of, '--until', '2001-01-01T00:00:00Z').err).toContain('nothing of it is held');
  expect(replay(...of, '--span', '1m').err).toContain('--around');
});

test('trace: of a pid that was given again the last, or the one at a time, and that is said', () => {
  const [recorder, people] = recorded();
  const init = people.alive[0] as Person;
  const pid = INIT + 90;
  const rows = [1, 2].flatMap(() => {
    const life = { ...init, pid, ppid: init.pid, pstart: people.later() - BOOTED };
    return [
      row(people, init, 'fork', { child_pid: pid, child_pstart: life.pstart }),
      row(people, life, 'exit', { exit_code: 0 }),
    ];
  });
  recorder.recordRows(rows);
  const seqs = (...words: string[]): [number[], string] => {
    const said = replay('trace', `${pid}`, '--store', recorder.store, '-o', 'json', ...words);
    return [jsonOf(said).map(({ seq }) => seq), said.err];
  };
  const [last, err] = seqs();
  expect(last).toEqual([4]);
  expect(err).toMatch(
    /pid \d+ was given 2 times \(started .*\): this is the one of .*, choose another with --at/,
  );
  expect(seqs('--at', formatTs((rows[1]?.ts ?? 0n) - 1n))[0]).toEqual([2]);
  const none = replay('trace', '7', '--store', recorder.store);
  expect([none.code, none.err]).toEqual([1, expect.stringContaining('no process 7 is held')]);
  expect(replay('trace', 'x').code).toBe(2);
});

test('several stores: one list with hosts, one timeline by time', () => {
  const [a, here] = recorded(SEED, 'a', 'a');
  const [b] = recorded(SEED + 1, 'b', 'bb');
  a.record(60);
  b.record(60);
  const stores = ['--store', a.store, '--store', b.store];
  const list = replay('ps', ...stores, '--at', formatTs(here.rows[30]?.ts ?? 0n));
  expect(list.err).toContain(`reading ${a.store}, ${b.store}\n`);
  expect(list.out[0]).toMatch(/^host +pid/);
  expect(new Set(list.out.slice(1).map((line) => line.split(' ')[0]))).toEqual(
    new Set(['a', 'bb']),
  );
  const segments = jsonOf(replay('segments', ...stores, '-o', 'json'));
  expect(segments.length).toBe(2);
  expect(replay('verify', ...stores).err).toContain('--store is given more than once');
  const pid = `${INIT},${INIT + 1}`;
  const traced = jsonOf(replay('trace', pid, ...stores, '-o', 'json')).map(({ ts }) => ts);
  expect(traced.length).toBeGreaterThan(10);
});
