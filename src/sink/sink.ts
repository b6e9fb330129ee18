// What takes events onward to a receiver. A sink knows one protocol and nothing of recordings: which events come, and
// what is done about those that were not taken, is decided by who uses it.

import type { EventType } from '../../schemas/arrow.ts';
import type { UnifiedEvent } from '../unified/event.ts';

/** An event on its way. */
export interface OnwardEvent {
  /** Of its row. */
  readonly seq: bigint;
  /** ns since 1970, when it happened. */
  readonly ts: bigint;
  /** The raw row's type and op. */
  readonly type: EventType;
  readonly op: string;
  readonly unified: UnifiedEvent;
  /** The same as JSON. */
  readonly json: string;
}

/** What became of events; each that was sent gets exactly one of these, in any order. */
export interface Outcomes {
  /** It is there for good. */
  taken(event: OnwardEvent): void;
  /** The receiver will not take this event, however often it is sent. */
  refused(event: OnwardEvent, reason: string): void;
  /** It was not taken for now: it may be sent again. `reason` is a sentence. */
  returned(event: OnwardEvent, reason: string): void;
}

/** A way to a receiver. */
export interface Sink {
  /** Where it leads, without secrets. */
  readonly place: string;
  /** Most events that may be under way at once. */
  readonly window: number;
  /** Sends events. What the receiver does or fails to do is told by the outcomes, never thrown. */
  send(events: readonly OnwardEvent[]): void;
  /** Waits for what is under way, a few seconds at most, and lets go. */
  close(): Promise<void>;
}

/**
 * Makes a sink for a URL. It is made whether or not the receiver can be reached now. Throws TapioError('usage') for a
 * URL that makes no sense.
 */
export type MakeSink = (url: URL, outcomes: Outcomes) => Promise<Sink>;
