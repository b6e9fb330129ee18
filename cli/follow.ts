// What tail and query --follow do: stored rows, then those that come, until Ctrl-C.

import type { Connection } from '../src/client/connection.ts';
import { askRecorder } from '../src/control.ts';
import { TapioError } from '../src/errors.ts';
import type { EventRun } from '../src/event/stream.ts';
import { openDoor } from '../src/replay/door.ts';
import { Follow, type FollowOptions } from '../src/replay/follow.ts';
import { addLines, lineForm } from './event-lines.ts';
import { Output } from './output.ts';
import type { Flags } from './program.ts';
import { checkOne, say, serversOf, storeOf, withServers } from './reading.ts';
import { count, selectionOf } from './selection.ts';

const LAST_DEFAULT = 10;
/** What means nothing without an end, or cannot be told of rows to come. */
const REFUSED: Readonly<Record<string, string>> = {
  until: 'what is followed has no end',
  around: 'what is followed has no end: use --since',
  span: 'it belongs to --around',
  first: 'what is followed goes on: use --last, or --since',
  count: 'what is followed goes on: count what is stored with query --count',
  children: 'which processes will descend from one is not known before they come',
  explain: 'rows to come have no plan',
  exitCode: 'what is followed goes on until Ctrl-C, which is a normal end',
};

function checkFlags(flags: Flags): void {
  for (const [name, why] of Object.entries(REFUSED)) {
    if (flags[name] === undefined || flags[name] === false) continue;
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new TapioError('usage', `--${flag} cannot be followed: ${why}`);
  }
  if (flags.output === 'table') {
    throw new TapioError(
      'usage',
      '-o table cannot be followed: it is as wide as its widest row, which may be still to come',
    );
  }
  if (flags.output === 'arrow') {
    throw new TapioError(
      'usage',
      '-o arrow cannot be followed: its batches would come long after their rows: use -o json',
    );
  }
  if (flags.all === true && flags.last !== undefined) {
    throw new TapioError('usage', '--last and --all contradict each other');
  }
}

/** How many stored rows come first: the last ten, where nothing else is said. */
function lastOf(flags: Flags): number | null {
  const last = count('last', flags.last);
  return last === null && flags.since === undefined && flags.all !== true ? LAST_DEFAULT : last;
}

/** What is followed, by its name. */
interface Followed {
  readonly name: string;
  readonly events: () => AsyncIterable<readonly EventRun[]>;
}

type Options = Pick<FollowOptions, 'selection' | 'limit' | 'columns' | 'say' | 'signal'>;

function stored(store: string, options: Options): Followed {
  const rows = new Follow({
    ...options,
    store,
    connect: () => openDoor(store, say),
    flush: () => askRecorder(store, 'flush'),
  });
  return { name: store, events: () => rows.events() };
}

async function remote(connection: Connection, { limit, ...options }: Options): Promise<Followed> {
  const { RemoteTail } = await import('../src/client/remote-tail.ts');
  const rows = new RemoteTail({ ...options, connection, last: limit.last });
  return { name: connection.name, events: () => rows.events() };
}

/** Opens what is followed: a store, or a server. */
async function following<T>(
  flags: Flags,
  options: Options,
  use: (followed: Followed) => Promise<T>,
): Promise<T> {
  checkOne(flags);
  if (serversOf(flags).length === 0) return await use(stored(storeOf(flags), options));
  return await withServers(flags, async (connections) => {
    const [connection] = connections as [Connection];
    return await use(await remote(connection, options));
  });
}

/** Writes rows as they come until Ctrl-C or until nobody reads them; gives the exit code. */
export async function follow(flags: Flags, fields: readonly string[] | null): Promise<number> {
  checkFlags(flags);
  const selection = await selectionOf(flags);
  const form = lineForm(String(flags.output), fields);
  const end = new AbortController();
  const stop = (): void => end.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  const out = new Output();
  const limit = { first: null, last: lastOf(flags) };
  const options = { selection, limit, columns: form.columns, say, signal: end.signal };
  try {
    await following(flags, options, async ({ name, events }) => {
      say(`following ${name} (Ctrl-C ends it)`);
      for await (const runs of events()) {
        if (form.line !== null) addLines(runs, form.line, out);
        await out.drain(end.signal);
        if (out.closed || end.signal.aborted) break;
      }
    });
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
  }
  return 0;
}
