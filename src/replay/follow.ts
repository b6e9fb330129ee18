// A recording as it goes on: what is stored, then what comes. The seam is the seq: the live ring is read from
// before the store is, so that rows which both have are told apart by it. Where the ring went round before
// it was read, the store has what it had.

import { setImmediate, setTimeout } from 'node:timers/promises';
import type { EventType } from '../../schemas/arrow.ts';
import { EVENT_TYPES } from '../../schemas/arrow.ts';
import { TapioError } from '../errors.ts';
import { countText as count } from '../event/count-text.ts';
import { type EventRun, type EventSource, rowsIn } from '../event/stream.ts';
import { missingFrom, whatIsMissing } from '../query/completeness.ts';
import { piecesInOrder, type Run, seqsOf } from '../query/order.ts';
import { plan, planOf } from '../query/plan.ts';
import { type Limit, Reading } from '../query/reading.ts';
import { Scanner } from '../query/scanner.ts';
import type { Selection } from '../query/select.ts';
import type { LossRow, Segment } from '../segment/reader.ts';
import { type OpenedStore, openStore } from '../segment/store.ts';
import type { LiveDoor } from './door.ts';
import { LiveRingReader, type Seen } from './live.ts';

/** Seqs of one recording that follow one another, both inclusive. */
export interface MissedRows {
  readonly recording: string;
  readonly first: bigint;
  readonly last: bigint;
  /** How many of them are missed. */
  readonly rows: bigint;
  readonly why: string;
}

/**
 * What a reader knows of what it had before: it wants every row behind that, of all recordings that the store
 * holds, and takes one that comes twice.
 */
export interface Resume {
  /** What the store holds: recordings in order, and the last seq of each. Told whenever it was looked at. */
  held(recordings: ReadonlyMap<string, bigint>): void;
  /** Seq up to which it had a recording's rows; asked as that recording comes up. */
  through(recording: string): bigint;
  /** Rows that nobody holds any more. */
  missed(rows: MissedRows): void;
  /** What the recorder wrote down as lost; of what is stored, each time that its segment is gone through. */
  lost?(losses: readonly LossRow[]): void;
  /** The recorder went back to a commit: the rows behind that come again, or others in their place. */
  wentBack(recording: string, through: bigint): void;
  /** Once this is aborted, the stream ends where the recorder has, with all that the store holds. */
  readonly end: AbortSignal;
}

/** How far a stream is. */
export interface Position {
  readonly recording: string;
  /** Every row up to this one that is wanted was given. */
  readonly seq: bigint;
  /** Every row up to this one is durable. */
  readonly committed: bigint;
}

export interface FollowOptions {
  readonly store: string;
  readonly selection: Selection;
  /** Which of the stored rows; nothing to who resumes. */
  readonly limit: Limit;
  readonly resume?: Resume;
  readonly columns: (type: EventType) => readonly string[];
  /** Rows of the live ring come as messages: see EncodedBlock. */
  readonly asMessages?: boolean;
  /** Registers with the recorder. Throws TapioError('not_running') where there is none. */
  readonly connect: () => Promise<LiveDoor>;
  /** Has every row made durable that there is. */
  readonly flush: () => Promise<unknown>;
  /** Told what the reader of the stream should know, in sentences. */
  readonly say: (text: string) => void;
  /** Ends the stream. */
  readonly signal: AbortSignal;
}

/**
 * How often the ring is looked at, ms: the more seldom, the longer nothing came. A look costs as much as some hundred rows,
 * most of it the waking.
 */
const LOOK_MS_MIN = 12;
const LOOK_MS_MAX = 32;
/** How often it is looked whether the recorder writes there, ms. */
const ATTACH_MS = 1;
/** So many at once are worth looking at again at once. */
const GATHERED = 4096n;
/** Segments that are read before the store is looked at anew: the oldest may go meanwhile. */
const SEGMENTS_AT_ONCE = 8;
/** Stored rows that are given at once: giving costs more than reading one. */
const STORED_ROWS = 4096;
/** Time between tries to reach a recorder that has gone, ms. */
const RECONNECT_MS = 200;
/** A store that cannot be written is not waited for any longer, ms. */
const FLUSH_MS_MAX = 5000;

/** Up to which seq a recording is in the store; 0n where it is not. */
function throughOf(segments: readonly Segment[]): bigint {
  const lines = segments.map(({ commits }) => commits?.last?.through_seq ?? 0);
  return BigInt(Math.max(0, ...lines));
}

interface Gap {
  readonly first: bigint;
  readonly last: bigint;
}

