// tapio-record status: what is held, what was lost, and what it costs.

import { stdout } from 'node:process';
import { LOSS_CAUSES } from '../../schemas/losses.ts';
import { askRecorder } from '../../src/control.ts';
import { formatTs } from '../../src/event/clock.ts';
import { type ProcessPrivileges, privilegesText } from '../../src/privileges.ts';
import type { Forecast } from '../../src/recorder/forecast.ts';
import type { Outage } from '../../src/recorder/outage.ts';
import type { BatchInfo, Segment } from '../../src/segment/reader.ts';
import { openStore } from '../../src/segment/store.ts';
import type { ServerStatus } from '../../src/server/protocol.ts';
import type { SinkStatus } from '../../src/sink/protocol.ts';
import type { MaskedCounts } from '../../src/source/secrets.ts';
import { bytesText, countText, escapeControls, spanText, sumCounts } from '../format.ts';
import type { Command, Flags } from '../program.ts';
import { storeOf } from '../store-of.ts';

/** First and last ts that a store holds, ns; null where it holds no rows. */
function heldRange(store: string): { first: bigint; last: bigint } | null {
  const { segments } = openStore(store);
  const batchesOf = (segment: Segment): BatchInfo[] =>
    segment.types().flatMap((type) => [...segment.batches(type)]);
  try {
    // The segments at both ends are enough, however many lie between.
    const hasRows = (segment: Segment): boolean => batchesOf(segment).length > 0;
    const oldest = segments.find(hasRows);
    const newest = segments.findLast(hasRows);
    if (oldest === undefined || newest === undefined) return null;
    const firsts = batchesOf(oldest).map(({ firstTs }) => firstTs);
    const lasts = batchesOf(newest).map(({ lastTs }) => lastTs);
    return {
      first: firsts.reduce((a, b) => (b < a ? b : a)),
      last: lasts.reduce((a, b) => (b > a ? b : a)),
    };
  } finally {
    for (const segment of segments) segment.close();
  }
}

function retentionLines(forecast: Forecast): string[] {
  const { bytes, bytes_per_s: rate, keeps_s: keeps, full_in_s: full, limit, retired } = forecast;
  const reach =
    retired > 0
      ? `${countText(retired)} segments have gone to keep within it`
      : `the first segment goes in ${spanText(full)}`;
  return [
    `store: ${bytesText(bytes)}, ${bytesText(Math.round(rate))}/s; at this rate it keeps ${spanText(keeps)} (--${limit}), ${reach}`,
  ];
}

function outageLines(outage: Outage | null): string[] {
  if (outage === null) return [];
  const { doc } = LOSS_CAUSES[outage.cause];
  const since = new Date(outage.since).toISOString();
  return [`THE STORE CANNOT BE WRITTEN since ${since} (${outage.cause}): ${doc}`];
}

function stallLines(seconds: number | null): string[] {
  if (seconds === null) return [];
  return [
    `THE DISK has not answered for ${seconds.toFixed(0)} s: events wait in the rings, and the numbers are those last known`,
  ];
}

function sinkLines(sinks: readonly SinkStatus[]): string[] {
  return sinks.flatMap((sink) => {
    const { name, place, taken, rate, lag_events: lag, lag_s: age } = sink;
    const counts = [
      `${countText(taken)} taken, ${countText(rate)}/s`,
      lag === 0 ? 'nothing waits' : `${countText(lag)} rows and ${spanText(age)} behind`,
      sink.refused > 0 && `${countText(sink.refused)} refused`,
      sink.returned > 0 && `${countText(sink.returned)} times one was sent again`,
      sink.unmapped > 0 && `${countText(sink.unmapped)} rows cannot be mapped`,
      sink.lost > 0 && `${countText(sink.lost)} ROWS LOST TO IT`,
    ].filter((part) => part !== false);
    const trouble = sink.trouble === null ? [] : [`  trouble: ${escapeControls(sink.trouble)}`];
    return [`sink ${name} (${place}): ${counts.join('; ')}`, ...trouble];
  });
}

function maskedLines(masked: MaskedCounts): string[] {
  const each = Object.entries(masked).map(
    ([name, count]) => `${escapeControls(name)} ${countText(count)}`,
  );
  return each.length === 0 ? [] : [`masked in command lines: ${each.join(', ')}`];
}

