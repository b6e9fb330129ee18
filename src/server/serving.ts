// The thread that serves, as the main thread has it.

import { SideThread } from '../side-thread.ts';
import type { ServerStatus, ServerThreadData } from './worker.ts';

export interface ServingOptions extends ServerThreadData {
  readonly say: (text: string) => void;
}

/** Makes the thread, which listens once it is started. */
export function servingThread({ say, ...data }: ServingOptions): SideThread<ServerStatus> {
  return new SideThread({
    source: 'server/worker',
    bundled: 'server-worker',
    data: data satisfies ServerThreadData,
    name: 'server',
    say,
  });
}
