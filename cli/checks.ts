// What doctor looks at, apart from the kernel's hooks: each check is one finding with its remedy.

import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { availableParallelism, release, totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { arch, geteuid, pid, versions } from 'node:process';
import { OP_NAMES } from '../schemas/events.ts';
import { resolveConfig } from '../src/config/config.ts';
import { TapioError } from '../src/errors.ts';
import { heldBy, privilegesText } from '../src/privileges.ts';
import { lockHolder } from '../src/segment/store.ts';
import { type Native, native, PINS, type PinnedSet } from '../src/source/binding.ts';
import { bytesText } from './format.ts';

/** One finding. `needed`: without it nothing can be recorded. */
export interface Check {
  readonly area: string;
  readonly name: string;
  readonly state: 'ok' | 'missing' | 'note';
  readonly needed: boolean;
  /** What to do, or what it means; empty where all is well. */
  readonly detail: string;
}

/** bpf_loop() came with it. */
const KERNEL_MIN = [5, 17];
const FREE_BYTES_MIN = 1 << 30;
const SLOW_CLOCKS = ['hpet', 'acpi_pm', 'jiffies'];
/** statfs f_type of what a store may lie on, with what is to be said of it. */
const FILE_SYSTEMS: Readonly<Record<number, readonly [name: string, warning: string]>> = {
  61267: ['ext4', ''],
  1481003842: ['xfs', ''],
  2435016766: ['btrfs', ''],
  801189825: ['zfs', ''],
  2035054128: ['overlayfs', 'a container’s own layer goes with it: mount a volume there'],
  16914836: ['tmpfs', 'it lives in memory and is gone after a reboot'],
  26985: ['nfs', 'each flush waits for the network: a local disk loses less'],
  4266872130: ['cifs', 'each flush waits for the network: a local disk loses less'],
};

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}

const ok = (area: string, name: string): Check => ({
  area,
  name,
  state: 'ok',
  needed: false,
  detail: '',
});
const missing = (area: string, name: string, detail: string): Check => ({
  area,
  name,
  state: 'missing',
  needed: true,
  detail,
});
const note = (area: string, name: string, detail: string): Check => ({
  area,
  name,
  state: 'note',
  needed: false,
  detail,
});

/** A kernel release as [major, minor] against what is needed. */
export function kernelIsNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [wantMajor = 0, wantMinor = 0] = KERNEL_MIN;
  return major > wantMajor || (major === wantMajor && minor >= wantMinor);
}

function kernelChecks(): Check[] {
  const name = `Linux ${release()}`;
  const wanted = KERNEL_MIN.join('.');
  const lockdown = /\[(\w+)\]/.exec(readText('/sys/kernel/security/lockdown') ?? '')?.[1] ?? 'none';
  return [
    kernelIsNewEnough(release())
      ? ok('kernel', name)
      : missing('kernel', name, `${wanted} or newer is needed: use a newer kernel`),
    ...(lockdown === 'confidentiality'
      ? [missing('kernel', 'lockdown', 'confidentiality forbids reading the kernel: boot without')]
      : []),
  ];
}

/** Whether capabilities are enough to record. */
export function areEnough(capabilities: readonly string[]): boolean {
  const has = (name: string): boolean => capabilities.includes(name);
  return has('sys_admin') || (has('bpf') && has('perfmon'));
}

function privilegeChecks(): Check[] {
  const held = heldBy(pid);
  const name = held === null ? 'unknown' : privilegesText(held);
  const unprivileged = readText('/proc/sys/kernel/unprivileged_bpf_disabled');
  return [
    held !== null && areEnough(held.capabilities)
      ? ok('privileges', name)
      : missing('privileges', name, 'run as root, or with CAP_BPF and CAP_PERFMON'),
    ok('privileges', `unprivileged_bpf_disabled ${unprivileged ?? 'unknown'}`),
  ];
}

