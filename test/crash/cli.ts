// The programs run to their end beside a recording.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import type { Account } from '../../src/query/account.ts';
import { native, PINS } from '../../src/source/binding.ts';
import { ROOT } from '../support/recording.ts';

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** Polls until `ready`; throws after a minute. */
export async function until(what: string, ready: () => boolean): Promise<void> {
  for (let tries = 0; !ready(); tries++) {
    if (tries > 6000) throw new Error(`waited too long until ${what}`);
    await sleep(10);
  }
}

/** What a program said, and how it ended. */
export function cli(
  program: 'tapio-record' | 'tapio-replay',
  ...args: string[]
): { status: number | null; stdout: string; stderr: string } {
  const done = spawnSync(execPath, [`cli/${program}.ts`, ...args], {
    cwd: ROOT,
    timeout: 120_000,
    maxBuffer: 1 << 28,
  });
  return {
    status: done.status,
    stdout: done.stdout.toString(),
    stderr: done.stderr.toString(),
  };
}

/** The accounts of a store, one a recording. */
export function accountsOf(store: string): Account[] {
  const { stdout, stderr } = cli('tapio-replay', 'account', '--store', store, '-o', 'json');
  if (stdout === '') throw new Error(`no account: ${stderr}`);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Account);
}

/** What `verify` says of a store; empty where all is as it was written. */
export function damageOf(store: string): string {
  const { status, stdout, stderr } = cli('tapio-replay', 'verify', '--store', store);
  return status === 0 ? '' : stdout + stderr;
}

/** What `status` says. */
export function statusOf(store: string): Record<string, unknown> {
  const { stdout } = cli('tapio-record', 'status', '--store', store, '-o', 'json');
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** Where the kernel keeps a store's rings. */
export function pinsOf(store: string): string {
  const { id } = JSON.parse(readFileSync(join(store, 'store.json'), 'utf8')) as { id: string };
  return join(PINS, id);
}

/** Removes what recorders that died have left of a store in the kernel, whatever became of the store. */
export function cleanUp(store: string): void {
  for (const set of native().pinned(PINS)) {
    if (set.store === store && !set.alive) native().unpin(set.path);
  }
}
