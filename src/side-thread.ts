// A thread beside the recording, which may fail without it: it is started again. Both ends of it.

import { exit } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { type ErrorCode, TapioError } from './errors.ts';
import { threadUrl } from './thread-url.ts';

/** How long a thread that failed is left alone before it is started again, at first and at most, ms. */
const RESTART_MS_MIN = 1000;
const RESTART_MS_MAX = 60_000;
/** Beyond what a thread is given to finish, ms: it closes its connections. */
const CLOSE_MS_MAX = 10_000;
/** How often the main thread is told how it is, ms. */
const STATUS_MS = 500;

type ToThread =
  /** The recorder can be followed now. */
  | { readonly kind: 'go' }
  /** What it was told by its files may have changed. */
  | { readonly kind: 'reload' }
  /** What it is to know. */
  | { readonly kind: 'news'; readonly news: unknown }
  /** The recording has ended: what is left is done for a while, and the thread ends. */
  | { readonly kind: 'finish'; readonly ms: number };

type FromThread<Status> =
  | { readonly kind: 'ready'; readonly status: Status }
  /** It makes no sense as it is configured. */
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'status'; readonly status: Status };

export interface SideThreadOptions {
  /** See threadUrl(). */
  readonly source: string;
  readonly bundled: string;
  /** What it is given. */
  readonly data: unknown;
  /** What it is to its user, as in `sink nats`. */
  readonly name: string;
  readonly say: (text: string) => void;
}

/** How a thread is that took the place of another: what that one had counted counts on. */
export type After<Status> = (before: Status, own: Status) => Status;

/** A thread, as the main thread has it. */
export class SideThread<Status> {
  readonly #options: SideThreadOptions;
  readonly #over = new AbortController();
  #worker: Worker | null = null;
  readonly #after: After<Status>;
  #status: Status | null = null;
  /** How the threads before this one were in the end. */
  #before: Status | null = null;
  #isGoing = false;
  #failures = 0;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: SideThreadOptions, after: After<Status>) {
    this.#options = options;
    this.#after = after;
  }

  /** How it is, as far as it has said. */
  get status(): Status | null {
    return this.#status;
  }

  /** Times that it failed, and was to be started again. */
  get failures(): number {
    return this.#failures;
  }

  /** Resolves when the thread is ready. Throws what it refuses. */
  start(): Promise<void> {
    const { source, bundled, data } = this.#options;
    const ready = Promise.withResolvers<void>();
    const worker = new Worker(threadUrl(source, bundled), { workerData: data });
    this.#worker = worker;
    worker.on('message', (message: FromThread<Status>) => {
      if (message.kind === 'note') this.#say(message.text);
      if (message.kind === 'status' || message.kind === 'ready') this.#hear(message.status);
      if (message.kind === 'ready') ready.resolve();
      if (message.kind === 'refused') {
        const why = `${this.#options.name}: ${message.message}`;
        ready.reject(new TapioError(message.code as ErrorCode, why));
      }
    });
    worker.on('error', (error) => {
      ready.reject(error as Error);
      void this.#restart(error as Error);
    });
    this.#ended = new Promise((resolve) => worker.once('exit', () => resolve()));
    return ready.promise;
  }

  go(): void {
    this.#isGoing = true;
    this.#post({ kind: 'go' });
  }

  reload(): void {
    this.#post({ kind: 'reload' });
  }

  /** Lets it know something, which it hears as it can. */
  tell(news: unknown): void {
    this.#post({ kind: 'news', news });
  }

  /** Gives it so long to do what is left, and ends it. */
  async finish(ms: number): Promise<void> {
    this.#over.abort();
    this.#post({ kind: 'finish', ms });
    const late = new AbortController();
    const tooLate = sleep(ms + CLOSE_MS_MAX, true, late).catch(() => false);
    const isLate = await Promise.race([this.#ended.then(() => false), tooLate]);
    late.abort();
    if (isLate) await this.#worker?.terminate();
  }

  #hear(own: Status): void {
    this.#status = this.#before === null ? own : this.#after(this.#before, own);
  }

  #post(message: ToThread): void {
    this.#worker?.postMessage(message);
  }

  #say(text: string): void {
    this.#options.say(`${this.#options.name}: ${text}`);
  }

  async #restart({ message }: Error): Promise<void> {
    if (!this.#isGoing || this.#over.signal.aborted) return;
    const ms = Math.min(RESTART_MS_MAX, RESTART_MS_MIN * 2 ** this.#failures++);
    this.#say(`its thread failed (${message}): it is started again in ${ms / 1000} s`);
    await sleep(ms, undefined, { signal: this.#over.signal }).catch(() => {});
    if (this.#over.signal.aborted) return;
    this.#before = this.#status;
    try {
      await this.start();
      this.go();
    } catch {
      // The thread has said so as it failed.
    }
  }
}

/** What a thread does. */
export interface SideTask<Status> {
  /** Does it; resolves when it has ended. */
  run(): Promise<void>;
  reload?(): void;
  /** Hears what SideThread.tell() was given. */
  hear?(news: unknown): void;
  /** What is left is done, for so long at most, ms. */
  finish(ms: number): void;
  status(): Status;
}

/** Says something to the user, from within a thread. */
export function sayFromThread(text: string): void {
  parentPort?.postMessage({ kind: 'note', text } satisfies FromThread<never>);
}

/** The other end: makes what the thread is to do of its data, and does it when it is told to. */
export async function runSideThread<Data, Status>(
  make: (data: Data) => Promise<SideTask<Status>>,
): Promise<void> {
  const tell = (message: FromThread<Status>): void => parentPort?.postMessage(message);
  try {
    const task = await make(workerData as Data);
    const running = Promise.withResolvers<void>();
    let isRunning = false;
    parentPort?.on('message', (message: ToThread) => {
      if (message.kind === 'reload') {
        task.reload?.();
        return;
      }
      if (message.kind === 'news') {
        task.hear?.(message.news);
        return;
      }
      if (message.kind === 'finish') task.finish(message.ms);
      if (!isRunning) task.run().then(running.resolve, running.reject);
      isRunning = true;
    });
    tell({ kind: 'ready', status: task.status() });
    const timer = setInterval(() => tell({ kind: 'status', status: task.status() }), STATUS_MS);
    try {
      await running.promise;
    } finally {
      clearInterval(timer);
      tell({ kind: 'status', status: task.status() });
    }
  } catch (error) {
    if (!(error instanceof TapioError)) throw error;
    tell({ kind: 'refused', code: error.code, message: error.message });
  }
  // This ends the thread alone. A connection whose other end does not read would keep it.
  exit();
}
