// A follower of the live kernel makes no rows itself: what it writes is not what it reads next.

import { spawn } from 'node:child_process';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeKernel } from '../support/kernel.ts';
import {
  queryRows,
  Recording,
  ROOT,
  type Row,
  temporaryDirectory,
  whyNoKernel,
} from '../support/recording.ts';

const why = whyNoKernel();
const directory = temporaryDirectory();
const store = join(directory.path, 'store');
let recording: Recording | null = null;
beforeAll(async () => {
  if (why !== null) return;
  recording = await Recording.start(store, ['--enable', 'file.write,file.open']);
});
afterAll(async () => {
  if (recording?.hasEnded === false) await recording.kill();
  directory.remove();
});

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describeKernel('live', () => {
  test('no row of its own once it follows; others, and what came after it, have theirs', async () => {
    const out = join(directory.path, 'rows');
    const words = ['cli/tapio-replay.ts', 'tail', '--store', store, '-o', 'json', '--last', '0'];
    const child = spawn(execPath, words, {
      cwd: ROOT,
      stdio: ['ignore', openSync(out, 'w'), 'pipe'],
    });
    let stderr = '';
    child.stderr?.on('data', (text) => {
      stderr += text;
    });
    const ended = new Promise((resolve) => child.on('close', resolve));
    await sleep(3000);
    // Rows to come, so that it writes.
    for (let i = 0; i < 200; i++) {
      writeFileSync(join(directory.path, 'made'), `${i}`);
      await sleep(10);
    }
    await sleep(1500);
    child.kill('SIGINT');
    expect(await ended, stderr).toBe(0);
    await recording?.stop();
    const rows = queryRows(store, ['--type', 'file', '--op', 'write', '--all']);
    const mine = rows.filter(({ pid }) => pid === process.pid);
    expect(mine.length).toBeGreaterThanOrEqual(200);
    expect(rows.filter((row) => row.pid === child.pid && row.file.path === out)).toEqual([]);
    // What it wrote is what others did: it did follow.
    const followed = readFileSync(out, 'utf8')
      .trim()
      .split('\n')
      .map((line): Row => JSON.parse(line));
    const made = followed.filter(
      ({ pid, op, file }) =>
        pid === process.pid && op === 'write' && file.path === join(directory.path, 'made'),
    );
    expect(made.length).toBe(200);
  });
});
