// What commands of tapio-replay have in common: which stores and servers they read, and which window.

import { env, stderr } from 'node:process';
import type { Options } from 'yargs';
import type { Access } from '../src/client/address.ts';
import type { Connection } from '../src/client/connection.ts';
import { TapioError } from '../src/errors.ts';
import { escapeControls } from '../src/escape.ts';
import { type RowSource, StoredRows } from '../src/query/row-source.ts';
import type { Selection } from '../src/query/select.ts';
import { SeveralRows } from '../src/query/several.ts';
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

/** --server, and how it is reached. */
export const SERVER_FLAGS = {
  server: {
    type: 'string',
    describe:
      'ADDR — a recorder that serves, in place of a store or beside it: unix:PATH (such as STORE/recorder.sock), or HOST:PORT over TLS; give it again for another [default: $TAPIO_SERVER, where no --store is given]',
  },
  'tls-ca': {
    type: 'string',
    describe: 'FILE — who vouches for servers [default: whom this host trusts]',
  },
  'tls-cert': {
    type: 'string',
    describe: 'FILE — a certificate of your own, for servers that ask',
  },
  'tls-key': { type: 'string', describe: 'FILE — its key' },
  'tls-name': {
    type: 'string',
    describe: 'NAME — whom the server’s certificate is of [default: the host]',
  },
  'token-file': {
    type: 'string',
    describe: 'FILE — a token that says who you are [default: $TAPIO_TOKEN_FILE]',
  },
  insecure: { type: 'boolean', describe: 'without TLS; over loopback alone' },
} as const satisfies Readonly<Record<string, Options>>;

/** --store and --server, which may be given more than once. */
export const STORE_FLAG = {
  store: {
    type: 'string',
    describe: `DIR — a store, or one segment directory; give it again for another, and they are read as one ${STORE_DEFAULT}`,
  },
  ...SERVER_FLAGS,
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

/** The servers of SERVER_FLAGS. */
export function serversOf(flags: Flags): string[] {
  if (flags.server !== undefined) return [...new Set([flags.server].flat().map(String))];
  const { TAPIO_SERVER: named = '' } = env;
  return flags.store === undefined && named !== '' ? [named] : [];
}

/** The stores of STORE_FLAG: none where servers are read. */
export function storesOf(flags: Flags): string[] {
  if (flags.store !== undefined) return [flags.store].flat().map(String);
  return serversOf(flags).length > 0 ? [] : [defaultStore()];
}

/** The store of ONE_STORE_FLAG. */
export function storeOf(flags: Flags): string {
  const [store = '', ...more] = storesOf(flags);
  if (more.length === 0) return store;
  throw new TapioError('usage', '--store is given more than once: this command looks at one');
}

/** Throws TapioError('usage') where more than one store or server is named, of commands that look at one. */
export function checkOne(flags: Flags): void {
  if (serversOf(flags).length === 0) storeOf(flags);
  else if (serversOf(flags).length + storesOf(flags).length > 1) {
    throw new TapioError('usage', 'several are named: this command looks at one store or server');
  }
}

/** How servers are reached. */
function accessOf(flags: Flags): Access {
  const text = (name: string, fallback: string | null = null): string | null => {
    if (Array.isArray(flags[name]))
      throw new TapioError('usage', `--${name} is given more than once`);
    return flags[name] === undefined ? fallback : String(flags[name]);
  };
  return {
    ca: text('tls-ca'),
    cert: text('tls-cert'),
    key: text('tls-key'),
    name: text('tls-name'),
    tokenFile: text('token-file', env.TAPIO_TOKEN_FILE || null),
    insecure: flags.insecure === true,
  };
}

/** Connects to the servers of SERVER_FLAGS; closes the connections when `use` is through. */
export async function withServers<T>(
  flags: Flags,
  use: (connections: readonly Connection[]) => Promise<T>,
): Promise<T> {
  const [{ addressOf }, { Connection }] = await Promise.all([
    import('../src/client/address.ts'),
    import('../src/client/connection.ts'),
  ]);
  const access = accessOf(flags);
  const connections = serversOf(flags).map((text) => new Connection(addressOf(text, access)));
  try {
    return await use(connections);
  } finally {
    for (const connection of connections) connection.close();
  }
}

/** Says what is read. */
export function sayReading(flags: Flags): void {
  stderr.write(`tapio-replay: reading ${[...storesOf(flags), ...serversOf(flags)].join(', ')}\n`);
}

/**
 * Gives the paths of stores: of servers, of what is fetched of them, which goes again when `use` is through. `window`: of
 * which time segments are wanted; absent: all of them.
 */
export async function withStores<T>(
  flags: Flags,
  use: (stores: readonly string[], notes: readonly string[]) => T | Promise<T>,
  window: Window = { since: null, until: null },
): Promise<T> {
  const stores = storesOf(flags);
  if (serversOf(flags).length === 0) return await use(stores, []);
  const { withMirrors } = await import('./mirrors.ts');
  return await withServers(flags, (connections) =>
    withMirrors(connections, window, (mirrors, notes) => use([...stores, ...mirrors], notes)),
  );
}

/** Opens the stores of STORE_FLAG, and what servers hold, and says which; closes them when `read` is through. */
export async function reading<T>(
  flags: Flags,
  read: (opened: OpenedStore) => T | Promise<T>,
  window?: Window,
): Promise<T> {
  return await withStores(
    flags,
    async (stores, notes) => {
      const opened = openStores(stores);
      try {
        sayReading(flags);
        const result = await read(opened);
        for (const note of notes) say(note);
        return result;
      } finally {
        for (const segment of opened.segments) segment.close();
      }
    },
    window,
  );
}

/** The rows of a selection in the stores and at the servers of STORE_FLAG; says which these are. */
export async function readingRows<T>(
  flags: Flags,
  selection: Selection,
  read: (source: RowSource) => Promise<T>,
): Promise<T> {
  const readAll = async (remote: readonly RowSource[]): Promise<T> => {
    const stores = storesOf(flags);
    const opened = stores.length === 0 ? null : openStores(stores);
    try {
      sayReading(flags);
      const stored = opened === null ? [] : [new StoredRows(opened, selection)];
      const [first, ...more] = [...stored, ...remote] as [RowSource, ...RowSource[]];
      return await read(more.length === 0 ? first : new SeveralRows([first, ...more]));
    } finally {
      for (const segment of opened?.segments ?? []) segment.close();
    }
  };
  if (serversOf(flags).length === 0) return await readAll([]);
  const { RemoteRows } = await import('../src/client/remote-rows.ts');
  return await withServers(flags, (connections) =>
    readAll(connections.map((connection) => new RemoteRows(connection, selection))),
  );
}

/** A sentence on stderr. */
export function say(text: string): void {
  stderr.write(`tapio-replay: ${escapeControls(text)}\n`);
}
