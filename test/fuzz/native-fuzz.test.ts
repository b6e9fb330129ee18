import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { ROOT } from '../support/recording.ts';

const SECONDS_PER_TARGET = '240';

function run(...args: string[]): string {
  const out = spawnSync('sh', ['test/fuzz/run.sh', ...args], { cwd: ROOT, encoding: 'utf8' });
  expect(out.status, `${out.stdout}${out.stderr}`).toBe(0);
  return out.stdout;
}

test('decoder, ring reader, scanner, encoder and redaction hold on the corpus, and planted bugs are found', {
  timeout: 600_000,
}, () => {
  const said = run();
  for (const target of ['record', 'ring', 'batch', 'raw_event', 'redact']) {
    expect(said).toContain(`${target}: held, and the planted bug was found`);
  }
});

if (process.env.TAPIO_LONG !== undefined) {
  test('fuzzing finds nothing new', { timeout: 1_200_000 }, () => {
    run(SECONDS_PER_TARGET);
  });
}
