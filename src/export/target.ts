// What is exported is there whole or not at all: it is written under another name beside its own.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pid } from 'node:process';
import { setImmediate } from 'node:timers/promises';
import { systemCode, TapioError } from '../errors.ts';
import type { StoreFiles } from '../segment/files.ts';

/** Where an export goes, who ends it, and who hears how far it is. */
export interface ExportOptions {
  readonly files: StoreFiles;
  readonly path: string;
  /** Aborted: the export ends and leaves nothing. */
  readonly signal: AbortSignal;
  /** Called with the number of planned batches that are through. */
  readonly onBatch: (done: number) => void;
}

/** What an export came to. */
export interface Exported {
  /** By type. */
  readonly rows: Readonly<Record<string, number>>;
  /** Of all its files. */
  readonly bytes: number;
  /** Segments that were copied as they are, and those that were written anew; 0 of a file of rows. */
  readonly copied: number;
  readonly written: number;
  /** What a reader should be told although no row is missing, in sentences. */
  readonly notes: readonly string[];
}

/** Lets others on this thread go on, signals too; throws where the export is to end. */
export async function pause(signal: AbortSignal): Promise<void> {
  await setImmediate();
  signal.throwIfAborted();
}

/**
 * Throws TapioError('usage') where an export cannot go to `path`: it is there already, lies in a store that
 * is read, or has no directory to lie in.
 */
export function checkTarget(path: string, stores: readonly string[]): void {
  const target = resolve(path);
  if (existsSync(target)) throw isThere(path);
  const within = stores.find((store) => target.startsWith(`${resolve(store)}/`));
  if (within !== undefined) {
    throw new TapioError('usage', `${path} lies in ${within}, which is read: name another with -o`);
  }
  const parent = dirname(target);
  if (existsSync(parent) && statSync(parent).isDirectory()) return;
  throw new TapioError('usage', `there is no directory ${parent} to write to: make it first`);
}

function isThere(path: string): TapioError {
  return new TapioError('usage', `${path} is there already: remove it, or name another with -o`);
}

/**
 * Makes `path` whole or not at all: `make` writes under another name, which becomes its own at the end.
 * Throws TapioError('io') where the file system fails, and what `make` throws.
 */
export async function makeWhole<T>(
  { files, path }: Pick<ExportOptions, 'files' | 'path'>,
  make: (temporary: string) => Promise<T>,
): Promise<T> {
  const target = resolve(path);
  const temporary = `${target}.partial-${pid}`;
  let written = temporary;
  try {
    // Nobody else has this pid: what is there is of one that is gone.
    files.remove(temporary);
    const made = await make(temporary);
    if (existsSync(target)) throw isThere(path);
    files.rename(temporary, target);
    written = target;
    files.syncDirectory(dirname(target));
    return made;
  } catch (error) {
    throw told(error, path, removed(files, written) ? null : written);
  }
}

function removed(files: StoreFiles, path: string): boolean {
  try {
    files.remove(path);
    return true;
  } catch {
    return false;
  }
}

const FULL: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
};

/** An error of the file system in words; others as they are. `left`: what could not be removed. */
export function told(error: unknown, path: string, left: string | null = null): unknown {
  const code = systemCode(error);
  if (code === undefined || (error as NodeJS.ErrnoException).syscall === undefined) return error;
  const why = FULL[code] ?? (error as Error).message;
  const remedy = code in FULL ? ': make room, or name another place with -o' : '';
  const rest =
    left === null ? 'nothing is left of it' : `remove ${left}, which could not be removed`;
  return new TapioError('io', `${path} could not be exported, ${why}${remedy}; ${rest}`, {
    cause: error,
  });
}

/** Bytes of a file, or of all files of a directory. */
export function bytesOf(path: string): number {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0);
}
