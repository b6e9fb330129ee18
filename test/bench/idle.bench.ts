// An idle host: what the recorder takes when hardly anything happens.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { startRecorder, sum } from './recorder.ts';
import { report } from './report.ts';

const SECONDS = 30;

/** Anonymous memory of the process, bytes (the rings are file-backed). */
function anonymousBytes(pid: number): number {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8')
    .split('\n')
    .find((l) => l.startsWith('RssAnon:'));
  return Number(line?.replace(/\D/g, '') ?? 0) * 1024;
}

export async function bench(): Promise<void> {
  const recorder = await startRecorder([]);
  const before = recorder.status();
  execFileSync('sleep', [String(SECONDS)]);
  const after = recorder.status() as ReturnType<typeof recorder.status> & { pid: number };
  const seconds = after.duration_s - before.duration_s;
  report({
    name: 'idle cpu',
    values: [((after.cpu_s - before.cpu_s) / seconds) * 100],
    unit: '% of a core',
  });
  report({
    name: 'idle events',
    values: [(sum(after.events) - sum(before.events)) / seconds],
    unit: 'events/s',
  });
  report({
    name: 'idle anonymous memory',
    values: [anonymousBytes(after.pid) / 2 ** 20],
    unit: 'MiB',
  });
  await recorder.stop();
}
