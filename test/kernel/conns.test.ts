// conns --at against /proc: a busy process wrote down what it said of its sockets when nothing moved.

import { execFileSync, spawn } from 'node:child_process';
import { execPath } from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readCommits } from '../../src/segment/commits.ts';
import { segmentDirectories } from '../../src/segment/store.ts';
import { describeKernel, eachDirectory } from '../support/kernel.ts';
import { Recording, ROOT, type Row } from '../support/recording.ts';

const ROUNDS = 12;
const seed = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);

const directory = eachDirectory();

type Told = readonly [string, string, number, string | null, number | null];

interface Moments {
  readonly pid: number;
  readonly moments: readonly { readonly at: string; readonly sockets: readonly Told[] }[];
}

/** ns as RFC 3339. */
function rfc3339(ns: string): string {
  const [seconds, rest] = [ns.slice(0, -9), ns.slice(-9)];
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${rest}Z`;
}

function connsAt(store: string, at: string): Row[] {
  const words = [
    'cli/tapio-replay.ts',
    'conns',
    '--store',
    store,
    '--at',
    rfc3339(at),
    '-o',
    'json',
  ];
  const out = execFileSync(execPath, words, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const lines = out
    .toString()
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Row);
}

function hasCommitted(store: string): boolean {
  return segmentDirectories(store).some((one) => (readCommits(one)?.lines.length ?? 0) > 0);
}

const sorted = (sockets: readonly Told[]): string[] => sockets.map((one) => one.join(' ')).sort();

describeKernel('conns', () => {
  test('conns --at lists what /proc said then, also of before the start, and while the recorder was dead', async () => {
    const driver = spawn('python3', ['test/kernel/conns.py', `${seed}`, `${ROUNDS}`], {
      cwd: ROOT,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const said = createInterface({ input: driver.stdout })[Symbol.asyncIterator]();
    expect((await said.next()).value).toBe('ready');
    let recording = await Recording.start(`${directory.path}/store`, []);
    const rotations = setInterval(() => recording.signal('SIGUSR2'), 500);
    try {
      // A recorder that dies before its first commit leaves no table to go on from: see FORMAT.md.
      while (!hasCommitted(recording.store)) {
        execFileSync('true');
        await setTimeout(50);
      }
      driver.stdin.write('go\n');
      for (let round = 0; round < ROUNDS; round++) {
        expect((await said.next()).value).toBe('round');
        // What goes on while nobody reads the rings is not missing either.
        if (round === 5) await recording.kill();
        if (round === 7) recording = await Recording.start(`${directory.path}/store`, []);
      }
      const { pid, moments } = JSON.parse((await said.next()).value ?? '') as Moments;
      clearInterval(rotations);
      const { summary } = await recording.stop();
      expect(summary.lost).toEqual({});
      expect(moments.length).toBe(ROUNDS + 1);
      const states = new Set(moments.flatMap(({ sockets }) => sockets.map(([state]) => state)));
      expect([...states].sort()).toEqual(['CONNECTED', 'LISTEN', 'SYN_SENT']);
      for (const { at, sockets } of moments) {
        const own = connsAt(recording.store, at).filter((row) => row.pid === pid);
        const found = own.map(({ state, saddr, sport, daddr, dport }): Told => {
          return [state, saddr, sport, daddr, dport];
        });
        expect(sorted(found), `seed ${seed} at ${at}`).toEqual(sorted(sockets));
        expect(own.every(({ comm }) => comm === 'python3')).toBe(true);
      }
    } finally {
      clearInterval(rotations);
      driver.kill('SIGKILL');
      recording.signal('SIGKILL');
    }
  });
});
