// What commands do that need more than rows of a server: its segments are fetched, and read as a store's.

import type { Connection } from '../src/client/connection.ts';
import { Mirror } from '../src/client/mirror.ts';
import type { Window } from '../src/query/time.ts';
import { bytesText } from './format.ts';
import { Progress } from './progress.ts';
import { say } from './reading.ts';

const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

/** Has mirrors removed however the program ends; what it gives is called where all is well. */
function removing(mirrors: readonly Mirror[]): () => void {
  const remove = (): void => {
    for (const mirror of mirrors) mirror.remove();
  };
  const ends = Object.entries(SIGNALS).map(([signal, number]) => {
    const end = (): void => {
      // Who else listens ends the program in good order.
      if (process.listenerCount(signal) === 1) process.exit(128 + number);
    };
    process.on(signal, end);
    return () => process.off(signal, end);
  });
  process.on('exit', remove);
  return () => {
    remove();
    process.off('exit', remove);
    for (const end of ends) end();
  };
}

/** Fetches what servers hold of a window; what was fetched goes again when `use` is through. */
export async function withMirrors<T>(
  connections: readonly Connection[],
  window: Window,
  use: (stores: readonly string[], notes: readonly string[]) => T | Promise<T>,
): Promise<T> {
  const mirrors: Mirror[] = [];
  const end = removing(mirrors);
  try {
    for (const connection of connections) {
      const mirror = Mirror.open();
      mirrors.push(mirror);
      let total = 0;
      const progress = new Progress(() => total);
      const fetched = await mirror
        .fetch(connection, window, (bytes, of) => {
          total = of;
          progress.at(bytes);
        })
        .finally(() => progress.clear());
      const segments = `${fetched.segments} segment${fetched.segments === 1 ? '' : 's'}`;
      say(`fetched ${segments} (${bytesText(fetched.bytes)}) of ${connection.name}`);
    }
    return await use(
      mirrors.map(({ path }) => path),
      mirrors.flatMap(({ notes }) => notes),
    );
  } finally {
    end();
  }
}
