// Answers about the recorder itself, as messages of schemas/recorder.proto.

import { EVENT_TABLES, EVENT_TYPES } from '../../schemas/arrow.ts';
import type { KeyValue, StatsGroup } from '../query/stats.ts';
import type { HeldSegment, Holding } from '../service/holdings.ts';
import type { ServedSummary } from '../service/service.ts';
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
  const [filtered, sampled] = [String(status.filtered), String(status.sampled)];
  return { ops, lost, filtered, fullest_ring: Number(status.backlog), sampled };
}

/** Status, of what tapio-record status says, and what is held. */
export function statusMessage(
  status: Readonly<Record<string, unknown>>,
  { time, newest }: Holding,
): object {
  return {
    store: String(status.store),
    version: VERSION,
    uptime_s: Number(status.duration_s),
    cpu_s: Number(status.cpu_s),
    memory_bytes: String(status.rss_bytes),
    stored_bytes: String((status.retention as { bytes?: number } | undefined)?.bytes ?? 0),
    host: newest?.host,
    boot_id: newest?.bootId,
    recording: newest?.recording,
    ...(time !== null && { held_since: String(time.first), held_until: String(time.last) }),
  };
}

/** SegmentList. */
export function segmentList({
  segments,
  problems,
}: {
  readonly segments: readonly HeldSegment[];
  readonly problems: readonly string[];
}): object {
  return { segments: segments.map(segmentMessage), problems };
}

function segmentMessage(held: HeldSegment): object {
  const { bootId, time, lost, filter, rows, masked, ...segment } = held;
  return {
    ...segment,
    boot_id: bootId,
    ...(time !== null && { first_ts: String(time.first), last_ts: String(time.last) }),
    rows: Object.entries(rows).map(([type, count]) => ({ type, rows: String(count) })),
    masked: Object.entries(masked).map(([pattern, values]) => ({
      pattern,
      values: String(values),
    })),
    lost: String(lost),
    filter: filter ?? '',
  };
}

/** StatsResponse. */
export function statsMessage({ summary, question, incomplete }: ServedSummary): object {
  const { groups, more, rows, events, span, overTime, bucketNs } = summary;
  return {
    groups: groups.map((group) => groupMessage(group, question.by)),
    more_groups: String(more),
    rows: String(rows),
    events: String(events),
    ...(span !== null && { since: String(span.from), until: String(span.to) }),
    bucket_ns: String(bucketNs),
    over_time: overTime.map(String),
    complete: incomplete.length === 0,
    incomplete_reasons: incomplete,
  };
}

function groupMessage(group: StatsGroup, by: readonly string[]): object {
  const { keys, rows, events, sums, distribution } = group;
  const buckets = [...distribution.buckets].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    keys: keys.map((key, i) => keyMessage(key, by[i] ?? '')),
    rows: String(rows),
    events: String(events),
    sums: sums.map(String),
    buckets: buckets.map(([low, count]) => ({ low: String(low), events: String(count) })),
    largest: String(distribution.largest),
  };
}

/** Columns of 64 bits without a sign, by their names and full names. */
const LARGE: ReadonlySet<string> = new Set(
  EVENT_TYPES.flatMap((type) =>
    EVENT_TABLES[type].columns
      .filter((column) => column.type === 'u64')
      .flatMap(({ name }) => [name, `${type}.${name}`]),
  ),
);

function keyMessage(key: KeyValue, field: string): object {
  if (key === null) return {};
  if (typeof key === 'string') return { text: key };
  return LARGE.has(field) ? { large: String(key) } : { number: String(key) };
}
