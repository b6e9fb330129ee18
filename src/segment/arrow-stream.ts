// Arrow's IPC stream: schema, record batches as they come, end. Bodies are not compressed: a stream goes through a
// pipe to a reader that wants the values at once.

import { BufferRegion, FieldNode, Message, RecordBatch } from 'apache-arrow/ipc/metadata/message';
import type { Schema } from 'apache-arrow/schema';
import { type ColumnBuffers, messageBytes, PADDING, padded } from './arrow-file.ts';

/** How a stream begins. */
export function streamSchema(schema: Schema): Uint8Array[] {
  return messageBytes(Message.from(schema));
}

/** A record batch of a stream. The buffers are not copied. */
export function streamBatch(rows: number, columns: readonly ColumnBuffers[]): Uint8Array[] {
  const nodes: FieldNode[] = [];
  const regions: BufferRegion[] = [];
  const body: Uint8Array[] = [];
  let offset = 0;
  for (const column of columns) {
    for (const { length, nulls } of column.nodes) nodes.push(new FieldNode(length, nulls));
    for (const { bytes } of column.buffers) {
      const { byteLength } = bytes;
      regions.push(new BufferRegion(offset, byteLength));
      body.push(bytes, PADDING.subarray(0, padded(byteLength) - byteLength));
      offset += padded(byteLength);
    }
  }
  const header = new RecordBatch(rows, nodes, regions, null);
  return [...messageBytes(Message.from(header, offset)), ...body];
}

/** How a stream ends: a message without content, as the format has it. */
export function streamEnd(): Uint8Array {
  return new Uint8Array(Int32Array.of(-1, 0).buffer);
}
