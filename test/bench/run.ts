// npm run bench [NAME…]: JSON lines {name, value, unit, runs, spread}. Timing is told here, never asserted in
// tests: machines differ. `spread` is (max − min) / median over the runs.

import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import { argv, stdout } from 'node:process';
import { ROOT } from '../support/recording.ts';

const SUITES: Readonly<Record<string, () => Promise<{ bench: () => Promise<void> }>>> = {
  ring: () => import('./ring.bench.ts'),
  record: () => import('./record.bench.ts'),
  overhead: () => import('./overhead.bench.ts'),
  servers: () => import('./servers.bench.ts'),
  idle: () => import('./idle.bench.ts'),
  endure: () => import('./endure.bench.ts'),
  play: () => import('./play.bench.ts'),
  query: () => import('./query.bench.ts'),
  sink: () => import('./sink.bench.ts'),
  unified: () => import('./unified.bench.ts'),
  'raw-events': () => import('./raw-events.bench.ts'),
  onward: () => import('./onward.bench.ts'),
  audit: () => import('./audit.bench.ts'),
  serve: () => import('./serve.bench.ts'),
};

async function main(): Promise<void> {
  const wanted = argv.slice(2);
  execFileSync('mkdir', ['-p', 'build/bench'], { cwd: ROOT });
  for (const name of ['calls', 'getppid']) {
    execFileSync('gcc', ['-O2', '-o', `build/bench/${name}`, `test/bench/${name}.c`], {
      cwd: ROOT,
    });
  }
  stdout.write(
    `${JSON.stringify({
      machine: `${cpus()[0]?.model} × ${cpus().length}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`,
    })}\n`,
  );
  for (const [name, load] of Object.entries(SUITES)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    await (await load()).bench();
  }
}

if (import.meta.main) await main();
