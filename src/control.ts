// The local door of a running recorder: control.sock in the store. Requests and answers are JSON, one a
// line, answered in order: {"request":"status"} → {…} or {"error":"…","code":"…"}. Only the recorder's
// own user and root are heard. Who asked to follow is told more, a line each, for as long as it is connected.

import { chmodSync, closeSync, openSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { type ErrorCode, TapioError } from './errors.ts';
import { native } from './source/binding.ts';

const REQUESTS = ['status', 'flush', 'follow', 'stop'] as const;
export type ControlRequest = (typeof REQUESTS)[number];
export type Answer = Readonly<Record<string, unknown>>;

/** Who asks. */
export interface Peer {
  readonly pid: number;
  /** True when it has hung up. */
  readonly gone: boolean;
  /** Calls back when it has hung up. */
  onGone(then: () => void): void;
  /** Says something that was not asked for. */
  tell(line: Answer): void;
  hangUp(): void;
}

type Answering = (request: ControlRequest, peer: Peer) => Promise<Answer>;

const LINE_BYTES_MAX = 4096;
/** Room in sockaddr_un.sun_path, without its NUL. */
const PATH_BYTES_MAX = 107;
const SOCKET = 'control.sock';

/** Path of a store's control socket. */
export function controlPath(store: string): string {
  return join(store, SOCKET);
}

/** A way to name the socket that fits a socket address, and what lets go of it. */
function shortPath(store: string): { readonly path: string; readonly done: () => void } {
  const path = controlPath(store);
  if (Buffer.byteLength(path) <= PATH_BYTES_MAX) return { path, done: () => {} };
  const directory = openSync(store, 'r');
  return { path: `/proc/self/fd/${directory}/${SOCKET}`, done: () => closeSync(directory) };
}

/** The process at the other end, or null where it may not ask. */
function allowedPeer(socket: Socket): number | null {
  const handle = (socket as unknown as { _handle?: { fd?: number } })._handle;
  if (handle?.fd === undefined || handle.fd < 0) return null;
  const { pid, uid } = native().peerCredentials(handle.fd);
  return uid === 0 || uid === process.geteuid?.() ? pid : null;
}

function failureLine(error: unknown): Answer {
  const code = error instanceof TapioError ? error.code : 'internal';
  return { error: (error as Error).message, code };
}

/** One connection: its requests are answered one after another. */
class Caller implements Peer {
  readonly pid: number;
  readonly #socket: Socket;
  readonly #answer: Answering;
  readonly #waiting: string[] = [];
  #text = '';
  #busy = false;
  #closing = false;

  constructor(socket: Socket, pid: number, answer: Answering) {
    this.pid = pid;
    this.#socket = socket;
    this.#answer = answer;
    socket.setEncoding('utf8');
    socket.on('error', () => socket.destroy());
    socket.on('data', (text: string) => this.#hear(text));
  }

  get gone(): boolean {
    return this.#socket.destroyed;
  }

  onGone(then: () => void): void {
    this.#socket.once('close', then);
  }

  tell(line: Answer): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(line)}\n`);
  }

  hangUp(): void {
    this.#socket.destroy();
  }

  /** Ends the connection, once what was asked is answered. */
  close(): void {
    this.#closing = true;
    if (!this.#busy) this.#socket.destroy();
  }

  #hear(text: string): void {
    const lines = (this.#text + text).split('\n');
    this.#text = lines.pop() ?? '';
    if (this.#text.length > LINE_BYTES_MAX) {
      this.#socket.destroy();
      return;
    }
    this.#waiting.push(...lines);
    if (!this.#busy) void this.#serve();
  }

  async #serve(): Promise<void> {
    this.#busy = true;
    for (let line = this.#waiting.shift(); line !== undefined; line = this.#waiting.shift()) {
      const answer = await this.#answerTo(line).catch(failureLine);
      if (!this.#socket.writable) break;
      this.#socket.write(`${JSON.stringify(answer)}\n`);
    }
    this.#busy = false;
    if (this.#closing) this.#socket.end();
  }

  async #answerTo(line: string): Promise<Answer> {
    let request: unknown = null;
    try {
      request = (JSON.parse(line) as { request?: unknown } | null)?.request;
    } catch {
      // What is not JSON is no request that we know.
    }
    const known = REQUESTS.find((one) => one === request);
    if (known === undefined) {
      throw new TapioError('usage', `unknown request: one of ${REQUESTS.join(', ')}`);
    }
    return await this.#answer(known, this);
  }
}

/** Listens in a store. */
export class ControlServer {
  readonly #server: Server;
  readonly #callers = new Set<Caller>();
  readonly #path: string;
  readonly #done: () => void;

  private constructor(store: string, answer: Answering) {
    const { path, done } = shortPath(store);
    this.#path = path;
    this.#done = done;
    this.#server = createServer((socket) => {
      const pid = allowedPeer(socket);
      if (pid === null) {
        const refusal = new TapioError(
          'not_permitted',
          'only root and the recorder’s user may ask',
        );
        socket.on('error', () => socket.destroy());
        socket.end(`${JSON.stringify(failureLine(refusal))}\n`);
        return;
      }
      const caller = new Caller(socket, pid, answer);
      this.#callers.add(caller);
      socket.on('close', () => this.#callers.delete(caller));
    });
  }

  /** Listens in the store, in place of a socket that a crash left; `answer` is given each request. */
  static async open(store: string, answer: Answering): Promise<ControlServer> {
    const control = new ControlServer(store, answer);
    try {
      await control.#listen();
    } catch (error) {
      control.#done();
      throw error;
    }
    return control;
  }

  async #listen(): Promise<void> {
    rmSync(this.#path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#path, resolve);
    });
    chmodSync(this.#path, 0o600);
  }

  /** Takes the socket away. Who waits for an answer still gets it; who asked nothing is hung up on. */
  close(): void {
    this.#server.close();
    try {
      rmSync(this.#path, { force: true });
    } catch {
      // On a disk that fails it stays, and the next recorder puts its own in its place.
    }
    this.#done();
    for (const caller of this.#callers) caller.close();
  }
}

const CODES_TOLD: readonly string[] = ['usage', 'not_permitted', 'io', 'not_running'];

function answerFrom(line: string, store: string): Answer {
  let answer: Answer;
  try {
    answer = JSON.parse(line) as Answer;
  } catch {
    throw new TapioError('io', `what listens in ${store} is no recorder: remove its control.sock`);
  }
  if (typeof answer.error !== 'string') return answer;
  const code = CODES_TOLD.includes(String(answer.code)) ? (answer.code as ErrorCode) : 'internal';
  throw new TapioError(code, answer.error);
}

function connectionFailure(error: NodeJS.ErrnoException, store: string): TapioError {
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return new TapioError(
      'not_permitted',
      'only root and the recorder’s own user may ask it: use sudo',
    );
  }
  return notRunning(store);
}

function notRunning(store: string): TapioError {
  return new TapioError(
    'not_running',
    `nothing is recording into ${store}: start it with tapio-record start, or name another store with --store`,
  );
}

/** A connection on which something was asked. */
export interface Connection {
  readonly answer: Answer;
  /** False once the recorder has hung up. */
  readonly isOpen: boolean;
  close(): void;
}

/**
 * Asks the recorder of a store and stays connected; `onLine` hears what it says after its answer. Throws
 * TapioError('not_running') when there is none.
 */
export async function connectRecorder(
  store: string,
  request: ControlRequest,
  onLine: (line: Answer) => void = () => {},
): Promise<Connection> {
  let named: ReturnType<typeof shortPath>;
  try {
    named = shortPath(store);
  } catch (error) {
    throw connectionFailure(error as NodeJS.ErrnoException, store);
  }
  const socket = createConnection(named.path, () => {
    socket.write(`${JSON.stringify({ request })}\n`);
  });
  try {
    const line = await new Promise<string>((resolve, reject) => {
      let text = '';
      let answered = false;
      socket.setEncoding('utf8');
      socket.on('data', (part: string) => {
        const lines = (text + part).split('\n');
        text = lines.pop() ?? '';
        for (const one of lines) {
          if (answered) onLine(answerFrom(one, store));
          else resolve(one);
          answered = true;
        }
      });
      socket.on('error', (error) => reject(connectionFailure(error, store)));
      socket.on('close', () =>
        reject(
          new TapioError('not_running', `the recorder of ${store} ended before it had answered`),
        ),
      );
    });
    return {
      answer: answerFrom(line, store),
      get isOpen() {
        return !socket.destroyed && !socket.readableEnded;
      },
      close: () => socket.destroy(),
    };
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    named.done();
  }
}

/** Asks the recorder of a store. Throws TapioError('not_running') when there is none. */
export async function askRecorder(store: string, request: ControlRequest): Promise<Answer> {
  const connection = await connectRecorder(store, request);
  connection.close();
  return connection.answer;
}
