// What of a store is through to a sink, what is under way, and what was lost to it: the books of an outbox.

import { countText } from '../event/count-text.ts';
import type { LiveDoor } from '../replay/door.ts';
import type { MissedRows, Position, Resume } from '../replay/follow.ts';
import type { Checkpoint, SinkLoss } from './checkpoint.ts';
import type { SeqRanges } from './seq-ranges.ts';
import type { OnwardEvent } from './sink.ts';

const NS_PER_S = 1e9;

/** What an event that is under way stands for: it, and the rows before it that are not wanted. */
interface Sent {
  readonly ranges: SeqRanges;
  readonly first: number;
}

export interface ProgressOptions {
  readonly checkpoint: Checkpoint;
  /** What a sink begins with that is new. */
  readonly from: 'now' | 'oldest';
  /** The recorder, as it was last reached. */
  readonly door: () => Pick<LiveDoor, 'origin' | 'firstSeq'> | null;
  readonly say: (text: string) => void;
  /** See Resume. */
  readonly end: AbortSignal;
}

/** The books. */
export class Progress implements Resume {
  readonly end: AbortSignal;
  readonly #options: ProgressOptions;
  readonly #checkpoint: Checkpoint;
  /** In the order in which they were sent. */
  readonly #sent = new Map<OnwardEvent, Sent>();
  /** Last seq of each recording of the store, when it was last looked at. */
  #ends: ReadonlyMap<string, number> = new Map();
  #isNew: boolean;
  /** Recordings of which a new sink wants all that is held: what went before was never its own. */
  #wholly: ReadonlySet<string> = new Set();
  /** The row behind the last one that was looked at. */
  #recording = '';
  #next = 1;
  #newestTs = 0n;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#checkpoint = options.checkpoint;
    this.#isNew = options.checkpoint.isNew;
    this.end = options.end;
  }

  held(recordings: ReadonlyMap<string, bigint>): void {
    const door = this.#options.door();
    const current = door?.origin.recording ?? '';
    this.#ends = new Map([...recordings].map(([id, end]) => [id, Number(end)]));
    if (this.#isNew && this.#options.from === 'now') {
      for (const [id, end] of this.#ends) this.#checkpoint.of(id).add(1, end);
      if (door !== null) this.#checkpoint.goBack(current, Number(door.firstSeq) - 1);
      this.#checkpoint.save();
    }
    if (this.#isNew && this.#options.from === 'oldest') this.#wholly = new Set(recordings.keys());
    this.#isNew = false;
    this.#tell(this.#checkpoint.hold(this.#ends, current));
  }

  through(recording: string): bigint {
    const { through } = this.#checkpoint.of(recording);
    [this.#recording, this.#next] = [recording, through + 1];
    return BigInt(through);
  }

  missed({ recording, first, last, rows, why }: MissedRows): void {
    if (first === 1n && this.#wholly.has(recording)) {
      this.#checkpoint.of(recording).add(1, Number(last));
      return;
    }
    const range = { recording, first: Number(first), last: Number(last), why };
    this.#tell(this.#checkpoint.lose(range, Number(rows)));
  }

  wentBack(recording: string, through: bigint): void {
    const last = Number(through);
    const before = this.#checkpoint.of(recording);
    this.#checkpoint.goBack(recording, last);
    const ranges = this.#checkpoint.of(recording);
    for (const [event, sent] of this.#sent) {
      if (sent.ranges !== before) continue;
      if (Number(event.seq) <= last) this.#sent.set(event, { ...sent, ranges });
      else {
        // Its seq is that of another row now. The rows before it are not wanted, as they were not.
        this.#sent.delete(event);
        if (sent.first <= last) ranges.add(sent.first, last);
      }
    }
    if (recording === this.#recording) this.#next = Math.min(this.#next, last + 1);
  }

  /** Takes events of a recording, in their order, to be sent; gives those that are not through already. */
  take(recording: string, events: readonly OnwardEvent[]): OnwardEvent[] {
    this.#enter(recording);
    const ranges = this.#checkpoint.of(recording);
    const wanted: OnwardEvent[] = [];
    for (const event of events) {
      const seq = Number(event.seq);
      if (ranges.has(seq)) continue;
      this.#sent.set(event, { ranges, first: Math.min(this.#next, seq) });
      this.#next = seq + 1;
      this.#newestTs = event.ts;
      wanted.push(event);
    }
    return wanted;
  }

  /** Every row up to a position was looked at. */
  pass({ recording, seq }: Position): void {
    if (recording === '') return;
    this.#enter(recording);
    if (Number(seq) < this.#next) return;
    this.#checkpoint.of(recording).add(this.#next, Number(seq));
    this.#next = Number(seq) + 1;
  }

  /** An event is through. */
  settle(event: OnwardEvent): void {
    const sent = this.#sent.get(event);
    if (sent === undefined) return;
    this.#sent.delete(event);
    sent.ranges.add(sent.first, Number(event.seq));
  }

  /** Writes down what is through; throws what the file system throws. */
  save({ recording, committed }: Position): void {
    const isLive = this.#options.door()?.origin.recording === recording;
    this.#checkpoint.save(isLive ? { recording, committed: Number(committed) } : null);
  }

  /** Rows that are recorded and not through, and the age in seconds of the oldest that is known of, at a time in ms. */
  lag({ recording, seq, committed }: Position, nowMs: number): { events: number; seconds: number } {
    const ends = new Map(this.#ends);
    ends.set(recording, Math.max(ends.get(recording) ?? 0, Number(seq), Number(committed)));
    let events = 0;
    for (const [id, end] of ends) {
      if (id !== '') events += Math.max(0, end - this.#checkpoint.of(id).through);
    }
    const [oldest] = this.#sent.keys();
    const ts = oldest?.ts ?? this.#newestTs;
    if (events === 0 || ts === 0n) return { events, seconds: 0 };
    return { events, seconds: Math.max(0, nowMs / 1000 - Number(ts) / NS_PER_S) };
  }

  #enter(recording: string): void {
    if (recording !== this.#recording) this.through(recording);
  }

  #tell(losses: readonly SinkLoss[]): void {
    for (const { recording, first, last, rows, why } of losses) {
      this.#options.say(
        `${countText(rows)} rows are lost to it (recording ${recording}, seq ${first} to ${last}): ${why}`,
      );
    }
  }
}
