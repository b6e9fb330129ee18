// What a recording came to, for people, with what to do next.

import { env } from 'node:process';
import type { Summary } from '../src/daemon.ts';
import type { SinkStatus } from '../src/sink/protocol.ts';
import { bytesText, countText, sumCounts } from './format.ts';

/** Rows of a nested count, `name: number`. */
function rows(counts: Readonly<Record<string, unknown>>, path: string[] = []): [string, number][] {
  return Object.entries(counts).flatMap(([name, value]) =>
    typeof value === 'number'
      ? [[[...path, name].join('.'), value] as [string, number]]
      : rows(value as Readonly<Record<string, unknown>>, [...path, name]),
  );
}

/** How the other program is called from here: npm scripts and npx find it in a checkout. */
function replayCommand(): string {
  return env.npm_lifecycle_event === undefined ? 'tapio-replay' : 'npx tapio-replay';
}

/** What was lost, by cause; a cause whose count nobody can know says so. */
function lossLines(lost: Summary['lost'], width: number): string[] {
  const all = rows(lost);
  const sum = sumCounts(lost);
  if (all.length === 0) return ['lost nothing'];
  return [
    `lost ${sum === 0 ? 'an unknown number' : countText(sum)}:`,
    ...all.map(
      ([name, n]) => `  ${name.padEnd(width)} ${(n === 0 ? 'unknown' : countText(n)).padStart(12)}`,
    ),
  ];
}

/** What a sink was given, and what waits for the next start. */
function sinkText({ name, taken, refused, lag_events: left, trouble }: SinkStatus): string {
  const more = [
    refused > 0 && `${countText(refused)} refused (see sinks/${name}.poison.ndjson)`,
    left > 0 && `${countText(left)} rows are still to be looked at, with the next start`,
    trouble,
  ].filter((part) => typeof part === 'string');
  return [`sink ${name}: ${countText(taken)} events taken`, ...more].join('; ');
}

/** Text of the summary, several lines. */
export function summaryText(summary: Summary): string {
  const replay = replayCommand();
  const events = sumCounts(summary.events);
  const rate = summary.duration_s > 0 ? events / summary.duration_s : 0;
  const perEvent = events > 0 ? ` (${(summary.bytes / events).toFixed(1)} B/event)` : '';
  const cpu = summary.duration_s > 0 ? (summary.cpu_s / summary.duration_s) * 100 : 0;
  const width = Math.max(...rows(summary.events).map(([name]) => name.length), 10);
  return [
    `recorded ${countText(events)} events in ${summary.duration_s.toFixed(1)} s (${countText(rate)}/s) into ${summary.store}`,
    ...rows(summary.events).map(
      ([name, n]) => `  ${name.padEnd(width)} ${countText(n).padStart(12)}`,
    ),
    ...lossLines(summary.lost, width),
    ...(summary.filtered > 0
      ? [`left out by --exclude and --filter: ${countText(summary.filtered)}`]
      : []),
    ...(summary.sampled > 0
      ? [`left out by --sample and --limit: ${countText(summary.sampled)}`]
      : []),
    ...(sumCounts(summary.masked) > 0
      ? [`masked in command lines: ${countText(sumCounts(summary.masked))}`]
      : []),
    ...(summary.late > 0 ? [`late: ${countText(summary.late)}`] : []),
    ...summary.sinks.map(sinkText),
    `${summary.segments} segment${summary.segments === 1 ? '' : 's'}, ${bytesText(summary.bytes)}${perEvent}; CPU ${summary.cpu_s.toFixed(2)} s (${cpu.toFixed(1)} % of a core), memory ${bytesText(summary.rss_bytes)}`,
    '',
    'next:',
    `  ${replay} query --store ${summary.store} --last 20`,
    `  ${replay} query --store ${summary.store} --type process --all -o json`,
    `  ${replay} segments --store ${summary.store}`,
    '',
  ].join('\n');
}
