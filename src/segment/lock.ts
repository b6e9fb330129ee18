// One process per directory and job. Each one leaves a claim whose name says all there is to know, so that a claim
// is never seen half written, and removing one that is stale can never remove another's.

import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pid } from 'node:process';
import { TapioError } from '../errors.ts';
import { diskFiles } from './files.ts';

const CLAIM = /^([a-z]+)-(\d+)-(\d+)\.lock$/;
/** The job of who records into a store. */
const RECORDER = 'recorder';

/** Start of a process in clock ticks since boot (field 22 of /proc/PID/stat), or null when it is gone. */
export function processStartTicks(of: number): string | null {
  try {
    const stat = readFileSync(`/proc/${of}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

interface Claim {
  readonly name: string;
  readonly pid: number;
  /** A holder that died without a word holds nothing; its pid may be another process by now. */
  readonly alive: boolean;
}

function claimsOf(directory: string, job: string): Claim[] {
  return readdirSync(directory).flatMap((name) => {
    const [, claimed, holder, started] = CLAIM.exec(name) ?? [];
    if (claimed !== job) return [];
    return [{ name, pid: Number(holder), alive: processStartTicks(Number(holder)) === started }];
  });
}

/** pid of the process that holds a directory for a job, or null. */
export function directoryHolder(directory: string, job: string): number | null {
  return claimsOf(directory, job).find((claim) => claim.alive)?.pid ?? null;
}

/** pid of the recorder that holds a store, or null. */
export function lockHolder(store: string): number | null {
  return directoryHolder(store, RECORDER);
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Takes the store for this process; gives back what releases it. Throws TapioError `store_locked` with the holder's pid. */
export function lockStore(store: string): () => void {
  return lockDirectory(store, RECORDER, (holder) => lockedError(store, holder));
}

/**
 * Takes a directory for this process and a job (lower-case letters); gives back what releases it. Throws what `locked`
 * makes of the holder's pid. Every claimant writes its claim before it looks for others, so of two that start at
 * once at least one sees the other: both step back and try again after different times.
 */
export function lockDirectory(
  directory: string,
  job: string,
  locked: (holder: number) => TapioError,
): () => void {
  const own = `${job}-${pid}-${processStartTicks(pid)}.lock`;
  const path = join(directory, own);
  for (let attempt = 1; ; attempt++) {
    if (!claim(path)) throw locked(pid);
    const others = claimsOf(directory, job).filter((one) => one.name !== own);
    const living = others.find((one) => one.alive);
    if (living === undefined) {
      for (const stale of others) diskFiles.remove(join(directory, stale.name));
      return () => release(path);
    }
    diskFiles.remove(path);
    if (attempt === 4) throw locked(living.pid);
    pause(1 + ((pid * attempt) % 17));
  }
}

// A claim that cannot be removed is stale once its process has ended.
function release(path: string): void {
  try {
    diskFiles.remove(path);
  } catch {
    // The disk fails, and whoever released it has more to say than this.
  }
}

/** Leaves the claim; false where this process has one already. */
function claim(path: string): boolean {
  try {
    diskFiles.create(path).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function lockedError(store: string, holder: number): TapioError {
  return new TapioError(
    'store_locked',
    `process ${holder} is recording into ${resolve(store)} already: stop it with tapio-record stop, or choose another --store`,
  );
}
