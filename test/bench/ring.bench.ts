// The ring alone: what a whole event costs the kernel, by the kernel's own count of program time, and how
// fast user space merges.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { ROOT } from '../support/recording.ts';
import { onWorkCpu, startRecorder } from './recorder.ts';
import { report } from './report.ts';

const STATS = '/proc/sys/kernel/bpf_stats_enabled';
const RUNS = 5;

interface Program {
  readonly name: string;
  readonly run_time_ns?: number;
  readonly run_cnt?: number;
}

function programTime(): { ns: number; count: number } {
  const all = JSON.parse(execFileSync('bpftool', ['-j', 'prog', 'list']).toString()) as Program[];
  const exit = all.filter((program) => program.name === 'call_exit');
  return {
    ns: exit.reduce((total, program) => total + (program.run_time_ns ?? 0), 0),
    count: exit.reduce((total, program) => total + (program.run_cnt ?? 0), 0),
  };
}

async function producer(): Promise<void> {
  const before = readFileSync(STATS, 'utf8');
  writeFileSync(STATS, '1');
  try {
    const recorder = await startRecorder([
      '--profile',
      'minimal',
      '--no-latency',
      '--syscalls',
      'getppid',
      '--disable',
      'process.exec',
    ]);
    const values: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const start = programTime();
      await onWorkCpu('build/bench/calls', 'getppid', '1000000');
      const end = programTime();
      values.push((end.ns - start.ns) / (end.count - start.count));
    }
    await recorder.stop();
    report({ name: 'ring producer, whole event (bpf_stats)', values, unit: 'ns' });
  } finally {
    writeFileSync(STATS, before);
  }
}

export async function bench(): Promise<void> {
  await producer();
  execFileSync(
    'sh',
    [
      '-c',
      'g++ -std=c++20 -O3 -pthread -Wno-missing-field-initializers -Inative -Ischemas/generated test/bench/ring.cc native/columns.cc native/text.cc native/names.cc native/syscalls.cc native/raw_source.cc native/transcode.cc native/predicate.cc native/record_values.cc native/drain.cc -lre2 -o build/bench/ring',
    ],
    { cwd: ROOT },
  );
  const text = execFileSync('build/bench/ring', [], { cwd: ROOT }).toString();
  for (const line of text.trim().split('\n')) {
    const { name, values, unit } = JSON.parse(line) as {
      name: string;
      values: number[];
      unit: string;
    };
    report({ name, values, unit });
  }
}
