// An idle host: what the recorder takes when hardly anything happens.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { startRecorder, sum } from './recorder.ts';
import { report } from './report.ts';

const SECONDS = 60;
const SECONDS_A_DAY = 86_400;

/** Anonymous memory of the process, bytes (the rings are file-backed). */
function anonymousBytes(pid: number): number {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8')
    .split('\n')
    .find((l) => l.startsWith('RssAnon:'));
  return Number(line?.replace(/\D/g, '') ?? 0) * 1024;
}

/** What the process had the disk write, bytes. */
function writtenBytes(pid: number): number {
  return Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);
}

export async function bench(): Promise<void> {
  const recorder = await startRecorder([]);
  const before = recorder.status() as ReturnType<typeof recorder.status> & { pid: number };
  const writtenBefore = writtenBytes(before.pid);
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
  const aDay = SECONDS_A_DAY / seconds;
  report({
    name: 'idle written to disk',
    values: [((writtenBytes(after.pid) - writtenBefore) * aDay) / 1e9],
    unit: 'GB/day',
  });
  // While it is open, a segment is larger than when it is sealed: the summary has the sealed size.
  const { bytes, duration_s: duration } = await recorder.stop();
  report({
    name: 'idle store, sealed',
    values: [(bytes * (SECONDS_A_DAY / duration)) / 1e6],
    unit: 'MB/day',
  });
}
