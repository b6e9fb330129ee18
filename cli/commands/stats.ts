// tapio-replay stats: how much, of what, when, and how long it took.

import { stdout } from 'node:process';
import { formatTs } from '../../src/event/clock.ts';
import { type RowSource, whyEmpty } from '../../src/query/row-source.ts';
import { type KeyValue, percentile, type StatsGroup } from '../../src/query/stats.ts';
import { questionOf, type Summary, type SummaryQuestion } from '../../src/query/summary.ts';
import { bar, sparkline } from '../bars.ts';
import { checkExplain, EXPLAIN_FLAG, explained } from '../explain.ts';
import { countText, durationText, escapeControls } from '../format.ts';
import { onInterrupt } from '../interrupt.ts';
import { Output } from '../output.ts';
import type { Command, Flags } from '../program.ts';
import { Progress } from '../progress.ts';
import { readingRows, say } from '../reading.ts';
import { tableLines } from '../rows.ts';
import { count, SELECTION_FLAGS, selectionOf, words } from '../selection.ts';

const TOP_DEFAULT = 20;
const BAR_WIDTH = 16;
const PERCENTILES = [
  ['p50', 0.5],
  ['p90', 0.9],
  ['p99', 0.99],
  ['max', 1],
] as const;
const NS_PER_S = 1e9;

const keyText = (key: KeyValue): string => (key === null ? '-' : escapeControls(String(key)));

async function answerOf(source: RowSource, question: SummaryQuestion): Promise<Summary> {
  const interrupt = onInterrupt();
  const progress = new Progress(() => source.progress.total);
  const goOn = (): boolean => {
    progress.at(source.progress.done);
    return !interrupt.asked;
  };
  try {
    const answer = await source.summary(question, undefined, goOn);
    progress.clear();
    if (interrupt.asked) say('interrupted: these are sums of what was read so far');
    return answer;
  } finally {
    progress.clear();
    interrupt.end();
  }
}

function jsonOf(answer: Summary, question: SummaryQuestion): string {
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

function tableOf(answer: Summary, question: SummaryQuestion, inNs: boolean): string[] {
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
  checkExplain(flags);
  const selection = await selectionOf(flags);
  const top = count('top', flags.top) ?? TOP_DEFAULT;
  const question = questionOf(words(flags.by), words(flags.sum), words(flags.of), top);
  return readingRows(flags, selection, async (source) => {
    const tellRead = explained(flags, source);
    const answer = await answerOf(source, question);
    tellRead();
    const out = new Output();
    const { measured } = question;
    const inNs = measured === null || measured.endsWith('_ns');
    if (flags.output === 'json') out.line(jsonOf(answer, question));
    else for (const line of tableOf(answer, question, inNs)) out.line(line);
    out.flush();
    for (const text of await source.notes()) say(text);
    if (answer.rows === 0n) say(await whyEmpty(source));
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