function privilegeLines(held: ProcessPrivileges | null): string[] {
  if (held === null) return [];
  const threads = held.threads.map((thread) => `${thread.name}: ${privilegesText(thread)}`);
  return [`runs as uid ${held.uid}: ${[privilegesText(held), ...threads].join('; ')}`];
}

function serverLines(server: ServerStatus | null): string[] {
  if (server === null || server.listening.length === 0) return [];
  const { listening, connections, streams_open: streams, rows, sent_bytes, missed } = server;
  const refused = sumCounts(server.refused);
  const counts = [
    `${countText(connections)} connection${connections === 1 ? '' : 's'}`,
    `${countText(streams)} stream${streams === 1 ? '' : 's'}`,
    `${countText(rows)} events given out (${bytesText(sent_bytes)})`,
    refused > 0 && `${countText(refused)} calls refused`,
    missed > 0 && `${countText(missed)} EVENTS MISSED by clients`,
    server.audit_failures > 0 && 'THE AUDIT COULD NOT BE WRITTEN, and nothing was served',
  ].filter((part) => part !== false);
  return [`serving at ${listening.map(escapeControls).join(', ')}: ${counts.join('; ')}`];
}

async function run(flags: Flags): Promise<number> {
  const store = storeOf(flags);
  const status = await askRecorder(store, 'status');
  const held = heldRange(store);
  const heldText = {
    held_from: held === null ? null : formatTs(held.first),
    held_to: held === null ? null : formatTs(held.last),
  };
  if (flags.output === 'json') {
    stdout.write(`${JSON.stringify({ ...status, ...heldText })}\n`);
    return 0;
  }
  const seconds = Number(status.duration_s);
  const cpu = Number(status.cpu_s);
  const rates = status.rates as Record<string, number>;
  const typeRows = Object.entries(status.events as Record<string, unknown>).map(
    ([type, ops]) =>
      `  ${type.padEnd(8)} ${countText(sumCounts(ops)).padStart(14)}  ${countText(rates[type] ?? 0)}/s`,
  );
  const lost = sumCounts(status.lost);
  const lossRows = Object.entries(status.lost as Record<string, Record<string, unknown>>).flatMap(
    ([stage, causes]) =>
      Object.entries(causes).map(
        ([cause, types]) => `  ${stage} ${cause}: ${countText(sumCounts(types))}`,
      ),
  );
  stdout.write(
    [
      `process ${status.pid} is recording (${status.source}) into ${store} for ${seconds.toFixed(0)} s`,
      ...(status.filter === null ? [] : [`only: ${escapeControls(String(status.filter))}`]),
      held === null ? 'nothing is held yet' : `held: ${heldText.held_from} to ${heldText.held_to}`,
      ...typeRows,
      lost === 0 ? 'lost nothing' : `lost ${countText(lost)}:`,
      ...lossRows,
      `late ${countText(Number(status.late))}, left out ${countText(Number(status.filtered))}, fullest ring ${(Number(status.backlog) * 100).toFixed(1)} %`,
      ...(status.sampled
        ? [`left out by --sample and --limit: ${countText(Number(status.sampled))}`]
        : []),
      ...maskedLines(status.masked as MaskedCounts),
      `${status.segments} segment${status.segments === 1 ? '' : 's'}, ${bytesText(Number(status.bytes))} of this recording`,
      ...retentionLines(status.retention as unknown as Forecast),
      ...outageLines(status.outage as unknown as Outage | null),
      ...stallLines(status.stalled_s as number | null),
      ...sinkLines(status.sinks as readonly SinkStatus[]),
      ...privilegeLines(status.privileges as ProcessPrivileges | null),
      ...serverLines(status.server as ServerStatus | null),
      `cost: CPU ${((cpu / seconds) * 100).toFixed(1)} % of a core, main thread ${(Number(status.main_thread_busy) * 100).toFixed(1)} % busy, memory ${bytesText(Number(status.rss_bytes))}`,
      '',
    ].join('\n'),
  );
  return 0;
}

export const status: Command = {
  usage: 'status [flags]',
  flags: {
    store: { type: 'string', describe: 'DIR — the store that is recorded into' },
    output: { alias: 'o', choices: ['text', 'json'], default: 'text', describe: 'how to answer' },
  },
  examples: [['tapio-record status --store ./recording -o json', 'for a machine']],
  run,
};
