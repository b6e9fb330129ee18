// The thread of one sink.

import { setTimeout as sleep } from 'node:timers/promises';
import { askRecorder } from '../control.ts';
import { giveUpCapabilities } from '../privileges.ts';
import { openDoor } from '../replay/door.ts';
import { diskFiles } from '../segment/files.ts';
import { runSideThread, sayFromThread } from '../side-thread.ts';
import { makeSink } from './make.ts';
import { Outbox } from './outbox.ts';
import type { SinkThreadData } from './protocol.ts';

await runSideThread(({ store, settings }: SinkThreadData) => {
  giveUpCapabilities('sink');
  return Outbox.open({
    store,
    settings,
    files: diskFiles,
    make: makeSink,
    connect: () => openDoor(store, sayFromThread),
    flush: () => askRecorder(store, 'flush'),
    say: sayFromThread,
    sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => {}),
  });
});
