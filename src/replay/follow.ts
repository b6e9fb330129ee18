// A recording as it goes on: what is stored, then what comes. The seam is the seq: the live ring is read from
// before the store is, so that rows which both have are told apart by it. Where the ring went round before
// it was read, the store has what it had.

import { setImmediate, setTimeout } from 'node:timers/promises';
import type { EventType } from '../../schemas/arrow.ts';
import { EVENT_TYPES } from '../../schemas/arrow.ts';
import { TapioError } from '../errors.ts';
import { countText as count } from '../event/count-text.ts';
import type { EventRun, EventSource, RowOrigin } from '../event/stream.ts';
import { missingFrom, whatIsMissing } from '../query/completeness.ts';
import { inOrder, type Run, seqsOf } from '../query/order.ts';
import { plan, planOf } from '../query/plan.ts';
import { type Limit, Reading } from '../query/reading.ts';
import { Scanner } from '../query/scanner.ts';
import type { Selection } from '../query/select.ts';
import type { Segment } from '../segment/reader.ts';
import { type OpenedStore, openStore } from '../segment/store.ts';
import { LiveRingReader, type Seen } from './live.ts';

/** What a recorder gives to who follows it. */
export interface LiveDoor {
  /** Path of the live ring. */
  readonly ring: string;
  readonly origin: RowOrigin;
  /** The first seq that the recorder gave since it last went back to a commit, or was started. */
  readonly firstSeq: bigint;
  /** False once the recorder has hung up. */
  readonly isOpen: boolean;
  close(): void;
}

export interface FollowOptions {
  readonly store: string;
  readonly selection: Selection;
  /** Which of the stored rows. */
  readonly limit: Limit;
  readonly columns: (type: EventType) => readonly string[];
  /** Registers with the recorder. Throws TapioError('not_running') where there is none. */
  readonly connect: () => Promise<LiveDoor>;
  /** Has every row made durable that there is. */
  readonly flush: () => Promise<unknown>;
  /** Told what the reader of the stream should know, in sentences. */
  readonly say: (text: string) => void;
  /** Ends the stream. */
  readonly signal: AbortSignal;
}

/** How often an idle ring is looked at, ms: the more seldom, the longer nothing came. */
const IDLE_MS_MIN = 1;
const IDLE_MS_MAX = 32;
/** Time between tries to reach a recorder that has gone, ms. */
const RECONNECT_MS = 200;
/** A store that cannot be written is not waited for any longer, ms. */
const FLUSH_MS_MAX = 5000;

/** Up to which seq a recording is in the store; 0n where it is not. */
function throughOf(segments: readonly Segment[]): bigint {
  const lines = segments.map(({ commits }) => commits?.last?.through_seq ?? 0);
  return BigInt(Math.max(0, ...lines));
}

/** Rows after `after` up to `through` that no segment of the recording has. */
function unheld(segments: readonly Segment[], after: bigint, through: bigint): bigint {
  const spans = segments.flatMap((segment) => {
    const infos = EVENT_TYPES.flatMap((type) => segment.batches(type));
    const first = infos.reduce((a, { firstSeq }) => (firstSeq < a ? firstSeq : a), through + 1n);
    const last = infos.reduce((a, { lastSeq }) => (lastSeq > a ? lastSeq : a), 0n);
    return last > after ? [{ first, last }] : [];
  });
  spans.sort((a, b) => (a.first < b.first ? -1 : 1));
  let [at, missing] = [after, 0n];
  for (const { first, last } of spans) {
    if (first > at + 1n) missing += first - at - 1n;
    if (last > at) at = last;
  }
  return through > at ? missing + (through - at) : missing;
}

/** Follows the recording of a store. */
export class Follow implements EventSource {
  readonly #options: FollowOptions;
  /** Up to which row all was given. */
  #recording = '';
  #seq = 0n;
  /** Largest ktime that was given. */
  #newest = 0n;
  #seen: Seen = { seq: 0n, ktime: 0n };

  constructor(options: FollowOptions) {
    this.#options = options;
  }

  async *events(from: bigint | null = null): AsyncGenerator<readonly EventRun[]> {
    const { selection } = this.#options;
    const since = from === null || (selection.since ?? from) > from ? selection.since : from;
    yield* this.#follow({ ...selection, since });
  }

