// Events as lines.

import type { OnwardEvent } from './sink.ts';

const LINE_END = 0x0a;

/** A line for each event. */
export function linesOf(events: readonly OnwardEvent[]): Buffer {
  const lines = Buffer.allocUnsafe(events.reduce((sum, { json }) => sum + json.length + 1, 0));
  let at = 0;
  for (const { json } of events) {
    lines.set(json, at);
    at += json.length;
    lines[at++] = LINE_END;
  }
  return lines;
}
