// One sink of a recording: rows go from the store and the live ring to a receiver. The recording is the queue: nothing
// waits in memory but what is under way.

import { join } from 'node:path';
import type { SinkSettings } from '../config/sinks.ts';
import { type EventRun, inParts } from '../event/stream.ts';
import { parseFilter } from '../query/filter/filter.ts';
import { type Selection, select } from '../query/select.ts';
import { Rates } from '../recorder/rates.ts';
import type { LiveDoor } from '../replay/door.ts';
import { Follow } from '../replay/follow.ts';
import type { StoreFiles } from '../segment/files.ts';
import { DEFAULT_ONWARD_FILTER } from '../unified/mapping.ts';
import { Checkpoint, sinkFolder } from './checkpoint.ts';
import { Delivery } from './delivery.ts';
import { Onward } from './onward.ts';
import { PoisonFile } from './poison.ts';
import { Progress } from './progress.ts';
import type { SinkStatus } from './protocol.ts';
import type { MakeSink, OnwardEvent } from './sink.ts';

/** Rows that are converted at once. */
const ROWS_AT_ONCE = 512;
/** Parts of a second that a limited rate is spread over. */
const PACES = 10;
/** How often what is through is written down, ms. */
const SAVE_MS = 1000;
/** Reasons of refused events that are told; all are in the poison file. */
const REASONS_TOLD = 3;

export interface OutboxOptions {
  readonly store: string;
  readonly settings: SinkSettings;
  readonly files: StoreFiles;
  readonly make: MakeSink;
  /** Registers with the recorder. Throws TapioError('not_running') where there is none. */
  readonly connect: () => Promise<LiveDoor>;
  /** Has every row made durable that there is. */
  readonly flush: () => Promise<unknown>;
  /** Told what its user should know, in sentences. */
  readonly say: (text: string) => void;
  /** Waits so long, or until it ends. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

async function selectionOf(text: string): Promise<Selection> {
  const filter = await parseFilter(text);
  return select({ since: null, until: null, types: [], ops: [], pids: [], comms: [], filter });
}

/** A way from a recording to a receiver. */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #filter: string;
  readonly #checkpoint: Checkpoint;
  readonly #progress: Progress;
  readonly #follow: Follow;
  readonly #delivery: Delivery;
  readonly #poison: PoisonFile;
  readonly #onward: Onward;
  readonly #rates = new Rates();
  readonly #over = new AbortController();
  readonly #finishing = new AbortController();
  readonly #told = new Set<string>();
  #door: LiveDoor | null = null;
  #dueMs = 0;
  #saving: Promise<void> = Promise.resolve();

