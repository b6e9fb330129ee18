// A thread that reads a store, again and again, until it is ended.

import { parentPort, workerData } from 'node:worker_threads';
import { EVENT_TABLES } from '../../schemas/arrow.ts';
import { inOrder } from '../../src/query/order.ts';
import { plan } from '../../src/query/plan.ts';
import { Scanner } from '../../src/query/scanner.ts';
import { select } from '../../src/query/select.ts';
import { openStore } from '../../src/segment/store.ts';

const all = { since: null, until: null, types: [], ops: [], pids: [], comms: [] };
for (;;) {
  const { segments } = openStore(workerData as string);
  const decision = plan(segments, select(all));
  const columns = (type: keyof typeof EVENT_TABLES): string[] =>
    EVENT_TABLES[type].columns.map(({ name }) => name);
  for await (const run of inOrder(new Scanner(decision), decision, columns)) {
    if (run.from === 0) parentPort?.postMessage('reading');
  }
  for (const segment of segments) segment.close();
}
