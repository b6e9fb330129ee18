// A client that sends what no gRPC library would: bytes of its own as calls, and frames of its own as connections.

import { type ClientHttp2Session, constants, connect as http2Connect } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** How a call ended. */
export interface RawAnswer {
  /** Of HTTP; 0: there were no headers. */
  readonly http: number;
  /** grpc-status; null: it was cut off, or answered and left by us. */
  readonly status: number | null;
  readonly message: string;
  /** Why the stream was reset, of HTTP/2; 0: it was not. */
  readonly reset: number;
  /** The call was taken: messages came, or headers that are no refusal. */
  readonly taken: boolean;
  readonly body: Buffer;
}

export interface RawCall {
  readonly path: string;
  readonly body?: Buffer;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** It is not ended by us. */
  readonly open?: boolean;
  /** It is read to its end; otherwise hung up on as soon as it is taken. */
  readonly whole?: boolean;
}

/** A connection to a Unix socket that speaks HTTP/2; whoever calls it destroys it. */
export function sessionAt(path: string): ClientHttp2Session {
  const session = http2Connect('http://localhost', { createConnection: () => connect(path) });
  session.on('error', () => {});
  return session;
}

/** A message as gRPC frames it. */
export function framed(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

/** Makes a call and waits for its end. */
export function rawCall(
  session: ClientHttp2Session,
  { path, body = Buffer.alloc(5), headers = {}, open = false, whole = false }: RawCall,
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    } as Record<string, string>);
    let [http, status, message, taken]: [number, number | null, string, boolean] = [
      0,
      null,
      '',
      false,
    ];
    const chunks: Buffer[] = [];
    const see = (given: Record<string, unknown>): void => {
      if (given['grpc-status'] !== undefined) status = Number(given['grpc-status']);
      if (given['grpc-message'] !== undefined) message = decodeURI(String(given['grpc-message']));
    };
    stream.on('response', (given) => {
      http = Number(given[':status']);
      see(given);
      if (http !== 200 || status !== null) return;
      taken = true;
      if (!whole) stream.close(constants.NGHTTP2_CANCEL);
    });
    stream.on('trailers', see);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    // The answer is there, whether or not we have said all.
    stream.on('end', () => stream.close());
    stream.on('error', () => {});
    stream.on('close', () => {
      const own = taken && !whole ? 0 : (stream.rstCode ?? 0);
      resolve({ http, status, message, reset: own, taken, body: Buffer.concat(chunks) });
    });
    if (open) stream.write(body);
    else stream.end(body);
  });
}

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
export const TYPES = {
  data: 0,
  headers: 1,
  rst: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;
export const END_STREAM = 1;
export const END_HEADERS = 4;

/** A frame of HTTP/2. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Headers of a call, each as a literal that is not kept. */
export function headerBlock(path: string, more: Readonly<Record<string, string>> = {}): Buffer {
  const all = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': path,
    ':authority': 'localhost',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...more,
  };
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value);
    if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
    const length = [127];
    let rest = bytes.length - 127;
    for (; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128);
    length.push(rest);
    return Buffer.concat([Buffer.from(length), bytes]);
  };
  return Buffer.concat(
    Object.entries(all).flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]),
  );
}

/** A connection of bytes; what comes back is thrown away unless it is paused. */
export async function bytesTo(path: string): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    const isThere = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.on('error', () => {});
    socket.resume();
    if (isThere) return socket;
    // So many were not taken yet that the kernel lets nobody else wait.
    await sleep(10);
  }
}

/** Writes and waits until it is taken, or the other end has hung up; whether it was taken. */
export function put(socket: Socket, bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    if (socket.destroyed || !socket.writable) {
      resolve(false);
      return;
    }
    const gone = (): void => resolve(false);
    socket.once('close', gone);
    socket.write(bytes, (error) => {
      socket.off('close', gone);
      resolve(error === null || error === undefined);
    });
  });
}

/** Waits until the other end has hung up. */
export async function hungUp(socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
}
