// ps --at and trace against /proc: a busy family wrote down what it said at moments when nothing moved.

import { execFileSync, spawn } from 'node:child_process';
import { execPath } from 'node:process';
import { expect, test } from 'vitest';
import { describeKernel, eachDirectory } from '../support/kernel.ts';
import { Recording, ROOT, type Row, run } from '../support/recording.ts';

const NS_PER_TICK = 10_000_000n;
const ROUNDS = 8;
const seed = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);

const directory = eachDirectory();

interface Moment {
  readonly at: string;
  readonly processes: readonly { readonly pid: number }[];
}

function replay(...words: string[]): Row[] {
  const text = execFileSync(execPath, ['cli/tapio-replay.ts', ...words, '-o', 'json'], {
    cwd: ROOT,
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'ignore'],
  }).toString();
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);
}

/** ns as RFC 3339. */
function rfc3339(ns: string): string {
  const [seconds, rest] = [ns.slice(0, -9), ns.slice(-9)];
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${rest}Z`;
}

/** A process and all who descend from it, by the ppids of a list. */
function familyOf(root: number, list: readonly Row[]): Row[] {
  const members = new Set([root]);
  for (let before = 0; before !== members.size; ) {
    before = members.size;
    for (const { pid, ppid } of list) if (members.has(ppid)) members.add(pid);
  }
  return list.filter(({ pid }) => members.has(pid));
}

describeKernel('people', () => {
  test('ps --at lists what /proc said then; trace has every exec of the family', async () => {
    const recording = await Recording.start(`${directory.path}/store`, []);
    // What makes the host busy is none of the family.
    const noise = spawn('sh', ['-c', 'while :; do /bin/true; done'], { stdio: 'ignore' });
    const rotations = setInterval(() => recording.signal('SIGUSR2'), 1_000);
    try {
      const text = await run('python3', ['test/kernel/people.py', `${seed}`, `${ROUNDS}`]);
      const { root, executed, moments } = JSON.parse(text) as Row & { moments: Moment[] };
      clearInterval(rotations);
      const { summary } = await recording.stop();
      expect(summary.lost).toEqual({});
      expect(moments.length).toBe(ROUNDS);
      for (const { at, processes } of moments) {
        const list = replay('ps', '--store', recording.store, '--at', rfc3339(at));
        const found = familyOf(root, list).map(({ pid, ppid, uid, comm, args, pstart }) => {
          const start = `${BigInt(pstart) / NS_PER_TICK}`;
          return { pid, ppid, uid, comm, args, start };
        });
        expect(found, `seed ${seed} at ${at}`).toEqual(processes);
      }
      const rows = replay('trace', `${root}`, '--store', recording.store);
      const numbers = rows
        .filter((row) => row.op === 'exec' && row.process.result === 0)
        .map((row) => row.process.args.at(-1) as string)
        .filter((arg) => /^1000\.\d{6}$/.test(arg));
      expect(numbers.length, `seed ${seed}`).toBeGreaterThan(ROUNDS);
      expect(numbers, `seed ${seed}`).toEqual(executed);
      // All types: each of these programs has opened its libraries.
      const opened = new Set(rows.filter((row) => row.op === 'open').map((row) => row.pid));
      const ran = rows.filter((row) => row.op === 'exec' && row.process.result === 0);
      expect(
        ran.filter((row) => !opened.has(row.pid)),
        `seed ${seed}`,
      ).toEqual([]);
      expect(rows.some((row) => row.pid === noise.pid)).toBe(false);
    } finally {
      clearInterval(rotations);
      noise.kill('SIGKILL');
      recording.signal('SIGKILL');
    }
  });
});
