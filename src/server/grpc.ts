// The service as gRPC has it: calls in, messages out. What may be seen is not decided here.

import type { Socket } from 'node:net';
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { TapioError } from '../errors.ts';
import { messageAt, RawEventEncoder } from '../raw/encoder.ts';
import type { MissedRows } from '../replay/follow.ts';
import type {
  Caller,
  EventService,
  QueryMessage,
  ServedStream,
  StreamMessage,
} from '../service/service.ts';
import { VERSION } from '../version.ts';
import { asField } from './frames.ts';
import { http2StreamOf } from './http2-stream.ts';
import { definitions } from './messages.ts';
import { nameConnection } from './peers.ts';
import { statusOf } from './status.ts';

/** Requests are small, whatever they ask for. */
const REQUEST_BYTES_MAX = 64 * 1024;
const HEADER_BYTES_MAX = 16 * 1024;
const STREAMS_MAX = 100;
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** Events of one message of a batch stream. */
const BATCH_EVENTS = 1000;

export interface GrpcOptions {
  readonly service: EventService;
  /** What tapio-record status says. */
  readonly status: () => Promise<Readonly<Record<string, unknown>>>;
  /** Told of what is wrong with the server itself. */
  readonly say: (text: string) => void;
}

type Encode = (message: object) => Buffer;

/** Answers of these methods are encoded already. */
function withEncoded(service: ServiceDefinition, names: readonly string[]): ServiceDefinition {
  const asIs = (message: Buffer): Buffer => message;
  return Object.fromEntries(
    Object.entries(service).map(([name, method]) => [
      name,
      names.includes(name) ? { ...method, responseSerialize: asIs } : method,
    ]),
  );
}

export class GrpcServer {
  readonly #options: GrpcOptions;
  readonly #server: Server;
  readonly #inject: (socket: Socket) => void;
  readonly #callers = new Map<string, Caller>();
  readonly #sockets = new Set<Socket>();
  readonly #encoder = new RawEventEncoder();
  readonly #encodeEvent: Encode;
  readonly #encodeBatch: Encode;
  readonly #encodePage: Encode;
  #connections = 0;

