// What one would write without us: grpc-js, its public interface, a message for each event. The events are encoded already and
// sent again and again, so that nothing but the sending is compared. Prints its port; ends with its standard input.

import { stdin, stdout } from 'node:process';
import { Server, ServerCredentials, type ServerWritableStream } from '@grpc/grpc-js';
import { messageAt, RawEventEncoder } from '../../src/raw/encoder.ts';
import { write } from '../../src/server/writing.ts';
import { blockOf, inOnePiece, OFFSET } from './typical.ts';

const ROWS = 1000;
const NEVER = new AbortController().signal;
const METHOD = '/tapio.ebpf.v1.EBPFExport/StreamRawEvents';

const asIs = (bytes: Buffer): Buffer => bytes;
const { type, columns } = inOnePiece(blockOf(['network.connect'], ROWS));
const origin = { recording: '01KB', host: 'host', boot_id: 'boot' };
const messages = new RawEventEncoder().encode([
  { block: { type, origin, tsOffset: OFFSET, columns }, from: 0, to: ROWS },
]);

async function stream(call: ServerWritableStream<Buffer, Buffer>): Promise<void> {
  while (!call.cancelled) {
    for (let i = 0; i < ROWS && !call.cancelled; i++)
      await write(call, messageAt(messages, i), NEVER);
  }
}

const server = new Server();
const method = { path: METHOD, requestStream: false, responseStream: true };
const codec = { requestSerialize: asIs, requestDeserialize: asIs };
server.addService(
  { StreamRawEvents: { ...method, ...codec, responseSerialize: asIs, responseDeserialize: asIs } },
  { StreamRawEvents: (call: ServerWritableStream<Buffer, Buffer>) => void stream(call) },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  stdout.write(`${port}\n`);
});
stdin.on('end', () => server.forceShutdown()).resume();
