// The recording thread, which a test can make stick: in a loop that never ends, or in a system call that
// waits. Each word is heard by one thread only.

import { existsSync, openSync, rmSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import type { WorkerOptions } from '../../src/recorder/protocol.ts';

const { store } = workerData as WorkerOptions;

await import('../../src/recorder/worker.ts');

setInterval(() => {
  if (existsSync(`${store}.loop`)) {
    rmSync(`${store}.loop`);
    for (;;);
  }
  // Nobody has it open for writing until the test has.
  if (existsSync(`${store}.fifo`)) openSync(`${store}.fifo`, 'r');
}, 50).unref();