/** What the recorder of a store holds: its threads that face the network hold nothing. */
function recorderChecks(holder: number): Check[] {
  const held = heldBy(holder);
  if (held === null) return [];
  const own = ok(
    'recorder',
    `process ${holder} records as uid ${held.uid}: ${privilegesText(held)}`,
  );
  const advice = 'of root’s powers it needs two: --user gives the others up';
  const more = held.capabilities.some((one) => !['bpf', 'perfmon'].includes(one));
  return [
    more ? { ...own, state: 'note', detail: advice } : own,
    ...held.threads.map((thread) => {
      const text = `its thread ${thread.name}: ${privilegesText(thread)}`;
      return thread.capabilities.length === 0 && thread.no_new_privs
        ? ok('recorder', text)
        : note('recorder', text, 'what faces the network should hold none: please report it');
    }),
  ];
}

function hookChecks(addon: Native): Check[] {
  return addon.probe().map(({ name, ok: works, detail }, i) => {
    if (works) return ok('hooks', name);
    // The first two are the type information and the loading itself.
    return { ...missing('hooks', name, detail), needed: i < 2 };
  });
}

/** Whether another kernel has the hooks, by a file of its type information: it does not run here. */
export function kernelFileChecks(addon: Native, path: string): Check[] {
  const results = existsSync(path) ? addon.probe(path) : [];
  if (results.length === 0) {
    const why = existsSync(path) ? `${path} holds no BTF` : `${path} does not exist`;
    const how =
      'copy /sys/kernel/btf/vmlinux of that host, or name its vmlinux with debug information';
    throw new TapioError('usage', `--kernel-btf: ${why}: ${how}`);
  }
  const name = (op: number): string => {
    const known = OP_NAMES.get(op);
    return known === undefined ? String(op) : `${known.type}.${known.op}`;
  };
  const served = new Set(results.filter((one) => one.ok).flatMap((one) => one.ops));
  const off = results.flatMap((one) => one.ops).filter((op) => !served.has(op));
  return [
    ...results.map(({ name: hook, ok: has, detail, ops }) => {
      if (has) return ok('hooks', hook);
      const lost = ops.filter((op) => !served.has(op)).map(name);
      return note('hooks', hook, lost.length === 0 ? detail : `${detail}: no ${lost.join(', ')}`);
    }),
    off.length === 0
      ? ok('ops', 'all of them')
      : note('ops', `all but ${[...new Set(off)].map(name).join(', ')}`, 'these would be off'),
  ];
}

function mountChecks(): Check[] {
  const mounted = (readText('/proc/mounts') ?? '').split('\n').map((line) => line.split(' ')[2]);
  const wanted = [
    ['tracefs', '/sys/kernel/tracing', 'not needed yet'],
    ['bpf', '/sys/fs/bpf', 'without it a recorder that is killed loses what its rings hold'],
  ] as const;
  return wanted.map(([type, path, why]) =>
    mounted.includes(type)
      ? ok('mounts', `${path} (${type})`)
      : note('mounts', path, `not mounted: mount -t ${type} none ${path} (${why})`),
  );
}

