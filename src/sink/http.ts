// Events to a web server, as batches of lines. A batch that is refused is halved until the event is found that cannot be
// taken: the others go on.

import { type HttpOptions, httpOptions } from './http-options.ts';
import { post } from './http-post.ts';
import { linesOf } from './lines.ts';
import type { OnwardEvent, Outcomes, Sink } from './sink.ts';

/** Batches that may wait for each that is under way. */
const BATCHES_AHEAD = 3;
const CLOSE_MS = 5000;
const CLOSED = 'the sink was closed';

interface Queued {
  readonly event: OnwardEvent;
  readonly bytes: number;
}

/** A sink for `http://` and `https://` URLs. */
export async function makeHttp(url: URL, outcomes: Outcomes, closeMs = CLOSE_MS): Promise<Sink> {
  return new HttpSink(httpOptions(url), outcomes, closeMs);
}

class HttpSink implements Sink {
  readonly place: string;
  readonly window: number;
  readonly #options: HttpOptions;
  readonly #outcomes: Outcomes;
  readonly #closeMs: number;
  readonly #ended = new AbortController();
  #queue: Queued[] = [];
  #queuedBytes = 0;
  /** Parts of batches that were refused; they go first, so that events keep about their order. */
  #parts: (readonly OnwardEvent[])[] = [];
  #running = 0;
  #linger: NodeJS.Timeout | undefined;
  /** What is queued goes now, however little it is. */
  #isDue = false;
  /** Until when the receiver wants to hear nothing, and why. */
  #hold = { until: 0, reason: '' };
  #isClosed = false;
  #idle: (() => void) | null = null;

  constructor(options: HttpOptions, outcomes: Outcomes, closeMs: number) {
    this.place = options.place;
    this.window = options.batch * options.parallel * (1 + BATCHES_AHEAD);
    this.#options = options;
    this.#outcomes = outcomes;
    this.#closeMs = closeMs;
  }

  send(events: readonly OnwardEvent[]): void {
    const isHeld = performance.now() < this.#hold.until;
    if (this.#isClosed || isHeld) {
      const reason = this.#isClosed ? CLOSED : this.#hold.reason;
      for (const event of events) this.#outcomes.returned(event, reason);
      return;
    }
    for (const event of events) {
      const bytes = event.json.length + 1;
      this.#queue.push({ event, bytes });
      this.#queuedBytes += bytes;
    }
    this.#linger ??= setTimeout(() => {
      this.#isDue = true;
      this.#pump();
    }, this.#options.lingerMs);
    this.#pump();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isDue = true;
    this.#pump();
    if (this.#running > 0) {
      const idle = new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
      const timer = setTimeout(() => {
        this.#returnQueued(CLOSED);
        this.#ended.abort();
      }, this.#closeMs);
      await idle;
      clearTimeout(timer);
    }
    clearTimeout(this.#linger);
    this.#options.agent.destroy();
  }

  /** Sends what is to go now. */
  #pump(): void {
    while (this.#running < this.#options.parallel) {
      const batch = this.#parts.pop() ?? this.#takeBatch();
      if (batch === null) break;
      this.#running++;
      void this.#post(batch);
    }
    if (this.#running === 0 && this.#queue.length === 0) this.#idle?.();
  }

  /** The next batch, or null where it may yet grow. */
  #takeBatch(): OnwardEvent[] | null {
    const { batch, bytes: most } = this.#options;
    if (this.#queue.length === 0) return null;
    if (!this.#isDue && this.#queue.length < batch && this.#queuedBytes < most) return null;
    const events: OnwardEvent[] = [];
    let bytes = 0;
    for (const one of this.#queue) {
      if (events.length === batch || (events.length > 0 && bytes + one.bytes > most)) break;
      events.push(one.event);
      bytes += one.bytes;
    }
    this.#queue = this.#queue.slice(events.length);
    this.#queuedBytes -= bytes;
    if (this.#queue.length === 0) this.#rest();
    return events;
  }

  /** Nothing is queued. */
  #rest(): void {
    clearTimeout(this.#linger);
    this.#linger = undefined;
    this.#isDue = this.#isClosed;
  }

  async #post(batch: readonly OnwardEvent[]): Promise<void> {
    const lines = linesOf(batch);
    const { kind, reason, holdMs } = await post(this.#options, lines, this.#ended.signal);
    this.#running--;
    if (kind === 'taken') {
      for (const event of batch) this.#outcomes.taken(event);
    } else if (kind === 'later') {
      const until = performance.now() + holdMs;
      if (until > this.#hold.until) this.#hold = { until, reason };
      const told = this.#ended.signal.aborted ? CLOSED : reason;
      for (const event of batch) this.#outcomes.returned(event, told);
      // Those that wait would meet the same.
      this.#returnQueued(told);
    } else if (batch.length === 1) {
      for (const event of batch) this.#outcomes.refused(event, reason);
    } else {
      const half = Math.ceil(batch.length / 2);
      this.#parts.push(batch.slice(half), batch.slice(0, half));
    }
    this.#pump();
  }

  #returnQueued(reason: string): void {
    const events = [...this.#parts.flat(), ...this.#queue.map(({ event }) => event)];
    [this.#parts, this.#queue, this.#queuedBytes] = [[], [], 0];
    this.#rest();
    for (const event of events) this.#outcomes.returned(event, reason);
  }
}
