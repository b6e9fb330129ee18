// What only /proc knows of a process that is alive. Every answer may be null: processes come and go,
// and other users' may be closed to us.

import { closeSync, openSync, readFileSync, readlinkSync, readSync, statSync } from 'node:fs';
import { reversibleText } from '../event/text.ts';

/** As much of the arguments as an exec row holds. */
const ARGS_BYTES_MAX = 4096;
const CONTAINER_ID = /[0-9a-f]{64}(?=\.scope|\/|$)/g;
const CGROUP_ROOTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];
/** Beyond this, the cgroups that are known are forgotten and asked for again. */
const CGROUPS_MAX = 4096;

function attempt<T>(ask: () => T): T | null {
  try {
    return ask();
  } catch {
    return null;
  }
}

export interface Arguments {
  readonly args: readonly string[];
  readonly cut: boolean;
}

/** Where a link of /proc/PID points: `exe`, `cwd`. */
export function linkOf(pid: number, name: 'exe' | 'cwd'): string | null {
  return attempt(() => reversibleText(readlinkSync(`/proc/${pid}/${name}`, 'buffer')));
}

/** The argument vector, its first 4 KiB, and whether that is not all; null for kernel threads. */
export function argsOf(pid: number): Arguments | null {
  const bytes = attempt(() => {
    const fd = openSync(`/proc/${pid}/cmdline`, 'r');
    try {
      const buffer = Buffer.alloc(ARGS_BYTES_MAX);
      return buffer.subarray(0, readSync(fd, buffer));
    } finally {
      closeSync(fd);
    }
  });
  if (bytes === null || bytes.length === 0) return null;
  const args: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const found = bytes.indexOf(0, at);
    const end = found < 0 ? bytes.length : found;
    args.push(reversibleText(bytes.subarray(at, end)));
    at = end + 1;
  }
  return { args, cut: bytes.length === ARGS_BYTES_MAX };
}

/** What stands behind the name in /proc/PID/stat: the third field is the first; null when it is gone. */
function statOf(pid: number): string[] | null {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? null;
}

/** True of a process that has ended and waits for its parent to ask how; its threads may live on. */
export function isZombie(pid: number): boolean {
  const stat = statOf(pid);
  return stat?.[0] === 'Z' && Number(stat[17]) <= 1;
}

/** Whose child a process is now; null when it is gone. */
export function parentOf(pid: number): number | null {
  const ppid = statOf(pid)?.[1];
  return ppid === undefined ? null : Number(ppid);
}

export interface Cgroup {
  readonly path: string | null;
  /** 64 hex digits of the innermost container, where the path names one. */
  readonly container: string | null;
}

const UNKNOWN: Cgroup = { path: null, container: null };

/** The container that a cgroup path names, or null. */
export function containerOf(path: string): string | null {
  return path.match(CONTAINER_ID)?.at(-1) ?? null;
}

/** Paths of cgroups by id, told by the processes in them. */
export class Cgroups {
  readonly #known = new Map<bigint, Cgroup>();

  /**
   * The cgroup of a process; `id` is what the kernel calls it (inode in the v2 hierarchy). A pid of
   * null is a process that is gone: only what is known already is told.
   */
  of(pid: number | null, id: bigint): Cgroup {
    const known = this.#known.get(id);
    if (known !== undefined || pid === null) return known ?? UNKNOWN;
    const text = attempt(() => readFileSync(`/proc/${pid}/cgroup`));
    if (text === null) return UNKNOWN;
    const lines = reversibleText(text).trim().split('\n');
    const unified = lines.find((line) => line.startsWith('0::'))?.slice(3);
    const other = lines.map((line) => line.split(':').slice(2).join(':')).find((p) => p !== '/');
    // On a host of the first version's hierarchies all processes share the unified root.
    const path = (unified === '/' ? other : unified) ?? unified ?? other ?? null;
    const cgroup = { path, container: path === null ? null : containerOf(path) };
    if (path !== null && path === unified && isInode(path, id)) this.#remember(id, cgroup);
    return cgroup;
  }

  #remember(id: bigint, cgroup: Cgroup): void {
    if (this.#known.size >= CGROUPS_MAX) this.#known.clear();
    this.#known.set(id, cgroup);
  }
}

function isInode(path: string, id: bigint): boolean {
  return CGROUP_ROOTS.some(
    (root) => attempt(() => statSync(root + path, { bigint: true }).ino) === id,
  );
}
