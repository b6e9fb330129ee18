// A thread that is ended while native threads work for it ends, whatever they are at.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { Recording, temporaryDirectory } from '../support/recording.ts';

const TIMES = 8;

test('a thread that scans can be ended at any moment', async () => {
  const directory = temporaryDirectory();
  try {
    const store = join(directory.path, 'store');
    const flags = ['--source', 'synthetic', '--rate', '200000', '--events', '400000'];
    const recording = await Recording.start(store, flags);
    await sleep(3000);
    await recording.stop();
    for (let i = 0; i < TIMES; i++) {
      const url = new URL('../support/scanning-thread.ts', import.meta.url);
      const worker = new Worker(url, { workerData: store });
      await new Promise((resolve) => worker.once('message', resolve));
      await sleep(i * 3);
      expect(await worker.terminate()).toBe(1);
    }
  } finally {
    directory.remove();
  }
});
