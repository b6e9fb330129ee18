// tapio-record doctor: can this host record? What works, what does not, what to do.

import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { release } from 'node:os';
import { dirname, resolve } from 'node:path';
import { stdout } from 'node:process';
import { defaultStore } from '../../src/segment/store.ts';
import { native } from '../../src/source/binding.ts';
import { bytesText } from '../format.ts';
import type { Command, Flags } from '../program.ts';

/** One finding. `needed`: without it nothing can be recorded. */
interface Check {
  readonly area: string;
  readonly name: string;
  readonly state: 'ok' | 'missing' | 'note';
  readonly needed: boolean;
  readonly detail: string;
}

const KERNEL_MIN = [5, 12];
const CAPABILITIES = [
  ['CAP_SYS_ADMIN', 21],
  ['CAP_BPF', 39],
  ['CAP_PERFMON', 38],
  ['CAP_NET_ADMIN', 12],
] as const;
const FREE_BYTES_MIN = 1 << 30;

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}

function kernelCheck(): Check {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  const [wantMajor = 0, wantMinor = 0] = KERNEL_MIN;
  const ok = major > wantMajor || (major === wantMajor && minor >= wantMinor);
  return {
    area: 'kernel',
    name: `Linux ${release()}`,
    state: ok ? 'ok' : 'missing',
    needed: true,
    detail: ok ? '' : `${KERNEL_MIN.join('.')} or newer is needed: use a newer kernel`,
  };
}

function capabilityChecks(): Check[] {
  const line = readText('/proc/self/status')
    ?.split('\n')
    .find((l) => l.startsWith('CapEff:'));
  const set = BigInt(`0x${line?.slice(7).trim() ?? '0'}`);
  const has = (bit: number): boolean => ((set >> BigInt(bit)) & 1n) === 1n;
  const enough = has(21) || (has(39) && has(38));
  const held = CAPABILITIES.filter(([, bit]) => has(bit)).map(([name]) => name);
  return [
    {
      area: 'privileges',
      name: held.length === 0 ? 'no capabilities' : held.join(', '),
      state: enough ? 'ok' : 'missing',
      needed: true,
      detail: enough ? '' : 'run as root, or with CAP_BPF and CAP_PERFMON',
    },
  ];
}

function mountCheck(path: string, inside: string, command: string): Check {
  const mounted = existsSync(inside);
  return {
    area: 'mounts',
    name: path,
    state: mounted ? 'ok' : 'note',
    needed: false,
    detail: mounted ? '' : `not mounted: ${command}`,
  };
}

function probeChecks(): Check[] {
  return native()
    .probe()
    .map(({ name, ok, detail }, i) => ({
      area: 'hooks',
      name,
      state: ok ? 'ok' : 'missing',
      // The first two are the type information and the loading itself.
      needed: i < 2,
      detail: ok ? '' : detail,
    }));
}

function diskCheck(store: string): Check {
  let at = resolve(store);
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  const stat = statfsSync(at);
  const free = stat.bavail * stat.bsize;
  const ok = free >= FREE_BYTES_MIN;
  return {
    area: 'disk',
    name: `${store}: ${bytesText(free)} free`,
    state: ok ? 'ok' : 'note',
    needed: false,
    detail: ok ? '' : 'little room: choose another disk with --store',
  };
}

function clockChecks(): Check[] {
  const source = readText('/sys/devices/system/clocksource/clocksource0/current_clocksource');
  const { boottime, monotonic } = native().clocks();
  const slept = boottime - monotonic > 1_000_000n;
  return [
    {
      area: 'clocks',
      name: `clock source ${source ?? 'unknown'}`,
      state:
        source === 'tsc' || source === 'kvm-clock' || source === 'arch_sys_counter' ? 'ok' : 'note',
      needed: false,
      detail:
        source === 'hpet' || source === 'acpi_pm' ? 'slow to read: each event costs more' : '',
    },
    {
      area: 'clocks',
      name: slept ? 'this host has slept since its boot' : 'this host has not slept since its boot',
      state: 'ok',
      needed: false,
      detail: '',
    },
  ];
}

const BLIND_SPOTS: readonly (readonly [string, string])[] = [
  ['io_uring', 'reads, writes, opens, connects and accepts done through io_uring are not rows yet'],
  [
    '32-bit calls',
    'system calls of 32-bit programs are not rows yet; their processes and sockets are',
  ],
  ['Unix sockets', 'connect, accept and listen are recorded for IPv4 and IPv6 only'],
  ['mmap', 'what is read or written through a memory mapping makes no system call'],
];

function allChecks(store: string): Check[] {
  const unprivileged = readText('/proc/sys/kernel/unprivileged_bpf_disabled');
  return [
    kernelCheck(),
    ...capabilityChecks(),
    {
      area: 'privileges',
      name: `unprivileged_bpf_disabled ${unprivileged ?? 'unknown'}`,
      state: 'ok',
      needed: false,
      detail: '',
    },
    ...probeChecks(),
    mountCheck(
      '/sys/kernel/tracing',
      '/sys/kernel/tracing/events',
      'mount -t tracefs none /sys/kernel/tracing (not needed to record)',
    ),
    diskCheck(store),
    ...clockChecks(),
    ...BLIND_SPOTS.map(
      ([name, detail]): Check => ({
        area: 'blind spots',
        name,
        state: 'note',
        needed: false,
        detail,
      }),
    ),
  ];
}

async function run(flags: Flags): Promise<number> {
  const checks = allChecks((flags.store as string | undefined) ?? defaultStore());
  const able = checks.every((check) => !check.needed || check.state === 'ok');
  if (flags.output === 'json') {
    stdout.write(`${JSON.stringify({ able, checks })}\n`);
    return able ? 0 : 1;
  }
  const marks = { ok: '✓', missing: '✗', note: '·' } as const;
  let area = '';
  for (const check of checks) {
    if (check.area !== area) stdout.write(`${check.area}\n`);
    area = check.area;
    const detail = check.detail === '' ? '' : `: ${check.detail}`;
    stdout.write(`  ${marks[check.state]} ${check.name}${detail}\n`);
  }
  stdout.write(
    able
      ? '\nthis host can record: tapio-record\n'
      : '\nthis host cannot record as it is; mend what is marked ✗, or use --source synthetic\n',
  );
  return able ? 0 : 1;
}

export const doctor: Command = {
  usage: 'doctor [flags]',
  flags: {
    store: { type: 'string', describe: 'DIR — the store whose disk is looked at' },
    output: { alias: 'o', choices: ['text', 'json'], default: 'text', describe: 'how to answer' },
  },
  examples: [['tapio-record doctor', 'before the first recording, or when an op is missing']],
  run,
};
