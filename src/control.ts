// The local door of a running recorder: control.sock in the store, one JSON request and answer a line.
// Only the recorder's own user and root are heard.

import { chmodSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { TapioError } from './errors.ts';
import { native } from './source/binding.ts';

export type ControlRequest = 'status' | 'flush' | 'stop';
const REQUESTS: readonly string[] = ['status', 'flush', 'stop'];
const LINE_BYTES_MAX = 4096;
/** sockaddr_un.sun_path, with its NUL. */
const PATH_BYTES_MAX = 107;

type Answer = Readonly<Record<string, unknown>>;

export function controlPath(store: string): string {
  return join(store, 'control.sock');
}

function peerIsAllowed(socket: Socket): boolean {
  const handle = (socket as unknown as { _handle?: { fd?: number } })._handle;
  if (handle?.fd === undefined || handle.fd < 0) return false;
  const { uid } = native().peerCredentials(handle.fd);
  return uid === 0 || uid === process.geteuid?.();
}

export class ControlServer {
  readonly #server: Server;
  readonly #path: string;

  private constructor(server: Server, path: string) {
    this.#server = server;
    this.#path = path;
  }

  /** Listens in the store; `answer` is given each request. */
  static async open(
    store: string,
    answer: (request: ControlRequest) => Promise<Answer>,
  ): Promise<ControlServer> {
    const path = controlPath(store);
    if (Buffer.byteLength(path) > PATH_BYTES_MAX)
      throw new Error('the path of the store is too long for one');
    rmSync(path, { force: true });
    const server = createServer((socket) => serve(socket, answer));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
    return new ControlServer(server, path);
  }

  close(): void {
    this.#server.close();
    rmSync(this.#path, { force: true });
  }
}

function serve(socket: Socket, answer: (request: ControlRequest) => Promise<Answer>): void {
  socket.on('error', () => socket.destroy());
  if (!peerIsAllowed(socket)) {
    socket.end(`${JSON.stringify({ error: 'only root and the recorder’s own user may ask' })}\n`);
    return;
  }
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes.toString('utf8');
    const end = text.indexOf('\n');
    if (end < 0) {
      if (text.length > LINE_BYTES_MAX) socket.destroy();
      return;
    }
    const request = text.slice(0, end).trim();
    text = '';
    if (!REQUESTS.includes(request)) {
      socket.end(
        `${JSON.stringify({ error: `unknown request: one of ${REQUESTS.join(', ')}` })}\n`,
      );
      return;
    }
    answer(request as ControlRequest).then(
      (value) => socket.end(`${JSON.stringify(value)}\n`),
      (error: Error) => socket.end(`${JSON.stringify({ error: error.message })}\n`),
    );
  });
}

/** Asks the recorder of a store; throws TapioError('not_running') when there is none. */
export function askRecorder(store: string, request: ControlRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = createConnection(controlPath(store), () => socket.write(`${request}\n`));
    socket.on('data', (bytes) => {
      text += bytes.toString('utf8');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const denied = error.code === 'EACCES';
      reject(
        denied
          ? new TapioError(
              'not_permitted',
              `only root and the recorder’s own user may ask it: use sudo`,
            )
          : new TapioError(
              'not_running',
              `nothing is recording into ${store}: start it with tapio-record start`,
            ),
      );
    });
    socket.on('close', () => {
      if (text === '') return;
      const answer = JSON.parse(text) as Answer;
      if (typeof answer.error === 'string') reject(new TapioError('internal', answer.error));
      else resolve(answer);
    });
  });
}