  async *#follow(selection: Selection): AsyncGenerator<readonly EventRun[]> {
    const { connect, columns, say, signal } = this.#options;
    let door = await connect();
    for (let first = true; ; first = false) {
      let reader: LiveRingReader | null = null;
      try {
        this.#goBack(door);
        reader = new LiveRingReader(door.ring, door.origin, selection, columns, this.#seen);
        await this.#attach(reader, door);
        await this.#flush(door);
        if (first) yield* this.#past(selection, door.origin.recording);
        else yield* this.#since(selection, door.origin.recording);
        yield* this.#live(reader, door, selection);
      } catch (error) {
        // The ring went with its recorder before it could be opened.
        if (first || door.isOpen || !(error instanceof TapioError)) throw error;
      } finally {
        reader?.close();
        door.close();
      }
      if (signal.aborted) return;
      say('the recorder has ended: waiting for it to come back (Ctrl-C ends this)');
      const next = await this.#reconnect();
      if (next === null) return;
      door = next;
      say('the recorder is back');
    }
  }

  /** Where a recorder goes on from a commit behind what was given, that comes again: it is known by its ktime. */
  #goBack({ origin: { recording }, firstSeq }: LiveDoor): void {
    if (recording !== this.#recording) this.#seen = { seq: 0n, ktime: 0n };
    else if (firstSeq <= this.#seq) {
      this.#seen = { seq: this.#seq, ktime: this.#newest };
      this.#seq = firstSeq - 1n;
    }
  }

  /** Waits until every row to come goes to the ring. */
  async #attach(reader: LiveRingReader, door: LiveDoor): Promise<void> {
    while (!reader.attached && door.isOpen && !this.#options.signal.aborted)
      await this.#sleep(IDLE_MS_MIN);
  }

