// What recording adds to a program, beside untraced and `perf record` of the same tracepoints, in one run
// and in turn, so that the machine's drift touches all alike.

import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { temporaryDirectory } from '../support/recording.ts';
import { onWorkCpu, startRecorder } from './recorder.ts';
import { report } from './report.ts';

const ROUNDS = 5;

interface Workload {
  readonly name: string;
  readonly kind: string;
  readonly iterations: number;
  readonly flags: readonly string[];
  /** Events that perf records for the same. */
  readonly perf: readonly string[];
}

const CALL = (name: string): string[] => [
  `syscalls:sys_enter_${name}`,
  `syscalls:sys_exit_${name}`,
];
const PROCESS = [
  'sched:sched_process_fork',
  'sched:sched_process_exec',
  'sched:sched_process_exit',
];

const WORKLOADS: readonly Workload[] = [
  {
    name: 'getppid recorded',
    kind: 'getppid',
    iterations: 2_000_000,
    flags: ['--profile', 'minimal', '--syscalls', 'getppid'],
    perf: CALL('getppid'),
  },
  { name: 'getppid, nothing matches', kind: 'getppid', iterations: 2_000_000, flags: [], perf: [] },
  { name: 'open+close', kind: 'open', iterations: 500_000, flags: [], perf: CALL('openat') },
  { name: 'vfork+exec', kind: 'exec', iterations: 2_000, flags: [], perf: PROCESS },
  {
    name: 'tcp connect+accept+close',
    kind: 'tcp',
    iterations: 20_000,
    flags: [],
    perf: ['sock:inet_sock_set_state', 'tcp:tcp_destroy_sock'],
  },
];

async function nsPer(workload: Workload): Promise<number> {
  return Number(await onWorkCpu('build/bench/calls', workload.kind, String(workload.iterations)));
}

/** Runs the workload while perf records its tracepoints on every CPU. */
async function underPerf(workload: Workload): Promise<number | null> {
  if (workload.perf.length === 0 || spawnSync('perf', ['--version']).status !== 0) return null;
  const directory = temporaryDirectory();
  const events = workload.perf.flatMap((event) => ['-e', event]);
  const perf = spawn(
    'perf',
    ['record', '-a', '-q', '-m', '16M', '-o', join(directory.path, 'perf.data'), ...events],
    {
      stdio: 'ignore',
    },
  );
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const ns = perf.exitCode === null ? await nsPer(workload) : null;
  perf.kill('SIGINT');
  await new Promise((resolve) => perf.on('close', resolve));
  directory.remove();
  return ns;
}

export async function bench(): Promise<void> {
  for (const workload of WORKLOADS) {
    const base: number[] = [];
    const recorded: number[] = [];
    const unlatent: number[] = [];
    const perf: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      base.push(await nsPer(workload));
      for (const [flags, into] of [
        [workload.flags, recorded],
        [[...workload.flags, '--no-latency'], unlatent],
      ] as const) {
        const recorder = await startRecorder(flags);
        into.push(await nsPer(workload));
        await recorder.stop();
      }
      const peer = await underPerf(workload);
      if (peer !== null) perf.push(peer);
    }
    const ratio = (values: readonly number[]): number[] =>
      values.map((value, i) => value / (base[i] ?? 1));
    report({ name: `${workload.name} untraced`, values: base, unit: 'ns' });
    report({ name: `${workload.name} with latency`, values: ratio(recorded), unit: '× untraced' });
    report({ name: `${workload.name} latency off`, values: ratio(unlatent), unit: '× untraced' });
    report({
      name: `${workload.name} added, latency off`,
      values: unlatent.map((value, i) => value - (base[i] ?? 0)),
      unit: 'ns',
    });
    if (perf.length > 0)
      report({ name: `${workload.name} perf record`, values: ratio(perf), unit: '× untraced' });
  }
}
