// Answers that hold events, taken apart: where each event lies, and what stands beside them.

import type { Piece } from './decoder.ts';
import { DELIMITED, garbled, VARINT, WireReader } from './wire.ts';

/** A RawEventBatch or QueryResponse. */
export interface EventAnswer {
  readonly bytes: Uint8Array;
  readonly events: readonly Piece[];
  /** resume_token, or next_page_token; '' where there is none. */
  readonly token: string;
  readonly complete: boolean;
  readonly reasons: readonly string[];
}

/** Events of one message, at most: a page's. */
const EVENTS_MAX = 10_000;
const EVENTS = 1;
const TOKEN = 2;
const COMPLETE = 3;
const REASONS = 4;
const FIELD_SHIFT = 3;
const WIRE_BITS = 7;

/** Takes a message apart; both kinds have the same fields. Throws TapioError('io') for what is none. */
export function eventAnswer(bytes: Uint8Array): EventAnswer {
  const reader = new WireReader(bytes);
  const events: Piece[] = [];
  const reasons: string[] = [];
  let [token, complete] = ['', false];
  while (reader.at < bytes.length) {
    const tag = reader.varint();
    const [field, wire] = [tag >>> FIELD_SHIFT, tag & WIRE_BITS];
    if (field === EVENTS && wire === DELIMITED) {
      const to = reader.delimited();
      if (events.length === EVENTS_MAX) throw garbled();
      events.push({ from: reader.at, to });
      reader.at = to;
    } else if (field === TOKEN && wire === DELIMITED) token = reader.text(reader.delimited());
    else if (field === COMPLETE && wire === VARINT) complete = reader.varint() !== 0;
    else if (field === REASONS && wire === DELIMITED) reasons.push(reader.text(reader.delimited()));
    else reader.skip(wire);
  }
  return { bytes, events, token, complete, reasons };
}
