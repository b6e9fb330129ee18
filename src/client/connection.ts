// Calls to one server.

import {
  Client,
  type ClientReadableStream,
  type Metadata,
  type MethodDefinition,
  status,
} from '@grpc/grpc-js';
import { definitions } from '../rpc/messages.ts';
import type { Address } from './address.ts';
import { failureOf } from './failure.ts';

/** A thousand events with all that each can hold. */
const MESSAGE_BYTES_MAX = 64 << 20;
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;

type Method = MethodDefinition<object, unknown>;

function decodedReason(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What a stream lacks, as its trailers say it. */
function reasonsOf(metadata: Metadata): string[] {
  // Several of one name come as one; encoded, none has a comma of its own.
  const reasons = metadata.get('incomplete-reason').flatMap((one) => String(one).split(/,\s*/));
  return reasons.map(decodedReason);
}

const asIs = (bytes: Buffer): Buffer => bytes;

/** A server; it is connected to with the first call. */
export class Connection {
  readonly name: string;
  readonly #address: Address;
  readonly #methods: Readonly<Record<string, Method>>;
  #client: Client;

  constructor(address: Address) {
    this.name = address.text;
    this.#address = address;
    const { EBPFExport, Recorder } = definitions().services;
    this.#methods = { ...EBPFExport, ...Recorder } as Readonly<Record<string, Method>>;
    this.#client = this.#made();
  }

  close(): void {
    this.#client.close();
  }

  /** Forgets a connection that was lost, and what its failures were. */
  renew(): void {
    this.#client.close();
    this.#client = this.#made();
  }

  /** Asks for an answer. Throws TapioError with a sentence. */
  ask<T>(method: string, request: object, signal?: AbortSignal): Promise<T> {
    const read = this.#method(method).responseDeserialize;
    return this.#ask(method, request, read, signal) as Promise<T>;
  }

  /** Asks for an answer as it came. */
  askBytes(method: string, request: object): Promise<Buffer> {
    return this.#ask(method, request, asIs) as Promise<Buffer>;
  }

  /** The messages of a stream; whoever leaves it early ends it. Throws as ask() does. */
  messages<T>(method: string, request: object): AsyncGenerator<T> {
    const { responseDeserialize } = this.#method(method);
    return this.#messages(method, request, responseDeserialize as (bytes: Buffer) => T);
  }

  /** The messages of a stream as they came; `atEnd` hears what it lacks, in sentences. */
  messageBytes(
    method: string,
    request: object,
    signal?: AbortSignal,
    atEnd?: (reasons: readonly string[]) => void,
  ): AsyncGenerator<Buffer> {
    return this.#messages(method, request, asIs, signal, atEnd);
  }

  #made(): Client {
    const { target, credentials, options } = this.#address;
    return new Client(target, credentials, {
      'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      // A shared one would wait for longer after each attempt, up to two minutes.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
      ...options,
    });
  }

  #method(name: string): Method {
    const method = this.#methods[name];
    if (method === undefined) throw new Error(`the service has no ${name}`);
    return method;
  }

  #ask(
    method: string,
    request: object,
    read: (bytes: Buffer) => unknown,
    signal?: AbortSignal,
  ): Promise<unknown> {
    const { path, requestSerialize } = this.#method(method);
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        read,
        request,
        this.#address.metadata,
        (error, answer) => {
          signal?.removeEventListener('abort', cancel);
          if (error === null) resolve(answer);
          else reject(failureOf(this.name, error));
        },
      );
      const cancel = (): void => call.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  async *#messages<T>(
    method: string,
    request: object,
    read: (bytes: Buffer) => T,
    signal?: AbortSignal,
    atEnd?: (reasons: readonly string[]) => void,
  ): AsyncGenerator<T> {
    if (signal?.aborted) return;
    const { path, requestSerialize } = this.#method(method);
    const { metadata } = this.#address;
    const call: ClientReadableStream<T> = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      read,
      request,
      metadata,
    );
    const cancel = (): void => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    // The reader hears of it as it reads on, or not at all where it has left.
    call.on('error', () => {});
    let reasons: readonly string[] | null = null;
    call.on('status', ({ code, metadata: found }) => {
      if (code === status.OK) reasons = reasonsOf(found);
    });
    try {
      for await (const message of call) yield message as T;
      if (reasons !== null) atEnd?.(reasons);
    } catch (error) {
      if (signal === undefined || !signal.aborted) throw failureOf(this.name, error);
    } finally {
      signal?.removeEventListener('abort', cancel);
      call.cancel();
    }
  }
}