  constructor(options: GrpcOptions) {
    this.#options = options;
    const { definition, services } = definitions();
    const { EBPFExport, Recorder } = services;
    const encoderOf = (method: string): Encode => EBPFExport[method]?.responseSerialize as Encode;
    this.#encodeEvent = encoderOf('StreamRawEvents');
    this.#encodeBatch = encoderOf('StreamRawEventBatches');
    this.#encodePage = encoderOf('QueryRawEvents');
    this.#server = new Server({
      'grpc.max_receive_message_length': REQUEST_BYTES_MAX,
      'grpc.max_metadata_size': HEADER_BYTES_MAX,
      'grpc.max_concurrent_streams': STREAMS_MAX,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.keepalive_permit_without_calls': 1,
    });
    const encoded = ['StreamRawEvents', 'StreamRawEventBatches', 'QueryRawEvents'];
    this.#server.addService(withEncoded(EBPFExport, encoded), {
      StreamRawEvents: this.#streaming((call, stream) => this.#writeEvents(call, stream)),
      StreamRawEventBatches: this.#streaming((call, stream) => this.#writeBatches(call, stream)),
      QueryRawEvents: this.#unary<QueryMessage, Buffer>(async (caller, message) => {
        const { runs, token, incomplete } = await this.#options.service.page(caller, message);
        const tail = this.#encodePage({
          next_page_token: token,
          complete: incomplete.length === 0,
          incomplete_reasons: incomplete,
        });
        const messages = this.#encoder.encode(runs);
        return asField(messages, 0, messages.ends.length, tail);
      }),
      GetRingMetrics: this.#unary(async (caller) => {
        await this.#options.service.admitWhole(caller, 'GetRingMetrics');
        return ringMetrics(await this.#options.status());
      }),
    });
    this.#server.addService(Recorder, {
      GetStatus: this.#unary(async (caller) => {
        await this.#options.service.admitWhole(caller, 'GetStatus');
        return statusMessage(await this.#options.status());
      }),
    });
    new ReflectionService(definition).addToServer(this.#server);
    const health = new HealthImplementation({
      '': 'SERVING',
      'tapio.ebpf.v1.EBPFExport': 'SERVING',
      'tapio.ebpf.v1.Recorder': 'SERVING',
    });
    health.addToServer(this.#server);
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#inject = (socket) => injector.injectConnection(socket);
  }

  /** Serves a connection, which is of this caller for as long as it is open. */
  accept(socket: Socket, caller: Caller): void {
    const name = `connection-${this.#connections++}`;
    nameConnection(socket, name);
    this.#callers.set(name, caller);
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#callers.delete(name);
      this.#sockets.delete(socket);
    });
    this.#inject(socket);
  }

  /** Ends it: calls under way are given so long, ms. */
  async close(ms: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    const timer = setTimeout(() => {
      this.#server.forceShutdown();
      // It waits for what is on its way, which a client that does not read never takes.
      for (const socket of this.#sockets) socket.destroy();
    }, ms);
    await closed;
    clearTimeout(timer);
  }

  #callerOf(peer: string): Caller {
    const caller = this.#callers.get(peer) ?? this.#callers.get(peer.replace(/:\d+$/, ''));
    if (caller === undefined)
      throw new TapioError('not_permitted', 'the connection has no identity');
    return caller;
  }

  #unary<Request, Response>(
    answer: (caller: Caller, message: Request) => Promise<Response>,
  ): handleUnaryCall<Request, Response> {
    return (call, callback) => {
      Promise.resolve()
        .then(() => answer(this.#callerOf(call.getPeer()), call.request))
        .then(
          (response) => callback(null, response),
          (error) => callback(this.#failure(error)),
        );
    };
  }

  #streaming(
    write: (
      call: ServerWritableStream<StreamMessage, Buffer>,
      stream: ServedStream,
    ) => Promise<void>,
  ): handleServerStreamingCall<StreamMessage, Buffer> {
    return (call) => {
      const over = new AbortController();
      for (const event of ['cancelled', 'close', 'error']) call.on(event, () => over.abort());
      const method = call.getPath().split('/').at(-1) ?? '';
      const run = async (): Promise<void> => {
        const caller = this.#callerOf(call.getPeer());
        const stream = await this.#options.service.stream(
          caller,
          method,
          call.request,
          over.signal,
        );
        call.sendMetadata(new Metadata());
        await write(call, stream);
        if (over.signal.aborted) return;
        const { token, incomplete } = stream.end();
        const trailers = new Metadata();
        trailers.set('complete', String(incomplete.length === 0));
        for (const reason of incomplete)
          trailers.add('incomplete-reason', encodeURIComponent(reason));
        trailers.set('resume-token', token);
        call.end(trailers);
      };
      run().catch((error) => call.emit('error', this.#failure(error)));
    };
  }

  async #writeEvents(
    call: ServerWritableStream<StreamMessage, Buffer>,
    stream: ServedStream,
  ): Promise<void> {
    const direct = http2StreamOf(call);
    for await (const part of stream.parts()) {
      if (part.kind === 'missed') {
        await write(call, this.#loss(part.missed));
        continue;
      }
      const messages = this.#encoder.encode(part.runs);
      if (direct === null) {
        for (let i = 0; i < messages.ends.length; i++) await write(call, messageAt(messages, i));
      } else if (!direct.write(messages.bytes)) {
        await drained(direct);
      }
      if (call.cancelled) return;
    }
  }

  async #writeBatches(
    call: ServerWritableStream<StreamMessage, Buffer>,
    stream: ServedStream,
  ): Promise<void> {
    for await (const part of stream.parts()) {
      if (part.kind === 'missed') {
        await write(
          call,
          this.#encodeBatch({ events: [lossOf(part.missed)], resume_token: stream.token }),
        );
        continue;
      }
      const messages = this.#encoder.encode(part.runs);
      const { length } = messages.ends;
      for (let from = 0; from < length; from += BATCH_EVENTS) {
        const to = Math.min(length, from + BATCH_EVENTS);
        // What is behind a token was given: only the last message has all of it before it.
        const resume_token = to === length ? stream.token : '';
        await write(call, asField(messages, from, to, this.#encodeBatch({ resume_token })));
        if (call.cancelled) return;
      }
    }
  }

  #loss(missed: MissedRows): Buffer {
    return this.#encodeEvent(lossOf(missed));
  }

  #failure(error: unknown): { code: number; details: string } {
    if (!(error instanceof TapioError))
      this.#options.say(`a call failed: ${(error as Error).stack}`);
    return statusOf(error);
  }
}

/** Something that is written to. */
interface Draining {
  readonly destroyed: boolean;
  on(event: 'drain' | 'close' | 'error', then: () => void): unknown;
  off(event: 'drain' | 'close' | 'error', then: () => void): unknown;
}

/** Waits until a stream takes more, or is gone. */
async function drained(stream: Draining): Promise<void> {
  if (stream.destroyed) return;
  const events = ['drain', 'close', 'error'] as const;
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const event of events) stream.on(event, resolve);
  await promise;
  for (const event of events) stream.off(event, resolve);
}

async function write(
  call: ServerWritableStream<StreamMessage, Buffer>,
  message: Buffer,
): Promise<void> {
  if (!call.write(message)) await drained(call);
}

function lossOf({ first, last, rows, why }: MissedRows): object {
  const range = { first_seq: first.toString(), last_seq: last.toString() };
  return { loss: { cause: why, count: rows.toString(), ...range } };
}

type Counts = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

function ringMetrics(status: Readonly<Record<string, unknown>>): object {
  const ops = Object.entries(status.events as Counts).flatMap(([type, counts]) =>
    Object.entries(counts).map(([op, recorded]) => ({ type, op, recorded: String(recorded) })),
  );
  const lost = Object.entries(status.lost as Counts).flatMap(([stage, causes]) =>
    Object.entries(causes as Counts).flatMap(([cause, types]) =>
      Object.entries(types).map(([type, events]) => ({
        stage,
        cause,
        type,
        events: String(events),
      })),
    ),
  );
  return { ops, lost, filtered: String(status.filtered), fullest_ring: Number(status.backlog) };
}

function statusMessage(status: Readonly<Record<string, unknown>>): object {
  return {
    store: String(status.store),
    version: VERSION,
    uptime_s: Number(status.duration_s),
    cpu_s: Number(status.cpu_s),
    memory_bytes: String(status.rss_bytes),
    stored_bytes: String((status.retention as { bytes?: number } | undefined)?.bytes ?? 0),
  };
}
