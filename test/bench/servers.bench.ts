// What recording leaves of a server's throughput and adds to a build, beside untraced, `perf record` and
// bpftrace with the same tracepoints, in one run and in turn. Programs that are not installed are named.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { stdout } from 'node:process';
import { temporaryDirectory } from '../support/recording.ts';
import { onWorkCpu, startRecorder, WORK_CPU } from './recorder.ts';
import { report } from './report.ts';

const ROUNDS = 5;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What the default profile looks at, as others name it. */
const TRACEPOINTS = [
  'sched:sched_process_fork',
  'sched:sched_process_exec',
  'sched:sched_process_exit',
  'sock:inet_sock_set_state',
  'tcp:tcp_destroy_sock',
  'syscalls:sys_enter_openat',
  'syscalls:sys_exit_openat',
  'syscalls:sys_exit_accept4',
  'syscalls:sys_exit_connect',
];

interface Load {
  readonly name: string;
  readonly needs: readonly string[];
  /** Starts what is there throughout. */
  prepare(directory: string, port: number): ChildProcess | null;
  /** One run: operations per second, or builds per second. */
  measure(directory: string, port: number): Promise<number>;
}

const onCpu = (command: string, ...args: string[]): ChildProcess =>
  spawn('taskset', ['-c', WORK_CPU, command, ...args], { stdio: 'ignore' });

const nginx: Load = {
  name: 'nginx (wrk, keep-alive off)',
  needs: ['nginx', 'wrk'],
  prepare(directory, port) {
    writeFileSync(join(directory, 'page.html'), 'x'.repeat(612));
    writeFileSync(
      join(directory, 'nginx.conf'),
      `daemon off; worker_processes 1; error_log /dev/null; pid ${directory}/pid;
       events { worker_connections 512; }
       http { access_log off; keepalive_timeout 0;
         client_body_temp_path ${directory}/a; proxy_temp_path ${directory}/b;
         fastcgi_temp_path ${directory}/c; uwsgi_temp_path ${directory}/d; scgi_temp_path ${directory}/e;
         server { listen 127.0.0.1:${port}; root ${directory}; } }`,
    );
    return onCpu('nginx', '-c', join(directory, 'nginx.conf'), '-p', directory);
  },
  async measure(_directory, port) {
    const url = `http://127.0.0.1:${port}/page.html`;
    const text = await onWorkCpu('wrk', '-t', '1', '-c', '16', '-d', '3s', url);
    return Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
  },
};

const redis: Load = {
  name: 'redis (GET and SET)',
  needs: ['redis-server', 'redis-benchmark'],
  prepare(directory, port) {
    const flags = ['--port', String(port), '--save', '', '--dir', directory];
    return onCpu('redis-server', ...flags);
  },
  async measure(_directory, port) {
    const flags = ['-p', String(port), '-n', '100000', '-c', '16', '-t', 'get,set', '--csv'];
    const text = await onWorkCpu('redis-benchmark', ...flags);
    const rates = [...text.matchAll(/^"(?:GET|SET)","([\d.]+)"/gm)].map((found) =>
      Number(found[1]),
    );
    return rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  },
};

const BUILD_FILES = 24;
const build: Load = {
  name: 'a build (make, gcc)',
  needs: ['make', 'gcc'],
  prepare(directory) {
    mkdirSync(join(directory, 'src'));
    const names = Array.from({ length: BUILD_FILES }, (_, i) => `f${i}`);
    for (const name of names) {
      const text = `#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint ${name}(int x) { return printf("%d", x); }\n`;
      writeFileSync(join(directory, 'src', `${name}.c`), text);
    }
    const objects = names.map((name) => `${name}.o`).join(' ');
    writeFileSync(join(directory, 'src', 'Makefile'), `all: ${objects}\nclean:\n\trm -f *.o\n`);
    return null;
  },
  async measure(directory) {
    const at = join(directory, 'src');
    spawnSync('make', ['-s', '-C', at, 'clean']);
    const start = process.hrtime.bigint();
    await onWorkCpu('make', '-s', '-j2', '-C', at, 'all');
    return 1e9 / Number(process.hrtime.bigint() - start);
  },
};

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}

const has = (program: string): boolean => spawnSync('which', [program]).status === 0;

type Tracer = (directory: string) => Promise<{ stop(): Promise<unknown> }>;

const following = (command: string, args: readonly string[]): Tracer => {
  return async () => {
    const child = spawn(command, args, { stdio: 'ignore' });
    await sleep(2000);
    return {
      async stop() {
        child.kill('SIGINT');
        await new Promise((resolve) => child.on('close', resolve));
      },
    };
  };
};

function tracers(): [string, Tracer][] {
  const events = TRACEPOINTS.flatMap((event) => ['-e', event]);
  const probes = TRACEPOINTS.map((event) => `tracepoint:${event}`).join(',');
  const script = `${probes} { printf("%llu %d %s %s\\n", nsecs, pid, comm, probe); }`;
  const all: [string, Tracer][] = [
    ['default profile', () => startRecorder([])],
    ['default profile, latency off', () => startRecorder(['--no-latency'])],
  ];
  const output = (directory: string, name: string): string => join(directory, name);
  if (has('perf')) {
    all.push([
      'perf record',
      (directory) =>
        following('perf', [
          'record',
          '-a',
          '-q',
          '-m',
          '16M',
          '-o',
          output(directory, 'perf'),
          ...events,
        ])(directory),
    ]);
  }
  if (has('bpftrace')) {
    all.push([
      'bpftrace',
      (directory) =>
        following('bpftrace', ['-o', output(directory, 'bpftrace'), '-e', script])(directory),
    ]);
  }
  return all;
}

export async function bench(): Promise<void> {
  for (const load of [nginx, redis, build]) {
    const lacking = load.needs.filter((program) => !has(program));
    if (lacking.length > 0) {
      stdout.write(`${JSON.stringify({ name: load.name, not_installed: lacking })}\n`);
      continue;
    }
    const directory = temporaryDirectory();
    const port = await freePort();
    const server = load.prepare(directory.path, port);
    await sleep(500);
    const base: number[] = [];
    const ratios = new Map<string, number[]>();
    for (let round = 0; round < ROUNDS; round++) {
      const untraced = await load.measure(directory.path, port);
      base.push(untraced);
      for (const [name, start] of tracers()) {
        const tracer = await start(directory.path);
        const traced = await load.measure(directory.path, port);
        await tracer.stop();
        ratios.set(name, [...(ratios.get(name) ?? []), (traced / untraced) * 100]);
      }
    }
    report({ name: `${load.name} untraced`, values: base, unit: '1/s' });
    for (const [name, values] of ratios) {
      report({ name: `${load.name} ${name}`, values, unit: '% of untraced' });
    }
    server?.kill('SIGTERM');
    directory.remove();
  }
}