  async #flush(door: LiveDoor): Promise<void> {
    if (!door.isOpen) return;
    const flushed = this.#options.flush().catch((error) => {
      if (!(error instanceof TapioError)) throw error;
    });
    await Promise.race([flushed, this.#sleep(FLUSH_MS_MAX)]);
  }

  /** The stored rows that were asked for. */
  async *#past(selection: Selection, recording: string): AsyncGenerator<readonly EventRun[]> {
    const { store, limit, columns, say, signal } = this.#options;
    const opened = openStore(store);
    try {
      const rows = Reading.of(opened, selection).rows(limit, (type) => [
        'seq',
        'ts',
        ...columns(type),
      ]);
      for await (const run of rows) {
        if (signal.aborted) return;
        if (run.block.segment.header.recording === recording) this.#noteTime(run);
        yield [run];
      }
      this.#seq = throughOf(segmentsOf(opened, recording));
      this.#recording = recording;
      // What was lost long ago is no news to who asked for some rows only.
      if (limit.last === null) for (const text of missingFrom(opened, selection)) say(text);
    } finally {
      close(opened);
    }
  }

  /** Stored rows after those that were given, of that recording and of all that began since. */
  async *#since(selection: Selection, recording: string): AsyncGenerator<readonly EventRun[]> {
    const opened = openStore(this.#options.store);
    try {
      const ids = [...new Set(opened.segments.map(({ header }) => header.recording))];
      // One of which nothing is held any more is passed over.
      const later = ids.slice(Math.max(0, ids.indexOf(this.#recording)));
      for (const id of new Set([...later.filter((one) => one !== recording), recording])) {
        if (id !== this.#recording) {
          this.#options.say('a new recording begins: seq starts anew');
          [this.#recording, this.#seq] = [id, 0n];
        }
        yield* this.#rest(opened, selection);
      }
    } finally {
      close(opened);
    }
  }

  /** Stored rows of the recording after those that were given. */
  async *#rest(opened: OpenedStore, selection: Selection): AsyncGenerator<readonly EventRun[]> {
    const { columns, say, signal } = this.#options;
    const segments = segmentsOf(opened, this.#recording);
    const [after, through] = [this.#seq, throughOf(segments)];
    if (through <= after) return;
    const whole = plan(segments, selection);
    const decision = planOf(whole, ({ info }) => info.lastSeq > after);
    const missing = unheld(segments, after, through);
    if (missing > 0n)
      say(`${count(missing)} rows are missed: the store does not hold them any more`);
    for await (const run of inOrder(new Scanner(decision), decision, columns)) {
      if (signal.aborted) return;
      const parts = this.#unseen(behind(run, after));
      this.#noteTime(run);
      if (parts.length > 0) yield parts;
    }
    for (const text of whatIsMissing(
      [],
      segments.flatMap((s) => s.problems),
      selection,
    ))
      say(text);
    this.#seq = through;
  }

  /** Rows of the ring, until the recorder has hung up and all is read. */
  async *#live(
    reader: LiveRingReader,
    door: LiveDoor,
    selection: Selection,
  ): AsyncGenerator<readonly EventRun[]> {
    const { signal } = this.#options;
    let idleMs = IDLE_MS_MIN;
    while (!signal.aborted) {
      // Asked before the ring is read: what was written before it hung up is read then.
      const { isOpen } = door;
      const { through, gapUntil, newest, runs } = reader.read(this.#seq);
      if (gapUntil > 0n) yield* this.#fill(door, selection, gapUntil);
      else if (through > this.#seq) {
        this.#seq = through;
        if (newest > this.#newest) this.#newest = newest;
        idleMs = IDLE_MS_MIN;
        if (runs.length > 0) yield runs;
        await setImmediate();
      } else if (isOpen) {
        await this.#sleep(idleMs);
        idleMs = Math.min(idleMs * 2, IDLE_MS_MAX);
      } else return;
    }
  }

  /** Rows before `until` that the ring does not have any more. */
  async *#fill(
    door: LiveDoor,
    selection: Selection,
    until: bigint,
  ): AsyncGenerator<readonly EventRun[]> {
    const { store, say, signal } = this.#options;
    await this.#flush(door);
    const opened = openStore(store);
    try {
      yield* this.#rest(opened, selection);
    } finally {
      close(opened);
    }
    if (signal.aborted || this.#seq + 1n >= until) return;
    say(`${count(until - this.#seq - 1n)} rows are missed: neither ring nor store holds them`);
    this.#seq = until - 1n;
  }

  /** The parts of a run that were not given before. */
  #unseen(run: EventRun | null): EventRun[] {
    if (run === null) return [];
    const { seq: seenSeq, ktime: seenKtime } = this.#seen;
    const { block, from, to } = run;
    const seqs = seqsOf(block);
    if ((seqs[from] as bigint) > seenSeq) return [run];
    const ts = block.columns.get('ts');
    const runs: EventRun[] = [];
    for (let row = from; row < to; row++) {
      const ktime = (ts?.get(row) as bigint) - block.tsOffset;
      if ((seqs[row] as bigint) > seenSeq || ktime > seenKtime)
        runs.push({ block, from: row, to: row + 1 });
    }
    return runs;
  }

  /** Notes how far the batch of a run reaches: all of it is given before anything else. */
  #noteTime({ block: { info, segment } }: Run): void {
    const ktime = info.lastTs - segment.tsOffset;
    if (ktime > this.#newest) this.#newest = ktime;
  }

  /** Null where the stream was ended meanwhile. */
  async #reconnect(): Promise<LiveDoor | null> {
    const { connect, signal } = this.#options;
    while (!signal.aborted) {
      try {
        return await connect();
      } catch (error) {
        if (!(error instanceof TapioError) || error.code !== 'not_running') throw error;
      }
      await this.#sleep(RECONNECT_MS);
    }
    return null;
  }

  /** Sleeps; less long where the stream is ended meanwhile. */
  async #sleep(ms: number): Promise<void> {
    await setTimeout(ms, null, { signal: this.#options.signal }).catch(() => {});
  }
}

/** The part of a run behind a seq; null where there is none. */
function behind(run: EventRun, after: bigint): EventRun | null {
  const seqs = seqsOf(run.block);
  let { from } = run;
  while (from < run.to && (seqs[from] as bigint) <= after) from++;
  return from === run.to ? null : { ...run, from };
}

function segmentsOf({ segments }: OpenedStore, recording: string): Segment[] {
  return segments.filter(({ header }) => header.recording === recording);
}

function close({ segments }: OpenedStore): void {
  for (const segment of segments) segment.close();
}