/** What a recorder would find where it should record. */
export function storeChecks(store: string): Check[] {
  let at = resolve(store);
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  const disk = statfsSync(at);
  const free = disk.bavail * disk.bsize;
  const [name = 'file system', warning = ''] = FILE_SYSTEMS[disk.type] ?? [];
  const text = `${store}: ${name}, ${bytesText(free)} free`;
  const advice = free < FREE_BYTES_MIN ? 'little room: choose another disk with --store' : warning;
  const out = [advice === '' ? ok('store', text) : note('store', text, advice)];
  const path = resolve(store);
  const stat = statSync(at);
  if (!stat.isDirectory()) {
    out.push(missing('store', at, 'is not a directory: choose another with --store'));
  } else if (!isWritable(at)) {
    out.push(missing('store', at, 'cannot be written: choose another with --store'));
  } else if (at === path) {
    const holder = lockHolder(path);
    if (stat.uid !== geteuid?.() && holder === null) {
      const remedy = `chown -R ${geteuid?.()} ${path}, or record as that user (--user ${stat.uid})`;
      out.push(missing('store', path, `belongs to uid ${stat.uid}: ${remedy}`));
    } else if ((stat.mode & 0o077) !== 0) {
      out.push(missing('store', path, `is open to others: chmod 700 ${path}`));
    }
    if (holder !== null) {
      out.push(
        note('store', `process ${holder} is recording here`, 'tapio-record status asks it'),
        ...recorderChecks(holder),
      );
    }
  }
  return out;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Rings that a recorder left behind as it died: they hold what a new start would go on with. */
export function leftovers(addon: Native, store: string | null): PinnedSet[] {
  const wanted = store === null ? null : resolve(store);
  return addon
    .pinned(PINS)
    .filter((set) => !set.alive)
    .filter((set) => wanted === null || (set.store !== null && resolve(set.store) === wanted));
}

/** Such rings in words. */
export function leftoverText({ path, store, ringBytes, mutedSince }: PinnedSet): string {
  const size = ringBytes === null ? '' : `, ${bytesText(ringBytes)}`;
  const state = mutedSince === null || mutedSince === 0n ? 'still recording' : 'fallen silent';
  return `${path} (store ${store ?? 'unknown'}${size}, ${state})`;
}

function leftoverChecks(addon: Native): Check[] {
  return leftovers(addon, null).map((set) =>
    note(
      'leftovers',
      leftoverText(set),
      'its recorder died: start it again on that store to go on without a gap, or remove this with tapio-record doctor --clean',
    ),
  );
}

function memoryCheck(): Check {
  const cpus = availableParallelism();
  const { ringBytes } = resolveConfig([{}], cpus);
  const share = ((ringBytes * cpus) / totalmem()) * 100;
  const text = `rings ${cpus} × ${bytesText(ringBytes)} (${share.toFixed(1)} % of memory)`;
  return ok('memory', text);
}

function clockChecks(addon: Native | null): Check[] {
  const file = '/sys/devices/system/clocksource/clocksource0/current_clocksource';
  const source = readText(file) ?? 'unknown';
  const name = `clock source ${source}`;
  const out = [
    SLOW_CLOCKS.includes(source)
      ? note('clocks', name, 'slow to read: each event costs more')
      : ok('clocks', name),
  ];
  if (addon !== null) {
    const { boottime, monotonic } = addon.clocks();
    const slept = Number(boottime - monotonic) / 1e9;
    out.push(ok('clocks', slept < 0.001 ? 'no sleep since boot' : `slept ${slept.toFixed(1)} s`));
  }
  return out;
}

function blindSpots(): Check[] {
  const spots: [string, string][] = [
    [
      '32-bit calls',
      arch === 'x64'
        ? 'calls of 32-bit programs give no rows of syscall.call; the other ops have theirs'
        : 'calls of 32-bit programs are not rows yet; their processes and sockets are',
    ],
    ['Unix sockets', 'connect, accept and listen are recorded for IPv4 and IPv6 only'],
    ['mmap', 'what is read or written through a memory mapping makes no system call'],
  ];
  // 2: nobody may make a ring.
  if (readText('/proc/sys/kernel/io_uring_disabled') !== '2') {
    spots.unshift([
      'io_uring',
      'what is done through it is no row yet; sysctl kernel.io_uring_disabled=2 turns it off',
    ]);
  }
  return spots.map(([name, detail]) => note('blind spots', name, detail));
}

function loadAddon(): { addon: Native | null; checks: Check[] } {
  try {
    return { addon: native(), checks: [] };
  } catch (error) {
    return { addon: null, checks: [missing('program', 'addon', (error as Error).message)] };
  }
}

/** Everything there is to say of this host and a store. */
export function allChecks(store: string): Check[] {
  const { addon, checks } = loadAddon();
  return [
    ok('program', `Node ${versions.node}`),
    ...checks,
    ...kernelChecks(),
    ...privilegeChecks(),
    ...(addon === null ? [] : hookChecks(addon)),
    ...mountChecks(),
    ...(addon === null ? [] : leftoverChecks(addon)),
    ...storeChecks(store),
    memoryCheck(),
    ...clockChecks(addon),
    ...blindSpots(),
  ];
}
