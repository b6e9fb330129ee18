// The worker thread: owns the source, the segments and the catalogue. The main thread talks to it in the
// messages of protocol.ts.

import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { hostname, release } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { Catalog } from '../catalog/catalog.ts';
import { diskFiles } from '../segment/files.ts';
import { segmentsOf } from '../segment/store.ts';
import { native } from '../source/binding.ts';
import { VERSION } from '../version.ts';
import { nextNumber } from './names.ts';
import type { FromWorker, ToWorker, WorkerOptions } from './protocol.ts';
import { Recorder } from './recorder.ts';

/** How long the programs go on when nobody reads. */
const ORPHAN_TIMEOUT_NS = 600_000_000_000n;

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

function failure(error: unknown): FromWorker {
  const { code, message, stack } = error as NodeJS.ErrnoException;
  return { kind: 'failed', code: code ?? 'internal', message, stack: stack ?? '' };
}

async function main(options: WorkerOptions): Promise<void> {
  const segments = segmentsOf(options.store);
  const catalog = Catalog.open(options.store);
  const recorder = new Recorder({
    native: native(),
    files: diskFiles,
    catalog,
    segments,
    firstNumber: nextNumber(readdirSync(segments)),
    host: {
      recorder: VERSION,
      host: hostname(),
      boot_id: bootId(),
      kernel: release(),
      recording: randomUUID(),
    },
    source: { ...options.source, pins: null, resume: null, orphanTimeoutNs: ORPHAN_TIMEOUT_NS },
    rotation: options.rotation,
    onNote: (text) => tell({ kind: 'note', text }),
  });
  parentPort?.on('message', (message: ToWorker) => {
    void handle(recorder, message).catch((error) => tell(failure(error)));
  });
  try {
    await recorder.run(() => tell({ kind: 'started' }));
    tell({ kind: 'finished', totals: recorder.totals() });
  } finally {
    // A source that is left open keeps the thread, and with it the process, alive.
    recorder.close();
    catalog.close();
  }
}

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
        tell({ kind: 'note', text: `the old settings are kept: ${why}` });
      }
      return;
    case 'stop':
      recorder.stop();
      return;
  }
}

main(workerData as WorkerOptions)
  .catch((error: unknown) => tell(failure(error)))
  .finally(() => parentPort?.close());
