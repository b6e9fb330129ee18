// What only /proc knows of a process that is alive. Every answer may be null: processes come and go,
// and other users' may be closed to us.

import { closeSync, openSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { reversibleText } from '../event/text.ts';

/** As much of the arguments as an exec row holds. */
const ARGS_BYTES_MAX = 4096;

/** What `ask` gives, null where it throws. */
export function attempt<T>(ask: () => T): T | null {
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
