// Sums that a server makes: the question as a message, and its answer as a store's.

import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import type { KeyValue, StatsGroup } from '../query/stats.ts';
import { typeOfField } from '../query/stats.ts';
import { type Span, type Summary, type SummaryQuestion, TIME_BUCKETS } from '../query/summary.ts';
import { garbled } from './wire.ts';

/** StatsResponse of schemas/recorder.proto; 64-bit numbers are decimal text, what is 0 or empty may be absent. */
export interface StatsAnswer {
  readonly groups?: readonly {
    readonly keys?: readonly {
      readonly text?: string;
      readonly number?: string;
      readonly large?: string;
    }[];
    readonly rows?: string;
    readonly events?: string;
    readonly sums?: readonly string[];
    readonly buckets?: readonly { readonly low?: string; readonly events?: string }[];
    readonly largest?: string;
  }[];
  readonly more_groups?: string;
  readonly rows?: string;
  readonly events?: string;
  readonly since?: string;
  readonly until?: string;
  readonly bucket_ns?: string;
  readonly over_time?: readonly string[];
  readonly incomplete_reasons?: readonly string[];
}

type Group = NonNullable<StatsAnswer['groups']>[number];
type Key = NonNullable<Group['keys']>[number];

const whole = (text: string | undefined): bigint => BigInt(text ?? 0);

/** The question, without what it is about. */
export function statsMessage(
  { by, sums, measured, top }: SummaryQuestion,
  over: Span | null | undefined,
): object {
  return {
    by,
    sums,
    of: measured ?? '',
    // For a server 0 is all of them.
    top: Number.isFinite(top) ? Math.max(1, top) : 0,
    ...(over && { over_since: String(over.from), over_until: String(over.to) }),
  };
}

/** Whether values of a field are more than a double holds. */
function isWide(field: string): boolean {
  const type = typeOfField(field) ?? (EVENT_TYPES[0] as EventType);
  const name = field.split('.').at(-1);
  const column = EVENT_TABLES[type].columns.find((one) => one.name === name);
  return column?.type === 'i64' || column?.type === 'timestamp';
}

function keyOf({ text, number, large }: Key, field: string): KeyValue {
  if (text !== undefined) return text;
  if (large !== undefined) return BigInt(large);
  if (number === undefined) return null;
  return isWide(field) ? BigInt(number) : Number(number);
}

function groupOf(group: Group, { by, sums }: SummaryQuestion): StatsGroup {
  const { keys = [], buckets = [] } = group;
  if (keys.length !== by.length) throw garbled();
  return {
    keys: keys.map((key, i) => keyOf(key, by[i] ?? '')),
    rows: whole(group.rows),
    events: whole(group.events),
    sums: sums.map((_, i) => whole(group.sums?.[i])),
    distribution: {
      buckets: new Map(buckets.map(({ low, events }) => [whole(low), Number(events ?? 0)])),
      largest: whole(group.largest),
    },
  };
}

/** The span that an answer is of. */
export function spanOfAnswer({ since, until }: StatsAnswer): Span | null {
  return since === undefined || until === undefined
    ? null
    : { from: BigInt(since), to: BigInt(until) };
}

/** The answer to a question. */
export function summaryOfAnswer(
  answer: StatsAnswer,
  question: SummaryQuestion,
  over: Span | null | undefined,
): Summary {
  const groups = (answer.groups ?? []).map((group) => groupOf(group, question));
  const told = groups.slice(0, question.top);
  const overTime = (answer.over_time ?? []).map(whole);
  return {
    groups: told,
    more: Number(answer.more_groups ?? 0) + groups.length - told.length,
    rows: whole(answer.rows),
    events: whole(answer.events),
    span: over === undefined ? spanOfAnswer(answer) : over,
    overTime: Array.from({ length: TIME_BUCKETS }, (_, i) => overTime[i] ?? 0n),
    bucketNs: whole(answer.bucket_ns),
  };
}
