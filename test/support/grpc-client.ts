// A client of the service as anybody would write one: the .proto files, and grpc-js.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  Metadata,
  type MethodDefinition,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { Row } from './recording.ts';

const SCHEMAS = fileURLToPath(new URL('../../schemas', import.meta.url));
const OPTIONS = { keepCase: true, longs: String, defaults: true, oneofs: true, arrays: true };

type Unary = (
  request: object,
  metadata: Metadata,
  done: (error: ServiceError | null, answer: Row) => void,
) => void;
type Streaming = (request: object, metadata?: Metadata) => ClientReadableStream<Row>;

export interface Export extends Client {
  readonly StreamRawEvents: Streaming;
  readonly StreamRawEventBatches: Streaming;
  readonly QueryRawEvents: Unary;
  readonly GetRingMetrics: Unary;
}
export interface RecorderClient extends Client {
  readonly GetStatus: Unary;
  readonly ListSegments: Unary;
  readonly Stats: Unary;
  readonly FetchSegment: Streaming;
  readonly Replay: Streaming;
}

type Made<T> = new (
  address: string,
  creds: ReturnType<typeof credentials.createInsecure>,
  options?: Readonly<Record<string, string>>,
) => T;
const { EBPFExport, Recorder } = (
  loadPackageDefinition(
    loadSync('recorder.proto', { ...OPTIONS, includeDirs: [SCHEMAS, `${SCHEMAS}/generated`] }),
  ) as unknown as {
    tapio: { ebpf: { v1: { EBPFExport: Made<Export>; Recorder: Made<RecorderClient> } } };
  }
).tapio.ebpf.v1;

/** A client of another package's service, from the .proto that it brings. */
function clientOf(file: string, folder: string, name: readonly string[], address: string): Client {
  const loaded = loadPackageDefinition(
    loadSync(file, { ...OPTIONS, enums: String, includeDirs: [folder] }),
  );
  const service = name.reduce<unknown>((at, word) => (at as Row)[word], loaded) as Made<Client>;
  return new service(address, credentials.createInsecure());
}
const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));

export interface HealthClient extends Client {
  readonly check: Unary;
}

export const healthClient = (address: string): HealthClient =>
  clientOf(
    'health/v1/health.proto',
    `${MODULES}/grpc-health-check/proto`,
    ['grpc', 'health', 'v1', 'Health'],
    address,
  ) as HealthClient;

export interface ReflectionClient extends Client {
  ServerReflectionInfo(): ClientDuplexStream<Row, Row>;
}

export const reflectionClient = (address: string, version: string): ReflectionClient =>
  clientOf(
    `grpc/reflection/${version}/reflection.proto`,
    `${MODULES}/@grpc/reflection/build/proto`,
    ['grpc', 'reflection', version, 'ServerReflection'],
    address,
  ) as ReflectionClient;

/** Clients of a Unix socket; the caller closes them. */
export function clientsAt(path: string): { events: Export; recorder: RecorderClient } {
  const insecure = credentials.createInsecure();
  return {
    events: new EBPFExport(`unix:${path}`, insecure),
    recorder: new Recorder(`unix:${path}`, insecure),
  };
}

/** A client over TLS, with a certificate or without. */
export function clientOverTls(
  port: number,
  at: (name: string) => string,
  name: string | null,
): Export {
  const [key, cert] =
    name === null ? [null, null] : ['key', 'pem'].map((end) => readFileSync(at(`${name}.${end}`)));
  const creds = credentials.createSsl(readFileSync(at('ca.pem')), key, cert);
  return new EBPFExport(`127.0.0.1:${port}`, creds, {
    'grpc.ssl_target_name_override': 'tapio.test',
  });
}

/** A client over TCP without TLS. */
export const clientOverTcp = (port: number): Export =>
  new EBPFExport(`127.0.0.1:${port}`, credentials.createInsecure());

/** What a call carries to say who makes it. */
export function authorization(...values: readonly string[]): Metadata {
  const metadata = new Metadata();
  for (const value of values) metadata.add('authorization', value);
  return metadata;
}

export function ask<C extends Client>(
  client: C,
  method: keyof C,
  request: object,
  metadata = new Metadata(),
): Promise<Row> {
  return new Promise((resolve, reject) => {
    (client[method] as Unary).call(client, request, metadata, (error, answer) =>
      error === null ? resolve(answer) : reject(error),
    );
  });
}

const LEAN = loadSync('recorder.proto', {
  ...{ keepCase: true, longs: String, includeDirs: [SCHEMAS, `${SCHEMAS}/generated`] },
})['tapio.ebpf.v1.EBPFExport'] as ServiceDefinition;

type Lean = MethodDefinition<object, Row>;

/** StreamRawEventBatches, for who reads very many: what a message does not have is not made. */
export function leanBatches(
  client: Client,
  request: object,
  metadata: Metadata,
): ClientReadableStream<Row> {
  const { path, requestSerialize, responseDeserialize } = LEAN.StreamRawEventBatches as Lean;
  const coded = [path, requestSerialize, responseDeserialize] as const;
  return client.makeServerStreamRequest(...coded, request, metadata);
}
export interface Streamed {
  readonly messages: Row[];
  readonly trailers: Metadata | null;
  readonly error: ServiceError | null;
}

/** Takes messages until the stream ends, or `enough` says so. */
export function streamed(
  stream: ClientReadableStream<Row>,
  enough: (messages: readonly Row[]) => boolean = () => false,
): Promise<Streamed> {
  return new Promise((resolve) => {
    const messages: Row[] = [];
    let [trailers, error]: [Metadata | null, ServiceError | null] = [null, null];
    stream.on('data', (message: Row) => {
      messages.push(message);
      if (enough(messages)) stream.cancel();
    });
    stream.on('error', (one: ServiceError) => {
      error = one;
    });
    stream.on('status', (status) => {
      trailers = status.metadata;
    });
    stream.on('close', () => resolve({ messages, trailers, error }));
  });
}
