// The server of Tapio as it shipped in the summer of 2025, as far as its StreamEvents goes, its traps included: a queue for each
// stream whose overflow is dropped without a word, messages of 1 MiB at most, a store that keeps ids once and acknowledges
// repeats, and drops what is older than a day.

import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { fromJSON, type ServiceDefinition } from '@grpc/proto-loader';
import { TAPIO_V1 } from '../../src/sink/tapio-proto.ts';

const QUEUE = 1000;
const MESSAGE_MAX = 1 << 20;
const DAY_MS = 24 * 3_600_000;

// biome-ignore lint/suspicious/noExplicitAny: messages as they come off the wire.
export type Message = any;

export interface DoubleOptions {
  /** How long one event takes, ms. */
  readonly workMs?: number;
  /** What is done with an event instead of storing it; null: as it should be. */
  readonly answer?: (event: Message) => Message | null;
  readonly credentials?: ServerCredentials;
  readonly port?: number;
}

export class TapioServer {
  readonly #server: Server;
  port = 0;
  /** By id. */
  readonly stored = new Map<string, Message>();
  repeats = 0;
  dropped = 0;
  streams = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(options: DoubleOptions = {}): Promise<TapioServer> {
    const server = new Server({ 'grpc.max_receive_message_length': MESSAGE_MAX });
    const service = fromJSON(TAPIO_V1 as never, { keepCase: true, longs: Number })[
      'tapio.v1.TapioService'
    ] as ServiceDefinition;
    const double = new TapioServer(server);
    server.addService(service as never, {
      StreamEvents: (stream: ServerDuplexStream<Message, Message>) => double.serve(stream, options),
    });
    const security = options.credentials ?? ServerCredentials.createInsecure();
    double.port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${options.port ?? 0}`, security, (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    return double;
  }

  serve(stream: ServerDuplexStream<Message, Message>, { workMs = 0, answer }: DoubleOptions): void {
    this.streams++;
    const queue: Message[] = [];
    let isBusy = false;
    const work = async (): Promise<void> => {
      isBusy = true;
      for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
        if (workMs > 0) await new Promise((resolve) => setTimeout(resolve, workMs));
        const said = answer?.(event) ?? { ack: this.#store(event) };
        if (said.silent !== true) stream.write(said);
      }
      isBusy = false;
    };
    stream.on('data', ({ event }) => {
      if (queue.length >= QUEUE) {
        this.dropped++;
        return;
      }
      queue.push(event);
      if (!isBusy) void work();
    });
    stream.on('end', () => stream.end());
    stream.on('error', () => {});
  }

  #store(event: Message): Message {
    if (this.stored.has(event.id)) this.repeats++;
    else this.stored.set(event.id, event);
    for (const [id, { timestamp }] of this.stored) {
      if (timestamp.seconds * 1000 < Date.now() - DAY_MS) this.stored.delete(id);
    }
    return { event_id: event.id, status: 'processed' };
  }

  /** Ends it as a crash would. */
  kill(): void {
    this.#server.forceShutdown();
  }
}