  private constructor(options: OutboxOptions, selection: Selection, delivery: Delivery) {
    const { files, store, settings, connect, flush, say } = options;
    this.#options = options;
    this.#onward = new Onward({ raw: settings.raw });
    this.#filter = selection.filter?.text ?? '';
    this.#delivery = delivery;
    this.#poison = new PoisonFile(join(sinkFolder(store), `${settings.name}.poison.ndjson`));
    this.#checkpoint = new Checkpoint(files, store, settings.name);
    this.#progress = new Progress({
      checkpoint: this.#checkpoint,
      from: settings.from,
      door: () => this.#door,
      say,
      end: this.#finishing.signal,
    });
    this.#follow = new Follow({
      store,
      selection,
      limit: { first: null, last: null },
      resume: this.#progress,
      columns: (type) => this.#onward.columns(type),
      connect: async () => {
        this.#door = await connect();
        return this.#door;
      },
      flush,
      say,
      signal: this.#over.signal,
    });
  }

  /**
   * Makes a way to what the settings name; the receiver need not be there yet. Throws TapioError('usage') for settings
   * that make no sense, and what the checkpoint throws.
   */
  static async open(options: OutboxOptions): Promise<Outbox> {
    const { settings, make, say, sleep } = options;
    const selection = await selectionOf(settings.filter ?? DEFAULT_ONWARD_FILTER);
    if (selection.types.length === 0) say('no row can match its filter: nothing will be sent');
    const early: { self: Outbox | null } = { self: null };
    const delivery = await Delivery.open({
      make: (outcomes) => make(new URL(settings.url), outcomes),
      settled: (event, refused) => {
        if (early.self !== null) early.self.#settled(event, refused);
      },
      say,
      sleep,
      random: Math.random,
      now: () => performance.now(),
    });
    try {
      early.self = new Outbox(options, selection, delivery);
    } catch (error) {
      await delivery.close();
      throw error;
    }
    return early.self;
  }

  /** Sends what is recorded until it is told to finish, and then what is left. */
  async run(): Promise<void> {
    const timer = setInterval(() => void this.#save(), SAVE_MS);
    try {
      await this.#sendAll();
    } finally {
      clearInterval(timer);
      await this.#delivery.close();
      await this.#save();
      await this.#poison.close();
    }
  }

  /** The recording has ended: what is left is sent, for so long at most. */
  finish(ms: number): void {
    this.#finishing.abort();
    setTimeout(() => this.end(), ms).unref();
  }

  /** Ends it; what is under way is given a moment. */
  end(): void {
    this.#over.abort();
    void this.#delivery.close();
  }

  status(): SinkStatus {
    const { taken, refused, returned } = this.#delivery.counts;
    const lag = this.#progress.lag(this.#follow.position, Date.now());
    return {
      name: this.#options.settings.name,
      place: this.#delivery.place,
      filter: this.#filter,
      trouble: this.#delivery.trouble,
      taken,
      refused,
      returned,
      unmapped: [...this.#onward.unknown.values()].reduce((a, b) => a + b, 0),
      lost: this.#checkpoint.lostRows,
      under_way: this.#delivery.underWay,
      lag_events: lag.events,
      lag_s: lag.seconds,
      rate: Math.round(this.#rates.perSecond().taken ?? 0),
    };
  }

  async #sendAll(): Promise<void> {
    const { rate } = this.#options.settings;
    const rows = rate === null ? ROWS_AT_ONCE : Math.ceil(Math.min(ROWS_AT_ONCE, rate / PACES));
    for await (const runs of this.#follow.events()) {
      for (const part of inParts(runs, rows)) {
        const [first] = part as [EventRun, ...EventRun[]];
        const events = this.#onward.events(part);
        const wanted = this.#progress.take(first.block.origin.recording, events);
        await this.#pace(wanted.length);
        if (!(await this.#delivery.send(wanted))) return;
        if (this.#poison.isFull) await this.#save();
      }
      this.#progress.pass(this.#follow.position);
      this.#tellUnknown();
    }
    await this.#delivery.settle();
  }

  /** Waits until so many events may go. */
  async #pace(events: number): Promise<void> {
    const { settings, sleep } = this.#options;
    if (settings.rate === null) return;
    const now = performance.now();
    const waitMs = this.#dueMs - now;
    this.#dueMs = Math.max(now, this.#dueMs) + (events * 1000) / settings.rate;
    if (waitMs > 0) await sleep(waitMs, this.#over.signal);
  }

  #settled(event: OnwardEvent, refused: string | null): void {
    if (refused === null) {
      this.#progress.settle(event);
      return;
    }
    // It is through once it is in the poison file.
    this.#poison.add(event, refused);
    if (this.#told.size >= REASONS_TOLD) return;
    this.#sayOnce(`event ${event.seq} is refused, and put into its poison file`, refused);
  }

  #tellUnknown(): void {
    for (const name of this.#onward.unknown.keys()) {
      this.#sayOnce(`rows of ${name} are not sent`, 'this version cannot map them');
    }
  }

  /** Says what happened, once for each reason. */
  #sayOnce(text: string, reason: string): void {
    const key = `${text.replace(/\d+/, '')}\0${reason}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    this.#options.say(`${text}: ${reason}`);
  }

  /** Writes down what is through, and what never will be. */
  #save(): Promise<void> {
    this.#saving = this.#saving.then(async () => {
      this.#rates.sample(performance.now(), { taken: this.#delivery.counts.taken });
      try {
        for (const event of await this.#poison.write()) this.#progress.settle(event);
        this.#progress.save(this.#follow.position);
      } catch (error) {
        this.#sayOnce('what is through cannot be written down', (error as Error).message);
      }
    });
    return this.#saving;
  }
}
