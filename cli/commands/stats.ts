// tapio-replay stats: how much, of what, when, and how long it took.

import { stdout } from 'node:process';
import { EVENT_TABLES, type EventType } from '../../schemas/arrow.ts';
import { nearestName, TapioError } from '../../src/errors.ts';
import { formatTs } from '../../src/event/clock.ts';
import { fieldNames } from '../../src/event/json.ts';
import { missingFrom } from '../../src/query/completeness.ts';
import { heldSpan } from '../../src/query/held.ts';
import { Reading } from '../../src/query/reading.ts';
import {
  checkField,
  eventsOverTime,
  groupsOf,
  type KeyValue,
  percentile,
  type StatsGroup,
  type StatsQuestion,
  typeOfField,
} from '../../src/query/stats.ts';
import { bar, sparkline } from '../bars.ts';
import { EXPLAIN_FLAG, explained } from '../explain.ts';
import { countText, durationText, escapeControls } from '../format.ts';
import { onInterrupt } from '../interrupt.ts';
import { Output } from '../output.ts';
import type { Command, Flags } from '../program.ts';
import { Progress } from '../progress.ts';
import { reading, say } from '../reading.ts';
import { tableLines } from '../rows.ts';
import { count, SELECTION_FLAGS, selectionOf, whyEmpty, words } from '../selection.ts';

const TOP_DEFAULT = 20;
/** Columns of the sparkline. */
const TIME_BUCKETS = 60;
const BAR_WIDTH = 16;
const PERCENTILES = [
  ['p50', 0.5],
  ['p90', 0.9],
  ['p99', 0.99],
  ['max', 1],
] as const;
const NS_PER_S = 1e9;

interface Question extends StatsQuestion {
  readonly top: number;
}

