// Who is told of a process that makes much of the rows.

import { expect, test } from 'vitest';
import { type Follower, Followers } from '../../src/recorder/followers.ts';

function follower(pid: number): { heard: string[]; hungUp: number; self: Follower } {
  const state = { heard: [] as string[], hungUp: 0 };
  const self: Follower = {
    pid,
    tell: (text) => void state.heard.push(text),
    committed: (seq) => void state.heard.push(`committed ${seq}`),
    hangUp: () => void state.hungUp++,
  };
  return Object.assign(state, { self });
}

const PROCESSES = new Map([
  [10, { comm: 'node', group: 10 }],
  [11, { comm: 'jq', group: 10 }],
  [20, { comm: 'node', group: 20 }],
  [30, { comm: 'postgres', group: 30 }],
]);

test('one of a follower’s own group is told of, once, to the log and to that follower', () => {
  const log: string[] = [];
  const [a, b] = [follower(10), follower(20)];
  const followers = new Followers(
    (text) => void log.push(text),
    (pid) => PROCESSES.get(pid) ?? null,
  );
  followers.add(a.self);
  followers.add(b.self);
  expect(followers.pids).toEqual([10, 20]);
  // The load itself, and a process that is gone, are no readers.
  followers.hearLoud(30, 0.9);
  followers.hearLoud(99, 0.9);
  expect(log).toEqual([]);
  followers.hearLoud(11, 0.34);
  followers.hearLoud(11, 0.5);
  expect(log.length).toBe(1);
  expect(log[0]).toMatch(/^process 11 \(jq\), .* makes 34 % .* --exclude pid=11$/);
  expect([a.heard, b.heard]).toEqual([log, []]);
  followers.hearLoud(20, 0.25);
  expect(b.heard.length).toBe(1);
  followers.remove(a.self);
  followers.hangUp();
  expect([a.hungUp, b.hungUp, followers.isEmpty]).toEqual([0, 1, false]);
});

test('processes are looked up in /proc', () => {
  const log: string[] = [];
  const one = follower(process.pid);
  const followers = new Followers((text) => void log.push(text));
  followers.add(one.self);
  followers.hearLoud(process.pid, 0.21);
  expect([one.heard.length, log.length]).toEqual([1, 1]);
  expect(log[0]).toContain(`process ${process.pid} (`);
});
