// The thread that serves, as the main thread has it.

import { SideThread } from '../side-thread.ts';
import { afterServer, type ServerStatus } from './protocol.ts';
import type { ServerThreadData } from './worker.ts';

export interface ServingOptions extends ServerThreadData {
  readonly say: (text: string) => void;
}

/** Makes the thread, which listens once it is started. */
export function servingThread({ say, ...data }: ServingOptions): SideThread<ServerStatus> {
  const options = {
    source: 'server/worker',
    bundled: 'server-worker',
    data: data satisfies ServerThreadData,
    name: 'server',
    say,
  };
  return new SideThread(options, afterServer);
}