function checked(fields: readonly string[], use: 'group' | 'sum'): readonly string[] {
  const known = fieldNames();
  for (const field of fields) {
    if (!known.includes(field)) {
      const near = nearestName(field, known);
      const hint = near === null ? '' : ` (did you mean ${near}?)`;
      throw new TapioError(
        'usage',
        `unknown field ${field}${hint}: own fields are written type.field`,
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

function questionOf(flags: Flags): Question {
  const by = checked(words(flags.by), 'group');
  const types = new Set(by.flatMap((field) => typeOfField(field) ?? []));
  if (types.size > 1) {
    throw new TapioError('usage', `no row has all of ${by.join(', ')}: they are of several types`);
  }
  const of = checked(words(flags.of), 'sum');
  if (of.length > 1) throw new TapioError('usage', '--of is one field: choose one');
  const [measured] = of;
  return {
    by: by.length === 0 ? ['type', 'op'] : by,
    sums: checked(words(flags.sum), 'sum'),
    distribution: (type) => (measured === undefined ? durationOf(type) : measured),
    top: count('top', flags.top) ?? TOP_DEFAULT,
  };
}

const keyText = (key: KeyValue): string => (key === null ? '-' : escapeControls(String(key)));

/**
 * The window that is summed: as it was asked for, as far as anything is held of it. Which batches are read for it
 * is no matter: a rate is the same, whichever way the rows lie.
 */
function spanOf({
  segments,
  plan: {
    selection: { since, until, types },
  },
}: Reading): { from: bigint; to: bigint } | null {
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
function ordered(groups: readonly StatsGroup[], { sums }: Question): StatsGroup[] {
  const size = (group: StatsGroup): bigint =>
    sums.length > 0 ? (group.sums[0] ?? 0n) : group.events;
  const order = (a: StatsGroup, b: StatsGroup): number =>
    size(a) > size(b) ? -1 : size(a) < size(b) ? 1 : byKeys(a, b);
  return [...groups].sort(order);
}

interface Answer {
  readonly groups: readonly StatsGroup[];
  /** Groups that are not shown. */
  readonly more: number;
  readonly rows: bigint;
  readonly events: bigint;
  readonly span: { readonly from: bigint; readonly to: bigint } | null;
  readonly overTime: readonly bigint[];
  readonly bucketNs: bigint;
}

async function answerOf(query: Reading, question: Question): Promise<Answer> {
  const { scanner, plan } = query;
  const interrupt = onInterrupt();
  const progress = new Progress(() => plan.batches.length * 2);
  const onBatch = (): boolean => {
    progress.at(scanner.done);
    return !interrupt.asked;
  };
  try {
    const all = ordered(await groupsOf(scanner, plan, question, onBatch), question);
    const span = spanOf(query);
    const bucketNs =
      span === null
        ? 1n
        : (span.to - span.from + BigInt(TIME_BUCKETS) - 1n) / BigInt(TIME_BUCKETS) || 1n;
    const overTime = Array<bigint>(TIME_BUCKETS).fill(0n);
    if (span !== null && !interrupt.asked) {
      for (const [bucket, events] of await eventsOverTime(
        scanner,
        plan,
        span.from,
        bucketNs,
        onBatch,
      )) {
        if (bucket >= 0 && bucket < TIME_BUCKETS) overTime[bucket] = events;
      }
    }
    progress.clear();
    if (interrupt.asked) say('interrupted: these are sums of what was read so far');
    const sum = (of: (group: StatsGroup) => bigint): bigint =>
      all.reduce((total, one) => total + of(one), 0n);
    return {
      groups: all.slice(0, question.top),
      more: Math.max(0, all.length - question.top),
      rows: sum(({ rows }) => rows),
      events: sum(({ events }) => events),
      span,
      overTime,
      bucketNs,
    };
  } finally {
    progress.clear();
    interrupt.end();
  }
}

function jsonOf(answer: Answer, question: Question): string {
  const { groups, more, rows, events, span, overTime, bucketNs } = answer;
  const seconds = span === null ? 0 : Number(span.to - span.from) / NS_PER_S;
  const number = (value: bigint): number | string =>
    value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= -BigInt(Number.MAX_SAFE_INTEGER)
      ? Number(value)
      : String(value);
  return JSON.stringify({
    since: span === null ? null : formatTs(span.from),
    until: span === null ? null : formatTs(span.to),
    rows: number(rows),
    events: number(events),
    per_second: seconds > 0 ? Number(events) / seconds : 0,
    by: question.by,
    groups: groups.map((group) => ({
      keys: group.keys.map((key) => (typeof key === 'bigint' ? String(key) : key)),
      rows: number(group.rows),
      events: number(group.events),
      per_second: seconds > 0 ? Number(group.events) / seconds : 0,
      sums: Object.fromEntries(
        question.sums.map((field, i) => [field, number(group.sums[i] ?? 0n)]),
      ),
      ...Object.fromEntries(
        PERCENTILES.map(([name, share]) => {
          const value = percentile(group.distribution, share);
          return [name, value === null ? null : number(value)];
        }),
      ),
    })),
    more_groups: more,
    time: { bucket_ns: number(bucketNs), events: overTime.map(number) },
  });
}

function tableOf(answer: Answer, question: Question, inNs: boolean): string[] {
  const { groups, more, span, overTime } = answer;
  const seconds = span === null ? 0 : Number(span.to - span.from) / NS_PER_S;
  const size = ({ events, sums }: StatsGroup): number =>
    Number(question.sums.length > 0 ? sums[0] : events);
  const largest = groups.reduce((a, group) => Math.max(a, size(group)), 1);
  const hasTimes = groups.some(({ distribution }) => distribution.buckets.size > 0);
  const measured = (value: bigint | null): string =>
    value === null ? '-' : inNs ? durationText(Number(value)) : countText(Number(value));
  const bars = stdout.isTTY === true;
  const header = [
    ...question.by,
    'events',
    'per s',
    ...question.sums,
    ...(hasTimes ? PERCENTILES.map(([name]) => name) : []),
    ...(bars ? [''] : []),
  ];
  const rows = groups.map((group) => [
    ...group.keys.map(keyText),
    countText(Number(group.events)),
    seconds > 0 ? (Number(group.events) / seconds).toFixed(1) : '-',
    ...group.sums.map((sum) => countText(Number(sum))),
    ...(hasTimes
      ? PERCENTILES.map(([, share]) => measured(percentile(group.distribution, share)))
      : []),
    ...(bars ? [bar(size(group) / largest, BAR_WIDTH)] : []),
  ]);
  const lines = tableLines(header, rows);
  if (more > 0) lines.push(`… and ${countText(more)} more: --top shows them`);
  lines.push('');
  const rate = seconds > 0 ? `, ${countText(Number(answer.events) / seconds)}/s` : '';
  lines.push(
    `${countText(Number(answer.events))} events${rate}${span === null ? '' : ` from ${formatTs(span.from)} to ${formatTs(span.to)}`}`,
  );
  if (bars) lines.push(sparkline(overTime.map(Number)));
  return lines;
}

async function run(flags: Flags): Promise<number> {
  const selection = await selectionOf(flags);
  const question = questionOf(flags);
  return reading(flags, async (opened) => {
    const query = Reading.of(opened, selection);
    const tellRead = explained(flags, query);
    const answer = await answerOf(query, question);
    tellRead();
    const out = new Output();
    const [measured] = words(flags.of);
    const inNs = measured === undefined || measured.endsWith('_ns');
    if (flags.output === 'json') out.line(jsonOf(answer, question));
    else for (const line of tableOf(answer, question, inNs)) out.line(line);
    out.flush();
    for (const text of [
      ...opened.segments.flatMap(({ notes }) => notes),
      ...missingFrom(opened, selection),
    ])
      say(text);
    if (answer.rows === 0n) say(whyEmpty(opened.segments, query.plan));
    return 0;
  });
}

export const stats: Command = {
  usage: 'stats [EXPR] [flags]',
  flags: {
    ...SELECTION_FLAGS,
    by: {
      type: 'string',
      describe: 'FIELD,… — groups: such as comm,network.dport [default: type,op]',
    },
    top: { type: 'string', describe: `N — groups that are shown (${TOP_DEFAULT}), largest first` },
    sum: { type: 'string', describe: 'FIELD,… — added up; groups go by the first: file.bytes' },
    of: {
      type: 'string',
      describe:
        'FIELD — percentiles of it, exact to 1/128 [default: latency_ns, of processes duration_ns]',
    },
    output: { alias: 'o', choices: ['table', 'json'], default: 'table', describe: 'form' },
    ...EXPLAIN_FLAG,
  },
  examples: [
    ['tapio-replay stats', 'events by type and op, and what they took'],
    ['tapio-replay stats --by comm --sum file.bytes --since 10m', 'who read and wrote most'],
    [`tapio-replay stats 'op == "connect"' --by network.daddr,network.dport`, 'connections'],
    ['tapio-replay stats -o json | jq .groups', 'for programs; sums are weighted by sampling'],
  ],
  run,
};
