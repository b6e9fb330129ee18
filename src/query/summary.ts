// Sums of what was read: its groups, largest first, and its events over time.

import { EVENT_TABLES, type EventType } from '../../schemas/arrow.ts';
import { unknownName, usage } from '../config/values.ts';
import { fieldNames } from '../event/json.ts';
import { heldSpan } from './held.ts';
import type { Reading } from './reading.ts';
import {
  checkField,
  eventsOverTime,
  groupsOf,
  type StatsGroup,
  type StatsQuestion,
  typeOfField,
} from './stats.ts';

/** Parts of the time that is summed over. */
export const TIME_BUCKETS = 60;

/** What is to be summed. */
export interface SummaryQuestion extends StatsQuestion {
  /** Groups that are told; Infinity: all. */
  readonly top: number;
  /** Field whose distribution is told of all types; null: of each how long things took. */
  readonly measured: string | null;
}

/** From and to, without it, ns since 1970. */
export interface Span {
  readonly from: bigint;
  readonly to: bigint;
}

/** The sums. */
export interface Summary {
  readonly groups: readonly StatsGroup[];
  /** Groups that are not told. */
  readonly more: number;
  readonly rows: bigint;
  readonly events: bigint;
  /** What was summed; null where nothing is held of it. */
  readonly span: Span | null;
  /** Events in each part of the span, each `bucketNs` long. */
  readonly overTime: readonly bigint[];
  readonly bucketNs: bigint;
}

function checked(fields: readonly string[], use: 'group' | 'sum'): readonly string[] {
  const known = fieldNames();
  for (const field of fields) {
    if (!known.includes(field)) {
      throw usage(
        `${unknownName('field', field, known).message}: own fields are written type.field`,
      );
    }
    checkField(field, use);
  }
  return fields;
}

/** What a type's events took: the time of a call, or the life of a process. */
function durationOf(type: EventType): string | null {
  const names = EVENT_TABLES[type].columns.map(({ name }) => name);
  const found = ['latency_ns', 'duration_ns'].find((name) => names.includes(name));
  return found === undefined ? null : `${type}.${found}`;
}

/**
 * The question of these fields: `of` is the field whose distribution is wanted, none: how long calls took. Throws
 * TapioError('usage') for what no row can be summed by.
 */
export function questionOf(
  by: readonly string[],
  sums: readonly string[],
  of: readonly string[],
  top: number,
): SummaryQuestion {
  const groups = checked(by, 'group');
  const types = new Set(groups.flatMap((field) => typeOfField(field) ?? []));
  if (types.size > 1) throw usage(`no row has all of ${by.join(', ')}: they are of several types`);
  const [measured = null, ...more] = checked(of, 'sum');
  if (more.length > 0) throw usage('--of is one field: choose one');
  return {
    by: groups.length === 0 ? ['type', 'op'] : groups,
    sums: checked(sums, 'sum'),
    distribution: (type) => measured ?? durationOf(type),
    measured,
    top,
  };
}

/**
 * The window that is summed: as it was asked for, as far as anything is held of it. Which batches are read for it
 * is no matter: a rate is the same, whichever way the rows lie.
 */
export function spanOf({
  segments,
  plan: {
    selection: { since, until, types },
  },
}: Reading): Span | null {
  const held = heldSpan(segments, types);
  if (held === null) return null;
  const from = since !== null && since > held.first ? since : held.first;
  const to = until !== null && until <= held.last ? until : held.last + 1n;
  return from < to ? { from, to } : null;
}

/** An order of groups that are of one size, so that they stand in the same one however they were found. */
function byKeys({ keys: a }: StatsGroup, { keys: b }: StatsGroup): number {
  const at = a.findIndex((key, i) => key !== b[i]);
  const [one, other] = [a[at] ?? null, b[at] ?? null];
  if (one === null || other === null) return one === other ? 0 : one === null ? -1 : 1;
  return one < other ? -1 : 1;
}

/** Most events first, or the largest sum where one is asked for. */
export function ordered(
  groups: readonly StatsGroup[],
  { sums }: Pick<SummaryQuestion, 'sums'>,
): StatsGroup[] {
  const size = (group: StatsGroup): bigint =>
    sums.length > 0 ? (group.sums[0] ?? 0n) : group.events;
  const order = (a: StatsGroup, b: StatsGroup): number =>
    size(a) > size(b) ? -1 : size(a) < size(b) ? 1 : byKeys(a, b);
  return [...groups].sort(order);
}

/** The groups that are told, and what all of them come to. */
export function totalOf(
  all: readonly StatsGroup[],
  { top }: Pick<SummaryQuestion, 'top'>,
): Pick<Summary, 'groups' | 'more' | 'rows' | 'events'> {
  const sum = (of: (group: StatsGroup) => bigint): bigint =>
    all.reduce((total, one) => total + of(one), 0n);
  return {
    groups: all.slice(0, top),
    more: Math.max(0, all.length - top),
    rows: sum(({ rows }) => rows),
    events: sum(({ events }) => events),
  };
}

/**
 * Sums what a reading selects; `span` is what its events are told over. `onBatch` is called as it goes, and ends it by
 * false: then these are sums of what was read so far.
 */
export async function summaryOf(
  { scanner, plan }: Reading,
  question: SummaryQuestion,
  span: Span | null,
  onBatch: () => boolean = () => true,
): Promise<Summary> {
  let isEnded = false;
  const goOn = (): boolean => {
    isEnded ||= !onBatch();
    return !isEnded;
  };
  const all = ordered(await groupsOf(scanner, plan, question, goOn), question);
  const parts = BigInt(TIME_BUCKETS);
  const bucketNs = span === null ? 1n : (span.to - span.from + parts - 1n) / parts || 1n;
  const overTime = Array<bigint>(TIME_BUCKETS).fill(0n);
  if (span !== null && !isEnded) {
    const found = await eventsOverTime(scanner, plan, span.from, bucketNs, goOn);
    for (const [bucket, events] of found) {
      if (bucket >= 0 && bucket < TIME_BUCKETS) overTime[bucket] = events;
    }
  }
  return { ...totalOf(all, question), span, overTime, bucketNs };
}
