// Answers about the recorder itself, as messages of schemas/recorder.proto.

import { VERSION } from '../version.ts';

type Counts = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** RingMetrics, of what tapio-record status says. */
export function ringMetrics(status: Readonly<Record<string, unknown>>): object {
  const ops = Object.entries(status.events as Counts).flatMap(([type, counts]) =>
    Object.entries(counts).map(([op, recorded]) => ({ type, op, recorded: String(recorded) })),
  );
  const lost = Object.entries(status.lost as Counts).flatMap(([stage, causes]) =>
    Object.entries(causes as Counts).flatMap(([cause, types]) =>
      Object.entries(types).map(([type, events]) => ({
        stage,
        cause,
        type,
        events: String(events),
      })),
    ),
  );
  return { ops, lost, filtered: String(status.filtered), fullest_ring: Number(status.backlog) };
}

/** Status, of what tapio-record status says. */
export function statusMessage(status: Readonly<Record<string, unknown>>): object {
  return {
    store: String(status.store),
    version: VERSION,
    uptime_s: Number(status.duration_s),
    cpu_s: Number(status.cpu_s),
    memory_bytes: String(status.rss_bytes),
    stored_bytes: String((status.retention as { bytes?: number } | undefined)?.bytes ?? 0),
  };
}
