// The service as gRPC has it: calls in, messages out. What may be seen is not decided here.

import type { Socket } from 'node:net';
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  logVerbosity,
  Metadata,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceDefinition,
  setLogVerbosity,
} from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { TapioError } from '../errors.ts';
import { definitions } from '../rpc/messages.ts';
import type { Caller } from '../service/admission.ts';
import type { ServiceCounters } from '../service/counters.ts';
import type {
  QueryMessage,
  ReplayMessage,
  StatsMessage,
  StreamMessage,
} from '../service/request.ts';
import type { ServedStream } from '../service/served-stream.ts';
import type { EventService } from '../service/service.ts';
import { ringMetrics, segmentList, statsMessage, statusMessage } from './answers.ts';
import type { Callers, Connection } from './caller.ts';
import { Capacity } from './capacity.ts';
import { answerBeforeNext, limitSessions, REQUEST_BYTES_MAX } from './limits.ts';
import { nameConnection } from './peers.ts';
import { sayPlainly } from './refusals.ts';
import { type Encode, RowWriter } from './row-writer.ts';
import { statusOf } from './status.ts';
import { write } from './writing.ts';

// It would tell of headers that it cannot read, which may be secrets, as often as anybody sends them.
setLogVerbosity(logVerbosity.NONE);

const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

export interface GrpcOptions {
  readonly service: EventService;
  readonly counters: ServiceCounters;
  /** What tapio-record status says. */
  readonly status: () => Promise<Readonly<Record<string, unknown>>>;
  readonly callers: Callers;
  /** Told of what is wrong with the server itself. */
  readonly say: (text: string) => void;
}

/** Begins a stream of rows. */
type Open<Request> = (
  caller: Caller,
  message: Request,
  signal: AbortSignal,
) => Promise<ServedStream>;

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
  readonly #sockets = new Set<Socket>();
  #connections = 0;

  constructor(options: GrpcOptions) {
    this.#options = options;
    const { definition, services } = definitions();
    const { EBPFExport, Recorder } = services;
    const encoderOf = (method: string): Encode => EBPFExport[method]?.responseSerialize as Encode;
    const rows = new RowWriter(
      encoderOf('StreamRawEvents'),
      encoderOf('StreamRawEventBatches'),
      encoderOf('QueryRawEvents'),
    );
    this.#server = new Server({
      'grpc.max_receive_message_length': REQUEST_BYTES_MAX,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.keepalive_permit_without_calls': 1,
      interceptors: [sayPlainly, answerBeforeNext, new Capacity().interceptor],
    });
    if (!limitSessions(this.#server)) options.say('connections have no limits but those of Node');
    const encodeStats = Recorder.Stats?.responseSerialize as Encode;
    const { service, status } = options;
    const streams =
      (method: string): Open<StreamMessage> =>
      (caller, message, signal) =>
        service.stream(caller, method, message, signal);
    const encoded = ['StreamRawEvents', 'StreamRawEventBatches', 'QueryRawEvents'];
    this.#server.addService(withEncoded(EBPFExport, encoded), {
      StreamRawEvents: this.#streaming(streams('StreamRawEvents'), (...to) => rows.events(...to)),
      StreamRawEventBatches: this.#streaming(streams('StreamRawEventBatches'), (...to) =>
        rows.batches(...to),
      ),
      QueryRawEvents: this.#unary<QueryMessage, Buffer>(async (caller, message) =>
        service.page(caller, message, (page) => rows.page(page)),
      ),
      GetRingMetrics: this.#unary(async (caller) => {
        await service.holding(caller, 'GetRingMetrics');
        return ringMetrics(await status());
      }),
    });
    this.#server.addService(withEncoded(Recorder, ['Replay', 'Stats']), {
      GetStatus: this.#unary(async (caller) => {
        const holding = await service.holding(caller, 'GetStatus');
        return statusMessage(await status(), holding);
      }),
      ListSegments: this.#unary<{ since?: string; until?: string }, object>(
        async (caller, window) => segmentList(await service.segments(caller, window)),
      ),
      FetchSegment: this.#calling<{ name?: string }, object>(async (caller, call, signal) => {
        for await (const part of service.fetch(caller, call.request, signal)) {
          await write(call, part, signal);
        }
      }),
      Replay: this.#streaming<ReplayMessage>(
        (caller, message, signal) => service.replay(caller, message, signal),
        (...to) => rows.events(...to),
      ),
      Stats: this.#unary<StatsMessage, Buffer>(async (caller, message) =>
        service.stats(caller, message, (sums) => encodeStats(statsMessage(sums))),
      ),
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

  /** Serves a connection for as long as it is open. */
  accept(socket: Socket, connection: Connection): void {
    const name = `connection-${this.#connections++}`;
    nameConnection(socket, name);
    this.#options.callers.add(name, connection);
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#options.callers.remove(name);
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

  #unary<Request, Response>(
    answer: (caller: Caller, message: Request) => Promise<Response>,
  ): handleUnaryCall<Request, Response> {
    return (call, callback) => {
      this.#options.callers
        .of(call)
        .then((caller) => answer(caller, call.request))
        .then(
          (response) => callback(null, response),
          (error) => callback(this.#failure(error)),
        );
    };
  }

  /** Streams rows, and tells with the trailers what they lack. */
  #streaming<Request>(
    open: Open<Request>,
    write: (
      call: ServerWritableStream<Request, Buffer>,
      stream: ServedStream,
      signal: AbortSignal,
    ) => Promise<void>,
  ): handleServerStreamingCall<Request, Buffer> {
    return this.#calling(async (caller, call, signal, trailers) => {
      const stream = await open(caller, call.request, signal);
      call.sendMetadata(new Metadata());
      try {
        await write(call, stream, signal);
        if (signal.aborted) return;
        const { incomplete } = stream.end();
        trailers.set('complete', String(incomplete.length === 0));
        for (const reason of incomplete)
          trailers.add('incomplete-reason', encodeURIComponent(reason));
      } finally {
        // Another goes on there, however this one ended.
        const { token } = stream;
        if (token !== '') trailers.set('resume-token', token);
      }
    });
  }

  /** Answers a call with as many messages as `answer` writes, and with the trailers that it sets. */
  #calling<Request, Response>(
    answer: (
      caller: Caller,
      call: ServerWritableStream<Request, Response>,
      signal: AbortSignal,
      trailers: Metadata,
    ) => Promise<void>,
  ): handleServerStreamingCall<Request, Response> {
    return (call) => {
      const over = new AbortController();
      const trailers = new Metadata();
      for (const event of ['cancelled', 'close', 'error']) call.on(event, () => over.abort());
      const run = async (): Promise<void> => {
        const caller = await this.#options.callers.of(call);
        const forget = caller.watch?.((why) => over.abort(why));
        try {
          await answer(caller, call, over.signal, trailers);
        } finally {
          forget?.();
        }
        // Whoever asked is nobody any more.
        if (over.signal.reason instanceof TapioError) throw over.signal.reason;
        if (!over.signal.aborted) call.end(trailers);
      };
      run().catch((error) => call.emit('error', { ...this.#failure(error), metadata: trailers }));
    };
  }

  #failure(error: unknown): { code: number; details: string } {
    this.#options.counters.refuse(error);
    if (!(error instanceof TapioError))
      this.#options.say(`a call failed: ${(error as Error).stack}`);
    return statusOf(error);
  }
}
