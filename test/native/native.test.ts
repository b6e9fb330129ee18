import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { ROOT } from '../support/recording.ts';

test('ring, merge and decode hold, plain and under the sanitizers', { timeout: 900_000 }, () => {
  const seed = process.env.TAPIO_SEED ?? String(Date.now() % 1_000_000);
  const scale = process.env.TAPIO_LONG === undefined ? '1' : '20';
  const out = spawnSync('sh', ['test/native/run.sh', seed, scale], { cwd: ROOT });
  expect(out.status, `seed ${seed}\n${out.stdout}${out.stderr}`).toBe(0);
});
