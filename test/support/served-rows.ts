// The gRPC face of the service in this process, over a Unix socket, with rows that a test makes up.

import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { EventRun } from '../../src/event/stream.ts';
import { NumberVector } from '../../src/segment/vectors.ts';
import { Callers } from '../../src/server/caller.ts';
import { GrpcServer } from '../../src/server/grpc.ts';
import { ServiceCounters } from '../../src/service/counters.ts';
import type { Part } from '../../src/service/served-stream.ts';
import type { EventService } from '../../src/service/service.ts';
import { temporaryDirectory } from './recording.ts';

const ORIGIN = { recording: '01KB', host: 'host', boot_id: 'boot' };
const CALLER = {
  identity: { kind: 'peer', uid: 0, gid: 0, pid: 1 },
  address: 'unix:pid=1',
} as const;
const NONE = new Uint8Array(0);
const END_MS = 1000;

/** A run of rows that differ in pid alone. */
export function runOf(pids: readonly number[]): EventRun {
  const pid = new NumberVector(pids.length, NONE, Uint32Array.from(pids));
  const columns = new Map([['pid', pid]]);
  return {
    block: { type: 'file', origin: ORIGIN, tsOffset: 0n, columns },
    from: 0,
    to: pids.length,
  };
}

export class ServedRows {
  readonly path: string;
  readonly said: string[] = [];
  readonly #directory = temporaryDirectory();
  readonly #grpc: GrpcServer;
  readonly #listening: Server;

  private constructor(
    parts: () => AsyncIterable<Part>,
    status: () => Promise<Readonly<Record<string, unknown>>>,
  ) {
    const end = { token: '01KB:1', incomplete: [] };
    const stream = { parts, sent: () => {}, end: () => end, token: end.token };
    const holding = () => Promise.resolve({ time: null, newest: null });
    const service = { stream: () => Promise.resolve(stream), holding };
    this.#grpc = new GrpcServer({
      service: service as unknown as EventService,
      callers: new Callers({
        tokens: null,
        jwt: null,
        takesCertificates: false,
        denied: () => Promise.resolve(),
      }),
      status,
      counters: new ServiceCounters(),
      say: (text) => this.said.push(text),
    });
    this.path = join(this.#directory.path, 'sock');
    this.#listening = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      this.#grpc.accept(socket, CALLER);
    });
  }

  /** Serves these parts to each stream, and this status; whoever calls it closes it. */
  static async open(
    parts: () => AsyncIterable<Part>,
    status: () => Promise<Readonly<Record<string, unknown>>> = () => Promise.resolve({}),
  ): Promise<ServedRows> {
    const self = new ServedRows(parts, status);
    await new Promise<void>((resolve) => self.#listening.listen(self.path, resolve));
    return self;
  }

  async close(): Promise<void> {
    this.#listening.close();
    await this.#grpc.close(END_MS);
    this.#directory.remove();
  }
}
