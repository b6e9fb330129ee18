// The headers that Tapio's publisher puts on a message, and the id by which JetStream knows repeats.

import type { EventHead } from './sink.ts';

/** What is read of an event; what its type lacks is not there. */
interface Described extends EventHead {
  readonly trace_context?: {
    readonly trace_id?: string;
    readonly span_id?: string;
    readonly parent_span_id?: string;
  };
}

/** A line of its own, or nothing; what came from outside cannot begin another one. */
function optional(name: string, value: string | undefined): string {
  if (value === undefined || value === '') return '';
  return `${name}: ${/[\r\n]/.test(value) ? value.replace(/[\r\n]+/g, ' ') : value}\r\n`;
}

/** Headers of an event as they go over the wire. */
export function headerText(event: Described): string {
  const { id, source, severity, timestamp, trace_context: trace, semantic } = event;
  let text = `NATS/1.0\r\nNats-Msg-Id: ${id}\r\nEvent-Type: unified\r\nEvent-ID: ${id}\r\nSource: ${source}\r\nTimestamp: ${timestamp}\r\n`;
  if (severity !== undefined) text += `Severity: ${severity}\r\n`;
  if (trace !== undefined) {
    text += optional('Trace-ID', trace.trace_id);
    text += optional('Span-ID', trace.span_id);
    text += optional('Parent-Span-ID', trace.parent_span_id);
  }
  if (semantic !== undefined) {
    text += optional('Semantic-Intent', semantic.intent);
    text += optional('Semantic-Category', semantic.category);
  }
  return `${text}\r\n`;
}
