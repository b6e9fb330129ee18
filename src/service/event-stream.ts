// Rows of a store and its recorder as a stream that can end, go on and be taken up again, with what it lacks.

import type { EventType } from '../../schemas/arrow.ts';
import { countText } from '../event/count-text.ts';
import { missingFrom, touches } from '../query/completeness.ts';
import type { Selection } from '../query/select.ts';
import type { LiveDoor } from '../replay/door.ts';
import { Follow, type MissedRows, type Resume } from '../replay/follow.ts';
import type { LossRow } from '../segment/reader.ts';
import { openStore } from '../segment/store.ts';
import type { RowStream, StreamPart } from './row-stream.ts';
import type { ResumePoint } from './token.ts';

export interface EventStreamOptions {
  readonly store: string;
  /** With its window; `since` null: from now on. */
  readonly selection: Selection;
  readonly from: ResumePoint | null;
  readonly columns: (type: EventType) => readonly string[];
  /** Rows may come as messages, without columns. */
  readonly asMessages: boolean;
  /** Registers with the recorder. Throws TapioError('not_running') where there is none. */
  readonly connect: () => Promise<LiveDoor>;
  /** Has every row made durable that there is. */
  readonly flush: () => Promise<unknown>;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** ns since 1970. */
  readonly now: () => bigint;
  /** Waits so many ms, or until the signal. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

const NS_PER_MS = 1_000_000n;
/** A row is in the store this long after it happened at the latest, but for a disk that fails, ms. */
const SETTLED_MS = 1500;
/** How often it is looked whether all of a window was given, ms. */
const LOOK_MS = 20;
/** Losses that are known to have been told. */
const TOLD_MAX = 10_000;

/** A stream of rows. */
export class EventStream implements Resume, RowStream {
  readonly end = new AbortController().signal;
  readonly #options: EventStreamOptions;
  readonly #selection: Selection;
  readonly #follow: Follow;
  readonly #over = new AbortController();
  readonly #missed: MissedRows[] = [];
  readonly #losses: LossRow[] = [];
  /** Losses that were told, the latest at the end: a segment may be gone through more than once. */
  readonly #told = new Set<string>();
  /** What was missed since the stream began. */
  #missedRows = 0n;
  #door: LiveDoor | null = null;
  #ends: ReadonlyMap<string, bigint> = new Map();
  /** Where it goes on, or where it began as nobody said. */
  readonly #from: ResumePoint | null;

  constructor(options: EventStreamOptions) {
    const { store, selection, columns, asMessages, connect, flush, signal, now, from } = options;
    this.#options = options;
    this.#from = from;
    // What a policy says of how far back holds for who goes on as well.
    const since = from === null ? (selection.since ?? now()) : selection.since;
    this.#selection = { ...selection, since };
    signal.addEventListener('abort', () => this.#over.abort(), { once: true });
    if (signal.aborted) this.#over.abort();
    this.#follow = new Follow({
      store,
      selection: this.#selection,
      limit: { first: null, last: null },
      resume: this,
      columns,
      asMessages,
      connect: async () => {
        this.#door = await connect();
        return this.#door;
      },
      flush,
      say: () => {},
      signal: this.#over.signal,
    });
  }

  /** The parts, in order, until the window or the stream ends. */
  async *parts(): AsyncGenerator<StreamPart> {
    const { until } = this.#selection;
    if (until !== null) void this.#endAt(until);
    for await (const runs of this.#follow.events()) {
      yield* this.#lacks();
      if (runs.length > 0) yield { kind: 'rows', runs };
    }
    yield* this.#lacks();
  }

  *#lacks(): Generator<StreamPart> {
    for (const missed of this.#missed.splice(0)) yield { kind: 'missed', missed };
    const losses = this.#losses.splice(0);
    if (losses.length > 0) yield { kind: 'losses', losses };
  }

  /** Where another stream goes on: behind what was given, as far as that is durable. */
  get resumePoint(): ResumePoint {
    const { recording, seq, committed } = this.#follow.position;
    return { recording, seq: seq < committed ? seq : committed };
  }

  /** One sentence for each thing that the stream lacks; none where it is complete. */
  incomplete(): string[] {
    const opened = openStore(this.#options.store);
    try {
      const lost = missingFrom(opened, this.#selection);
      const rows = this.#missedRows;
      return rows === 0n
        ? lost
        : [`incomplete: ${countText(rows)} rows were not held any more`, ...lost];
    } finally {
      for (const segment of opened.segments) segment.close();
    }
  }

  held(recordings: ReadonlyMap<string, bigint>): void {
    this.#ends = recordings;
  }

  through(recording: string): bigint {
    const from = this.#from;
    if (from === null) return 0n;
    const ids = [...this.#ends.keys()];
    const [here, there] = [ids.indexOf(recording), ids.indexOf(from.recording)];
    // What came before the recording that it goes on in was had.
    if (there >= 0 && here < there) return this.#ends.get(recording) ?? 0n;
    if (recording !== from.recording) return 0n;
    const end = this.#ends.get(recording) ?? 0n;
    return from.seq < end ? from.seq : end;
  }

  missed(rows: MissedRows): void {
    // What went before the first row that is held lies before what is asked of it now.
    if (this.#from === null && rows.first === 1n) return;
    this.#missed.push(rows);
    this.#missedRows += rows.rows;
  }

  lost(losses: readonly LossRow[]): void {
    for (const loss of losses) {
      if (loss.stage === 'clock' || !touches(loss, this.#selection)) continue;
      const name = Object.values(loss).join(' ');
      if (this.#told.has(name)) continue;
      this.#told.add(name);
      this.#losses.push(loss);
    }
    for (const name of this.#told) {
      if (this.#told.size <= TOLD_MAX) break;
      this.#told.delete(name);
    }
  }

  wentBack(): void {}

  /** Ends the stream when every row of its window is there. */
  async #endAt(until: bigint): Promise<void> {
    const { now, sleep, flush } = this.#options;
    const { signal } = this.#over;
    const leftMs = Number((until - now()) / NS_PER_MS) + SETTLED_MS;
    if (leftMs > 0) await sleep(leftMs, signal);
    await flush().catch(() => {});
    while (!signal.aborted) {
      const { recording, seq, committed } = this.#follow.position;
      const end = this.#ends.get(recording) ?? 0n;
      const isLast = recording === this.#door?.origin.recording;
      if (isLast && seq >= committed && seq >= end) break;
      await sleep(LOOK_MS, signal);
    }
    this.#over.abort();
  }
}
