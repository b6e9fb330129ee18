// Writes and seals one segment after another until it is told to stop; says how many rows are durable.

import { parentPort, workerData } from 'node:worker_threads';
import { diskFiles } from '../../src/segment/files.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker } from './batches.ts';
import { append, HEADER, pointAt, processRow } from './segments.ts';

const { segments, count, counter } = workerData as {
  segments: string;
  count: number;
  counter: SharedArrayBuffer;
};
const durable = new Int32Array(counter);
for (let i = 0; i < count; i++) {
  const maker = new BatchMaker(i);
  const writer = SegmentWriter.create(
    diskFiles,
    segments,
    `s-${String(i).padStart(7, '0')}`,
    HEADER,
    null,
  );
  writer.addProcesses([processRow(1, 'init')]);
  // Odd ones have one batch a type and are sealed in place, even ones are merged.
  for (const type of i % 2 === 0 ? (['file', 'file'] as const) : (['file', 'process'] as const)) {
    const batch = maker.make(type, 3);
    append(writer, batch);
    writer.commit(pointAt(batch.item.lastSeq));
    Atomics.add(durable, 0, 3);
  }
  writer.seal();
}
parentPort?.postMessage('done');
