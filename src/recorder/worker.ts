// The worker thread: owns the source, the segments and the catalogue. The main thread talks to it in the
// messages of protocol.ts.

import { readdirSync, readFileSync } from 'node:fs';
import { hostname, release } from 'node:os';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { CatalogCache } from '../catalog/cache.ts';
import { systemCode } from '../errors.ts';
import { diskFiles } from '../segment/files.ts';
import { lossOf } from '../segment/small-tables.ts';
import { segmentsOf } from '../segment/store.ts';
import { writeStoreFile } from '../segment/store-file.ts';
import { native } from '../source/binding.ts';
import { VERSION } from '../version.ts';
import { nextNumber } from './names.ts';
import { prepareStore } from './prepare.ts';
import type { FromWorker, ToWorker, WorkerOptions } from './protocol.ts';
import { Recorder } from './recorder.ts';

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

function tell(message: FromWorker): void {
  parentPort?.postMessage(message);
}

const note = (text: string): void => tell({ kind: 'note', text });

function failure(error: unknown): FromWorker {
  const { message, stack } = error as Error;
  return { kind: 'failed', code: systemCode(error) ?? 'internal', message, stack: stack ?? '' };
}

async function main(options: WorkerOptions): Promise<void> {
  const { store } = options;
  const segments = segmentsOf(store);
  const { catalog, retention, recovered, beginning, id, recording } = prepareStore({
    files: diskFiles,
    store,
    limits: options.retention,
    openCatalog: () => new CatalogCache(store, note),
    bootId: bootId(),
    onNote: note,
  });
  const pins = { directory: join(options.pins, id), recording: beginning.recording, store };
  const recorder = new Recorder({
    native: native(),
    files: diskFiles,
    catalog,
    store,
    segments,
    firstNumber: nextNumber(readdirSync(segments)),
    host: { recorder: VERSION, host: hostname(), boot_id: bootId(), kernel: release() },
    source: { ...options.source, pins },
    beginning,
    recovered,
    rotation: options.rotation,
    retention,
    onNote: note,
    onRewind: () => tell({ kind: 'rewound' }),
    onCommit: (seq, losses) => tell({ kind: 'committed', seq, losses: losses.map(lossOf) }),
  });
  parentPort?.on('message', (message: ToWorker) => {
    void handle(recorder, message).catch((error) => tell(failure(error)));
  });
  const beat = setInterval(() => {
    Atomics.add(options.beats, 0, 1);
    const loudest = recorder.loudest();
    if (loudest !== null && loudest.share > LOUD_SHARE) tell({ kind: 'loud', ...loudest });
  }, BEAT_MS);
  try {
    await recorder.run(() => tell({ kind: 'started' }));
    // Only when the store says that the recording ended may its rings go.
    writeStoreFile(diskFiles, store, id, { ...recording, ended: Date.now() });
    recorder.forget();
    tell({ kind: 'finished', totals: recorder.totals() });
  } finally {
    clearInterval(beat);
    // A source that is left open keeps the thread, and with it the process, alive.
    recorder.close();
    catalog?.close();
  }
}

/** Time between signs of life, ms. */
const BEAT_MS = 500;
/** Part of the rows from which a process that reads along is told of. */
const LOUD_SHARE = 0.2;

async function handle(recorder: Recorder, message: ToWorker): Promise<void> {
  switch (message.kind) {
    case 'totals':
      tell({ kind: 'totals', id: message.id, totals: recorder.totals() });
      return;
    case 'flush':
      await recorder.flush();
      tell({ kind: 'flushed', id: message.id });
      return;
    case 'rotate':
      recorder.rotate();
      return;
    case 'configure':
      try {
        recorder.configure(message.config);
      } catch (error) {
        const { message: why } = error as Error;
        note(`the old settings are kept: ${why}`);
      }
      return;
    case 'follow':
      try {
        tell({ kind: 'following', id: message.id, ...recorder.follow() });
      } catch (error) {
        tell({ kind: 'refused', id: message.id, message: (error as Error).message });
      }
      return;
    case 'unfollow':
      recorder.unfollow();
      return;
    case 'stop':
      recorder.stop();
      return;
  }
}

main(workerData as WorkerOptions)
  .catch((error: unknown) => tell(failure(error)))
  .finally(() => parentPort?.close());
