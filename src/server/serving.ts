// The thread that serves, as the main thread has it.

import type { Listening, TlsFiles } from '../config/serving.ts';
import { SideThread } from '../side-thread.ts';
import type { ServerStatus, ServerThreadData } from './worker.ts';

export interface ServingOptions {
  readonly store: string;
  readonly listen: readonly Listening[];
  readonly policy: string | null;
  readonly tls: TlsFiles | null;
  readonly auditKey: string;
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
