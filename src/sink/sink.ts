// What takes events onward to a receiver. A sink knows one protocol and nothing of recordings: which events come, and
// what is done about those that were not taken, is decided by who uses it.

import type { EventType } from '../../schemas/arrow.ts';
import type { Severity, UnifiedEvent, UnifiedType } from '../unified/event.ts';

/** What names an event, and says where it belongs. */
export interface EventHead {
  readonly id: string;
  /** RFC 3339, as the event has it. */
  readonly timestamp: string;
  readonly type: UnifiedType;
  readonly source: string;
  readonly severity?: Severity | undefined;
  readonly semantic?:
    | { readonly intent?: string | undefined; readonly category?: string | undefined }
    | undefined;
}

/** An event on its way. */
export interface OnwardEvent {
  /** Of its row. */
  readonly seq: bigint;
  /** ns since 1970, when it happened. */
  readonly ts: bigint;
  /** The raw row's type and op. */
  readonly type: EventType;
  readonly op: string;
  /** As JSON in UTF-8. It shares memory with the events that were made along with it. */
  readonly json: Buffer;
  /** What of it is read without reading the text. */
  readonly head: EventHead;
  /** As an object, which is made when it is first asked for. */
  readonly unified: UnifiedEvent;
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
