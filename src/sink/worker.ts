// The thread of one sink; see protocol.ts.

import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { askRecorder } from '../control.ts';
import { TapioError } from '../errors.ts';
import { openDoor } from '../replay/door.ts';
import { diskFiles } from '../segment/files.ts';
import { makeSink } from './make.ts';
import { Outbox } from './outbox.ts';
import type { FromSink, SinkThreadOptions, ToSink } from './protocol.ts';

/** How often the main thread is told how the sink is, ms. */
const STATUS_MS = 500;

const tell = (message: FromSink): void => parentPort?.postMessage(message);
const say = (text: string): void => tell({ kind: 'note', text });

async function main({ store, settings }: SinkThreadOptions): Promise<void> {
  const outbox = await Outbox.open({
    store,
    settings,
    files: diskFiles,
    make: makeSink,
    connect: () => openDoor(store, say),
    flush: () => askRecorder(store, 'flush'),
    say,
    sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => {}),
  });
  const running = Promise.withResolvers<void>();
  let isRunning = false;
  parentPort?.on('message', (message: ToSink) => {
    if (message.kind === 'finish') outbox.finish(message.ms);
    if (!isRunning) outbox.run().then(running.resolve, running.reject);
    isRunning = true;
  });
  tell({ kind: 'ready', status: outbox.status() });
  const timer = setInterval(() => tell({ kind: 'status', status: outbox.status() }), STATUS_MS);
  try {
    await running.promise;
  } finally {
    clearInterval(timer);
    tell({ kind: 'status', status: outbox.status() });
  }
}

main(workerData as SinkThreadOptions)
  .catch((error: unknown) => {
    if (!(error instanceof TapioError) || error.code !== 'usage') throw error;
    tell({ kind: 'refused', code: error.code, message: error.message });
  })
  .finally(() => parentPort?.close());