/** Seqs after `after` up to `through` that no segment of the recording has. */
function unheld(segments: readonly Segment[], after: bigint, through: bigint): Gap[] {
  const spans = segments.flatMap((segment) => {
    const infos = EVENT_TYPES.flatMap((type) => segment.batches(type));
    const first = infos.reduce((a, { firstSeq }) => (firstSeq < a ? firstSeq : a), through + 1n);
    const last = infos.reduce((a, { lastSeq }) => (lastSeq > a ? lastSeq : a), 0n);
    return last > after ? [{ first, last }] : [];
  });
  spans.sort((a, b) => (a.first < b.first ? -1 : 1));
  const gaps: Gap[] = [];
  let at = after;
  for (const { first, last } of [...spans, { first: through + 1n, last: through }]) {
    if (first > at + 1n) gaps.push({ first: at + 1n, last: first - 1n });
    if (last > at) at = last;
  }
  return gaps;
}

const lengthOf = ({ first, last }: Gap): bigint => last - first + 1n;

/** Follows the recording of a store. */
export class Follow implements EventSource {
  readonly #options: FollowOptions;
  /** Up to which row all was given. */
  #recording = '';
  #seq = 0n;
  /** Largest ktime that was given. */
  #newest = 0n;
  #seen: Seen = { seq: 0n, ktime: 0n };
  /** As far as the store was seen to have it. */
  #committed = 0n;
  #door: LiveDoor | null = null;

  constructor(options: FollowOptions) {
    this.#options = options;
  }

  async *events(from: bigint | null = null): AsyncGenerator<readonly EventRun[]> {
    const { selection } = this.#options;
    const since = from === null || (selection.since ?? from) > from ? selection.since : from;
    yield* this.#follow({ ...selection, since });
  }

