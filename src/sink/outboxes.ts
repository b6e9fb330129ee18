// The sinks of a recorder, a thread each: one that is slow or fails is no matter of the others, nor of the recording.

import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { SinkSettings } from '../config.ts';
import { type ErrorCode, TapioError } from '../errors.ts';
import { threadUrl } from '../thread-url.ts';
import type { FromSink, SinkStatus, SinkThreadOptions, ToSink } from './protocol.ts';

/** How long a thread that failed is left alone before it is started again, at first and at most, ms. */
const RESTART_MS_MIN = 1000;
const RESTART_MS_MAX = 60_000;
/** Beyond what a sink is given to finish, ms: it closes its connections. */
const CLOSE_MS_MAX = 10_000;

/** One sink and its thread. */
class Outgoing {
  readonly settings: SinkSettings;
  readonly #store: string;
  readonly #say: (text: string) => void;
  readonly #over = new AbortController();
  #worker: Worker | null = null;
  #status: SinkStatus | null = null;
  #isGoing = false;
  #failures = 0;
  #ended: Promise<void> = Promise.resolve();

  constructor(store: string, settings: SinkSettings, say: (text: string) => void) {
    this.#store = store;
    this.settings = settings;
    this.#say = (text) => say(`sink ${settings.name}: ${text}`);
  }

  get status(): SinkStatus | null {
    return this.#status;
  }

  /** Resolves when the thread is ready. Throws what it refuses. */
  start(): Promise<void> {
    const ready = Promise.withResolvers<void>();
    const workerData: SinkThreadOptions = { store: this.#store, settings: this.settings };
    const worker = new Worker(threadUrl('sink/worker', 'sink-worker'), { workerData });
    this.#worker = worker;
    worker.on('message', (message: FromSink) => {
      if (message.kind === 'note') this.#say(message.text);
      if (message.kind === 'status' || message.kind === 'ready') this.#status = message.status;
      if (message.kind === 'ready') ready.resolve();
      if (message.kind === 'refused') {
        const why = `sink ${this.settings.name}: ${message.message}`;
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

  /** Gives it so long to send what is left, and ends it. */
  async finish(ms: number): Promise<void> {
    this.#over.abort();
    this.#post({ kind: 'finish', ms });
    const late = new AbortController();
    const tooLate = sleep(ms + CLOSE_MS_MAX, true, late).catch(() => false);
    const isLate = await Promise.race([this.#ended.then(() => false), tooLate]);
    late.abort();
    if (isLate) await this.#worker?.terminate();
  }

  #post(message: ToSink): void {
    this.#worker?.postMessage(message);
  }

  // What it had sent and not heard of is sent again, as after a crash of the recorder.
  async #restart({ message }: Error): Promise<void> {
    if (!this.#isGoing || this.#over.signal.aborted) return;
    const ms = Math.min(RESTART_MS_MAX, RESTART_MS_MIN * 2 ** this.#failures++);
    this.#say(`its thread failed (${message}): it is started again in ${ms / 1000} s`);
    await sleep(ms, undefined, { signal: this.#over.signal }).catch(() => {});
    if (this.#over.signal.aborted) return;
    try {
      await this.start();
      this.go();
    } catch {
      // The thread has said so as it failed.
    }
  }
}

export class Outboxes {
  readonly #store: string;
  readonly #say: (text: string) => void;
  #all: readonly Outgoing[] = [];
  #isGoing = false;

  private constructor(store: string, say: (text: string) => void) {
    this.#store = store;
    this.#say = say;
  }

  /**
   * Makes the sinks of a store, which wait until they can go. Throws TapioError('usage') where one makes no sense, and
   * then there are none.
   */
  static async open(
    store: string,
    sinks: readonly SinkSettings[],
    say: (text: string) => void,
  ): Promise<Outboxes> {
    const self = new Outboxes(store, say);
    await self.configure(sinks);
    return self;
  }

  /** The recorder can be followed now. */
  go(): void {
    this.#isGoing = true;
    for (const one of this.#all) one.go();
  }

  /** How each is, as far as it has said. */
  get statuses(): SinkStatus[] {
    return this.#all.flatMap(({ status }) => (status === null ? [] : [status]));
  }

  /**
   * Puts others in their place: those whose settings stay go on. Throws TapioError('usage') where one makes no sense,
   * and then nothing has changed.
   */
  async configure(sinks: readonly SinkSettings[]): Promise<void> {
    const same = (a: SinkSettings, b: SinkSettings): boolean =>
      JSON.stringify(a) === JSON.stringify(b);
    const stay = this.#all.filter(({ settings }) => sinks.some((one) => same(one, settings)));
    const added = sinks
      .filter((one) => !stay.some(({ settings }) => same(one, settings)))
      .map((one) => new Outgoing(this.#store, one, this.#say));
    const started = await Promise.allSettled(added.map((one) => one.start()));
    const failed = started.find((one) => one.status === 'rejected');
    if (failed !== undefined) {
      await Promise.all(added.map((one) => one.finish(0)));
      throw failed.reason;
    }
    const gone = this.#all.filter((one) => !stay.includes(one));
    // Two threads must not write one checkpoint.
    await Promise.all(gone.map((one) => one.finish(0)));
    this.#all = [...stay, ...added];
    if (this.#isGoing) for (const one of added) one.go();
  }

  /** The recording has ended: each is given so long to send what is left, ms. */
  async finish(ms: number): Promise<void> {
    await Promise.all(this.#all.map((one) => one.finish(ms)));
  }
}
