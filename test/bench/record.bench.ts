// Kernel to disk: what is sustained, what it costs, how large it gets, what is lost.

import { execFileSync } from 'node:child_process';
import { ROOT, temporaryDirectory } from '../support/recording.ts';
import { onWorkCpu, startRecorder, sum } from './recorder.ts';
import { report } from './report.ts';

const SECONDS = 20;

async function sustained(
  name: string,
  flags: readonly string[],
  work: () => Promise<unknown>,
): Promise<void> {
  const recorder = await startRecorder(flags);
  const before = recorder.status();
  const started = performance.now();
  try {
    await work();
  } catch (error) {
    await recorder.stop();
    throw error;
  }
  const seconds = (performance.now() - started) / 1000;
  const after = recorder.status();
  const final = await recorder.stop();
  const events = sum(final.events);
  const rate = events / seconds;
  const cpu = (after.cpu_s - before.cpu_s) / seconds;
  report({ name: `${name} rate`, values: [rate], unit: 'events/s' });
  report({ name: `${name} lost`, values: [sum(final.lost)], unit: 'events' });
  report({ name: `${name} cpu`, values: [cpu * 100], unit: '% of a core' });
  report({ name: `${name} cpu at 1M/s`, values: [(cpu / rate) * 1e8], unit: '% of a core' });
  report({ name: `${name} bytes`, values: [final.bytes / events], unit: 'B/event' });
  report({ name: `${name} main thread busy`, values: [after.main_thread_busy * 100], unit: '%' });
}

async function npmCi(): Promise<void> {
  const scratch = temporaryDirectory();
  execFileSync('cp', ['package.json', 'package-lock.json', scratch.path], { cwd: ROOT });
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: scratch.path,
    stdio: 'ignore',
  });
  scratch.remove();
}

export async function bench(): Promise<void> {
  const only = ['--profile', 'minimal'];
  await sustained('record getppid', [...only, '--syscalls', 'getppid'], () =>
    onWorkCpu('build/bench/getppid', String(SECONDS)),
  );
  await sustained(
    'record getppid, latency off',
    [...only, '--no-latency', '--syscalls', 'getppid'],
    () => onWorkCpu('build/bench/getppid', String(SECONDS)),
  );
  await sustained('record dd', [...only, '--enable', 'file.read,file.write'], () =>
    onWorkCpu('timeout', String(SECONDS), 'dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1'),
  );
  await sustained('record npm ci', ['--enable', 'file.read,file.write'], npmCi);
}