  /** How far it is: what it has given counts, once the next is asked for. */
  get position(): Position {
    const [recording, seq] = [this.#recording, this.#seq];
    const told = this.#door?.origin.recording === recording ? this.#door.committed : 0n;
    return { recording, seq, committed: told > this.#committed ? told : this.#committed };
  }

  async *#follow(selection: Selection): AsyncGenerator<readonly EventRun[]> {
    const { connect, columns, resume, signal } = this.#options;
    let door = resume === undefined ? await connect() : await this.#reconnect();
    for (let first = resume === undefined; door !== null; first = false) {
      let reader: LiveRingReader | null = null;
      this.#door = door;
      try {
        this.#goBack(door);
        const { asMessages } = this.#options;
        const { ring, origin } = door;
        reader = new LiveRingReader(ring, origin, selection, columns, this.#seen, asMessages);
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
      this.#tell('the recorder has ended: waiting for it to come back (Ctrl-C ends this)');
      door = await this.#reconnect();
      if (door !== null) this.#tell('the recorder is back');
    }
    if (resume !== undefined && !signal.aborted) yield* this.#since(selection, null);
  }

  /** Says what only who watches wants to hear. */
  #tell(text: string): void {
    if (this.#options.resume === undefined) this.#options.say(text);
  }

  /** Where a recorder goes on from a commit behind what was given, that comes again: it is known by its ktime. */
  #goBack({ origin: { recording }, firstSeq }: LiveDoor): void {
    const { resume } = this.#options;
    if (recording !== this.#recording) this.#seen = { seq: 0n, ktime: 0n };
    else if (firstSeq <= this.#seq) {
      // A late row may not be late when it comes again: who must miss none is given all of them.
      if (resume === undefined) this.#seen = { seq: this.#seq, ktime: this.#newest };
      this.#seq = firstSeq - 1n;
      resume?.wentBack(recording, this.#seq);
    }
  }

  /** Waits until every row to come goes to the ring. */
  async #attach(reader: LiveRingReader, door: LiveDoor): Promise<void> {
    while (!reader.attached && door.isOpen && !this.#options.signal.aborted)
      await this.#sleep(ATTACH_MS);
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

  /**
   * Stored rows after those that were given, of all recordings that began since; of `recording`, which goes on,
   * at last.
   */
  async *#since(
    selection: Selection,
    recording: string | null,
  ): AsyncGenerator<readonly EventRun[]> {
    const { resume, signal } = this.#options;
    const held = this.#held();
    resume?.held(held);
    const ids = [...held.keys()];
    // One of which nothing is held any more is passed over.
    const later = ids.slice(Math.max(0, ids.indexOf(this.#recording)));
    const last = recording === null ? [] : [recording];
    for (const id of new Set([...later.filter((one) => one !== recording), ...last])) {
      if (id !== this.#recording) {
        this.#tell('a new recording begins: seq starts anew');
        [this.#recording, this.#seq] = [id, resume?.through(id) ?? 0n];
        this.#committed = 0n;
      }
      yield* this.#rest(selection);
      if (signal.aborted) return;
    }
  }

  /** Recordings that the store holds, in order, and the last seq of each. */
  #held(): Map<string, bigint> {
    const opened = openStore(this.#options.store);
    try {
      const byId = Map.groupBy(opened.segments, ({ header }) => header.recording);
      return new Map([...byId].map(([id, segments]) => [id, throughOf(segments)]));
    } finally {
      close(opened);
    }
  }

  /** Stored rows of the recording after those that were given. */
  async *#rest(selection: Selection): AsyncGenerator<readonly EventRun[]> {
    for (let isAll = false; !isAll && !this.#options.signal.aborted; ) {
      const opened = openStore(this.#options.store);
      try {
        const after = this.#seq;
        const own = segmentsOf(opened, this.#recording).filter((one) => throughOf([one]) > after);
        yield* this.#pass(own.slice(0, SEGMENTS_AT_ONCE), selection);
        isAll = own.length <= SEGMENTS_AT_ONCE;
      } finally {
        close(opened);
      }
    }
  }

  /** Rows of these segments after those that were given. */
  async *#pass(
    segments: readonly Segment[],
    selection: Selection,
  ): AsyncGenerator<readonly EventRun[]> {
    const { columns, signal } = this.#options;
    const [after, through] = [this.#seq, throughOf(segments)];
    if (through <= after) return;
    this.#committed = through;
    this.#options.resume?.lost?.(segments.flatMap((segment) => segment.losses()));
    const whole = plan(segments, selection);
    const decision = planOf(whole, ({ info }) => info.lastSeq > after);
    this.#miss(unheld(segments, after, through), 'the store does not hold them any more');
    let some: EventRun[] = [];
    let rows = 0;
    for await (const runs of piecesInOrder(new Scanner(decision), decision, columns)) {
      if (signal.aborted) return;
      for (const run of runs) {
        const parts = this.#unseen(behind(run, after));
        this.#noteTime(run);
        some.push(...parts);
        rows += rowsIn(parts);
      }
      if (rows < STORED_ROWS) continue;
      yield some;
      some = [];
      rows = 0;
    }
    if (rows > 0) yield some;
    this.#tellLeftOut(segments, selection);
    this.#seq = through;
    yield [];
  }

  /** Rows that cannot be had from anywhere. */
  #miss(gaps: readonly Gap[], why: string): void {
    const { resume, say } = this.#options;
    const recording = this.#recording;
    for (const gap of gaps) resume?.missed({ recording, ...gap, rows: lengthOf(gap), why });
    const rows = gaps.reduce((sum, gap) => sum + lengthOf(gap), 0n);
    if (rows > 0n && resume === undefined) say(`${count(rows)} rows are missed: ${why}`);
  }

  /** Batches that could not be read, though they are there, or were. */
  #tellLeftOut(segments: readonly Segment[], selection: Selection): void {
    const { resume, say } = this.#options;
    for (const segment of segments) {
      for (const text of whatIsMissing([], segment.problems, selection)) {
        if (resume === undefined) say(text);
      }
      for (const { segment: name, text, rows, seqs } of segment.problems) {
        if (resume === undefined || rows === null || seqs === undefined) continue;
        const why = `${name}/${text}`;
        resume.missed({ recording: this.#recording, ...seqs, rows: BigInt(rows), why });
      }
    }
  }

  /** Rows of the ring, until the recorder has hung up and all is read. */
  async *#live(
    reader: LiveRingReader,
    door: LiveDoor,
    selection: Selection,
  ): AsyncGenerator<readonly EventRun[]> {
    const { signal } = this.#options;
    let lookMs = LOOK_MS_MIN;
    while (!signal.aborted) {
      // Asked before the ring is read: what was written before it hung up is read then.
      const { isOpen } = door;
      const before = this.#seq;
      if (this.#hearLosses(door)) yield [];
      const { through, gapUntil, newest, runs } = reader.read(before);
      if (gapUntil > 0n) yield* this.#fill(door, selection, gapUntil);
      else if (through > this.#seq) {
        this.#seq = through;
        if (newest > this.#newest) this.#newest = newest;
        lookMs = LOOK_MS_MIN;
        yield runs;
        if (through - before < GATHERED) await this.#sleep(LOOK_MS_MIN);
        else await setImmediate();
      } else if (isOpen) {
        await this.#sleep(lookMs);
        lookMs = Math.min(lookMs * 2, LOOK_MS_MAX);
      } else return;
    }
  }

  /** True where there are some. */
  #hearLosses(door: LiveDoor): boolean {
    const losses = door.takeLosses();
    if (losses.length > 0) this.#options.resume?.lost?.(losses);
    return losses.length > 0;
  }

  /** Rows before `until` that the ring does not have any more. */
  async *#fill(
    door: LiveDoor,
    selection: Selection,
    until: bigint,
  ): AsyncGenerator<readonly EventRun[]> {
    await this.#flush(door);
    yield* this.#rest(selection);
    if (this.#options.signal.aborted || this.#seq + 1n >= until) return;
    const gap = { first: this.#seq + 1n, last: until - 1n };
    this.#miss([gap], 'neither ring nor store holds them');
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
    const { connect, resume, signal } = this.#options;
    while (!signal.aborted && resume?.end.aborted !== true) {
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
  if (from === run.from) return run;
  return from === run.to ? null : { ...run, from };
}

function segmentsOf({ segments }: OpenedStore, recording: string): Segment[] {
  return segments.filter(({ header }) => header.recording === recording);
}

function close({ segments }: OpenedStore): void {
  for (const segment of segments) segment.close();
}
