// An idle host: what the recorder takes when hardly anything happens.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { startRecorder, sum } from './recorder.ts';
import { report } from './report.ts';

const SECONDS = 100;
/** A second, shorter recording tells what a segment costs however little it holds. */
const SHORT_SECONDS = 20;
/** How long a segment of so few events is written to (ROTATION in the daemon). */
const SEGMENT_SECONDS = 3600;
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
  const long = await recorder.stop();
  const short = await startRecorder([]);
  execFileSync('sleep', [String(SHORT_SECONDS)]);
  const brief = await short.stop();
  // What grows with time, and what each segment has at least: its schemas and the processes alive.
  const perSecond = (long.bytes - brief.bytes) / (long.duration_s - brief.duration_s);
  const perSegment = brief.bytes - perSecond * brief.duration_s;
  const aDayStored = perSecond * SECONDS_A_DAY + (perSegment * SECONDS_A_DAY) / SEGMENT_SECONDS;
  report({ name: 'idle store, a sealed segment at least', values: [perSegment / 1e3], unit: 'kB' });
  report({ name: 'idle store, sealed', values: [aDayStored / 1e6], unit: 'MB/day' });
}
