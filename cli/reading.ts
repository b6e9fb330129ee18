// What commands of tapio-replay have in common: which stores they read, and which window.

import { stderr } from 'node:process';
import type { Options } from 'yargs';
import { TapioError } from '../src/errors.ts';
import { escapeControls } from '../src/escape.ts';
import type { Window } from '../src/query/time.ts';
import { parseTime, parseWindow, SPAN_DEFAULT } from '../src/query/time.ts';
import { defaultStore, type OpenedStore, openStores } from '../src/segment/store.ts';
import type { Flags } from './program.ts';

const STORE_DEFAULT =
  '[default: $TAPIO_STORE, else /var/lib/tapio/ebpf where that exists, else ./recording]';

/** --store of commands that look at one. */
export const ONE_STORE_FLAG = {
  store: {
    type: 'string',
    describe: `DIR — a store, or one segment directory ${STORE_DEFAULT}`,
  },
} as const satisfies Readonly<Record<string, Options>>;

/** --store, which may be given more than once. */
export const STORE_FLAG = {
  store: {
    type: 'string',
    describe: `DIR — a store, or one segment directory; give it again for another, and they are read as one ${STORE_DEFAULT}`,
  },
} as const satisfies Readonly<Record<string, Options>>;

/** The flags of parseWindow(). */
export const WINDOW_FLAGS = {
  since: { type: 'string', describe: 'TIME — from then on: RFC 3339, 10m, today 14:00, 14:00' },
  until: { type: 'string', describe: 'TIME — before then (exclusive); +30s counts from --since' },
  around: { type: 'string', describe: 'TIME — before and after it: see --span' },
  span: {
    type: 'string',
    describe: `TIME — how long a window --around is, half of it before and half after [default: ${SPAN_DEFAULT}, so 15s each]`,
  },
} as const satisfies Readonly<Record<string, Options>>;

/** Now, ns since 1970. */
export function now(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

/** The window of WINDOW_FLAGS. */
export function windowOf({ since, until, around, span }: Flags): Window {
  return parseWindow({ since, until, around, span }, now());
}

/**
 * The time of --at, ns; null for the end of what is held, which is meant by now as well: what a recorder has at
 * hand is stored first.
 */
export async function momentOf(flags: Flags): Promise<bigint | null> {
  if (Array.isArray(flags.at)) throw new TapioError('usage', '--at is given more than once');
  const text = flags.at === undefined ? 'now' : String(flags.at).trim();
  if (text !== 'now') return parseTime(text, now());
  for (const store of storesOf(flags)) await storeAll(store);
  return null;
}

/** Has the recorder of a store, where one is at work, store what it has. */
async function storeAll(store: string): Promise<void> {
  const { askRecorder } = await import('../src/control.ts');
  try {
    await askRecorder(store, 'flush');
  } catch (error) {
    // There is none, or it cannot now: what is held is asked then.
    if (!(error instanceof TapioError)) throw error;
  }
}

/** The stores of STORE_FLAG. */
export function storesOf(flags: Flags): string[] {
  if (flags.store === undefined) return [defaultStore()];
  return [flags.store].flat().map(String);
}

/** The store of ONE_STORE_FLAG. */
export function storeOf(flags: Flags): string {
  const [store = '', ...more] = storesOf(flags);
  if (more.length === 0) return store;
  throw new TapioError('usage', '--store is given more than once: this command looks at one');
}

/** Opens the stores of STORE_FLAG and says which; closes them when `read` is through. */
export async function reading<T>(
  flags: Flags,
  read: (opened: OpenedStore) => T | Promise<T>,
): Promise<T> {
  const stores = storesOf(flags);
  const opened = openStores(stores);
  try {
    stderr.write(`tapio-replay: reading ${stores.join(', ')}\n`);
    return await read(opened);
  } finally {
    for (const segment of opened.segments) segment.close();
  }
}

/** A sentence on stderr. */
export function say(text: string): void {
  stderr.write(`tapio-replay: ${escapeControls(text)}\n`);
}
