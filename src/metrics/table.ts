// Every metric: its name, what it means, and where its samples come from. METRICS.md has the same table for people.

import { cpuUsage, memoryUsage, version as nodeVersion } from 'node:process';
import { EVENTS, OP_NAMES } from '../../schemas/events.ts';
import { LOSS_CAUSES, type LossCause } from '../../schemas/losses.ts';
import type { Disk, RetentionLimits } from '../recorder/retention.ts';
import type { Totals } from '../recorder/totals.ts';
import type { ServerStatus } from '../server/protocol.ts';
import type { SinkStatus } from '../sink/protocol.ts';
import { VERSION } from '../version.ts';
import type { Measured } from './measured.ts';

/** A value with its labels' values, in the order of the labels. */
export type Sample = readonly [value: number, ...labels: readonly string[]];

export interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly labels: readonly string[];
  readonly help: string;
  readonly samples: (measured: Measured) => readonly Sample[];
}

type Of<T> = (from: T) => number;

const US_PER_S = 1e6;
const MS_PER_S = 1000;

/** A count that is there from the beginning, so that the first of its kind is a change. */
function receivedOf({ totals, ops }: Measured): Sample[] {
  const counts = new Map<string, Sample>();
  for (const id of ops) {
    const name = OP_NAMES.get(id);
    if (name !== undefined) counts.set(`${name.type}.${name.op}`, [0, name.type, name.op]);
  }
  for (const [type, counted] of Object.entries(totals.events)) {
    for (const [op, rows] of Object.entries(counted)) counts.set(`${type}.${op}`, [rows, type, op]);
  }
  return [...counts.values()];
}

/** Stages whose losses are told of each type; others are of times in which nobody knows what was lost. */
const STAGES_BY_TYPE: readonly string[] = ['kernel', 'ring', 'decode'];
const UNKNOWN_TYPE = 'unknown';

function droppedOf({ totals, ops }: Measured): Sample[] {
  const types = Object.keys(EVENTS).filter((type) =>
    ops.some((id) => OP_NAMES.get(id)?.type === type),
  );
  const counts = new Map<string, Sample>();
  const note = (count: number, ...labels: [stage: string, cause: string, type: string]): void => {
    counts.set(labels.join(), [count, ...labels]);
  };
  for (const [cause, { stage }] of Object.entries<LossCause>(LOSS_CAUSES)) {
    if (stage === 'clock') continue;
    for (const type of STAGES_BY_TYPE.includes(stage) ? types : [UNKNOWN_TYPE])
      note(0, stage, cause, type);
  }
  for (const [stage, causes] of Object.entries<Totals['lost'][string]>(totals.lost)) {
    for (const [cause, counted] of Object.entries(causes)) {
      for (const [type, count] of Object.entries(counted)) note(count, stage, cause, type);
    }
  }
  return [...counts.values()];
}

const minFreeOf = ({ freeMin }: RetentionLimits, { total }: Disk): number =>
  'bytes' in freeMin ? freeMin.bytes : Math.round(freeMin.share * total);

/** One sample without labels. */
const total =
  (value: Of<Totals>): Metric['samples'] =>
  ({ totals }) => [[value(totals)]];

const disk =
  (value: (disk: Disk, limits: RetentionLimits) => number): Metric['samples'] =>
  ({ totals, limits }) =>
    totals.disk === null ? [] : [[value(totals.disk, limits)]];

const eachSink =
  (value: Of<SinkStatus>): Metric['samples'] =>
  ({ sinks }) =>
    sinks.map((sink) => [value(sink), sink.name]);

const server =
  (value: Of<ServerStatus>): Metric['samples'] =>
  ({ server: status }) =>
    status === null ? [] : [[value(status)]];

const counter = (
  name: string,
  labels: readonly string[],
  help: string,
  samples: Metric['samples'],
): Metric => ({ name, type: 'counter', labels, help, samples });

const gauge = (
  name: string,
  labels: readonly string[],
  help: string,
  samples: Metric['samples'],
): Metric => ({ name, type: 'gauge', labels, help, samples });

export const METRICS: readonly Metric[] = [
  counter(
    'tapio_ebpf_events_received_total',
    ['type', 'op'],
    'Events that are durably stored.',
    receivedOf,
  ),
  counter(
    'tapio_ebpf_events_dropped_total',
    ['stage', 'cause', 'type'],
    'Events that were lost, by where and why. Type unknown: nobody can know how many.',
    droppedOf,
  ),
  counter(
    'tapio_ebpf_events_filtered_total',
    [],
    'Events that --exclude and --filter left out.',
    total(({ filtered }) => filtered),
  ),
  counter(
    'tapio_ebpf_events_sampled_total',
    [],
    'Events that --sample and --limit left out; the weights of rows stand for them.',
    total(({ sampled }) => sampled),
  ),
  counter(
    'tapio_ebpf_events_late_total',
    [],
    'Events that came after later ones, and stand behind them.',
    total(({ late }) => late),
  ),
  gauge(
    'tapio_ebpf_buffer_utilization_percent',
    [],
    'Largest part of a kernel ring that waited to be read in the last minute.',
    ({ fullestRing }) => [[fullestRing * 100]],
  ),
  gauge(
    'tapio_ebpf_ops_unattached',
    [],
    'Ops that are on and could not be attached.',
    total(({ unattached }) => Object.keys(unattached).length),
  ),
  gauge(
    'tapio_ebpf_recording_bytes',
    [],
    'Bytes on disk of this recording so far.',
    total(({ bytes }) => bytes),
  ),
  gauge(
    'tapio_ebpf_recording_segments',
    [],
    'Segments of this recording so far, with the open one.',
    total(({ segments }) => segments),
  ),
  gauge(
    'tapio_ebpf_store_bytes',
    [],
    'Bytes of all segments of the store.',
    total(({ storeBytes }) => storeBytes),
  ),
  gauge(
    'tapio_ebpf_store_limit_bytes',
    [],
    'What the store may take, --max-bytes.',
    ({ limits }) => [[limits.bytesMax]],
  ),
  gauge(
    'tapio_ebpf_store_limit_seconds',
    [],
    'How old a segment may get, --max-age.',
    ({ limits }) => [[limits.ageMaxMs / MS_PER_S]],
  ),
  counter(
    'tapio_ebpf_store_segments_removed_total',
    [],
    'Segments that went to keep the store within its limits.',
    total(({ retired }) => retired),
  ),
  gauge(
    'tapio_ebpf_store_writable',
    [],
    '0 while the store cannot be written and events wait in the rings.',
    total(({ outage }) => (outage === null ? 1 : 0)),
  ),
  gauge(
    'tapio_ebpf_disk_size_bytes',
    [],
    'Size of the store’s file system.',
    disk(({ total: size }) => size),
  ),
  gauge(
    'tapio_ebpf_disk_free_bytes',
    [],
    'What is free of it for the recorder.',
    disk(({ free }) => free),
  ),
  gauge(
    'tapio_ebpf_disk_free_min_bytes',
    [],
    'Below this the oldest segments go, --min-free.',
    disk((size, limits) => minFreeOf(limits, size)),
  ),
  counter(
    'tapio_ebpf_sink_events_delivered_total',
    ['sink'],
    'Events that the receiver has taken.',
    eachSink(({ taken }) => taken),
  ),
  counter(
    'tapio_ebpf_sink_events_lost_total',
    ['sink', 'reason'],
    'Events that the receiver will not get: refused (in the poison file), unmapped, or not_held any more.',
    ({ sinks }) =>
      sinks.flatMap(({ name, refused, unmapped, lost }): Sample[] => [
        [refused, name, 'refused'],
        [unmapped, name, 'unmapped'],
        [lost, name, 'not_held'],
      ]),
  ),
  counter(
    'tapio_ebpf_sink_retries_total',
    ['sink'],
    'Times that an event was not taken and sent again.',
    eachSink(({ returned }) => returned),
  ),
  gauge(
    'tapio_ebpf_sink_rows_behind',
    ['sink'],
    'Rows that are recorded and not through, wanted or not.',
    eachSink(({ lag_events }) => lag_events),
  ),
  gauge(
    'tapio_ebpf_sink_lag_seconds',
    ['sink'],
    'Age of the oldest event that is not through.',
    eachSink(({ lag_s }) => lag_s),
  ),
  gauge(
    'tapio_ebpf_sink_events_under_way',
    ['sink'],
    'Events that are sent and not taken yet.',
    eachSink(({ under_way }) => under_way),
  ),
  gauge(
    'tapio_ebpf_sink_up',
    ['sink'],
    '0 while the receiver does not take events.',
    eachSink(({ trouble }) => (trouble === null ? 1 : 0)),
  ),
  gauge(
    'tapio_ebpf_server_connections_open',
    [],
    'Connections that are open.',
    server(({ connections }) => connections),
  ),
  counter(
    'tapio_ebpf_server_connections_total',
    [],
    'Connections that were accepted.',
    server(({ accepted }) => accepted),
  ),
  gauge(
    'tapio_ebpf_server_streams_open',
    [],
    'Streams of events that are open.',
    server(({ streams_open }) => streams_open),
  ),
  counter(
    'tapio_ebpf_server_streams_total',
    [],
    'Streams of events that were begun.',
    server(({ streams }) => streams),
  ),
  counter(
    'tapio_ebpf_server_events_sent_total',
    [],
    'Events that were given to clients.',
    server(({ rows }) => rows),
  ),
  counter(
    'tapio_ebpf_server_sent_bytes_total',
    [],
    'Bytes that were written to connections.',
    server(({ sent_bytes }) => sent_bytes),
  ),
  counter(
    'tapio_ebpf_server_events_missed_total',
    [],
    'Events that clients were told they missed.',
    server(({ missed }) => missed),
  ),
  counter(
    'tapio_ebpf_server_calls_refused_total',
    ['code'],
    'Calls that ended with an error, by its code.',
    ({ server: status }) =>
      Object.entries(status?.refused ?? {}).map(([code, calls]) => [calls, code]),
  ),
  counter(
    'tapio_ebpf_audit_lines_total',
    [],
    'Number of the last line of the audit; 0 until a client has come.',
    server(({ audit_lines }) => audit_lines),
  ),
  counter(
    'tapio_ebpf_audit_failures_total',
    [],
    'Times that the audit could not be written, and nothing was served.',
    server(({ audit_failures }) => audit_failures),
  ),
  gauge(
    'tapio_ebpf_recording_thread_silent_seconds',
    [],
    'Time since the recording thread gave a sign of life.',
    ({ silentMs }) => [[silentMs / MS_PER_S]],
  ),
  counter(
    'tapio_ebpf_thread_restarts_total',
    ['thread'],
    'Times that a thread was stuck or failed, and was started again.',
    ({ restarts, failures }) => [
      [restarts, 'recording'],
      ...Object.entries(failures).map(([thread, times]): Sample => [times, thread]),
    ],
  ),
  counter(
    'tapio_ebpf_main_thread_busy_seconds_total',
    [],
    'Time that the main thread, which steers, was busy.',
    ({ mainBusyMs }) => [[mainBusyMs / MS_PER_S]],
  ),
  counter('process_cpu_seconds_total', [], 'CPU time of all threads, user and system.', () => {
    const { user, system } = cpuUsage();
    return [[(user + system) / US_PER_S]];
  }),
  gauge('process_resident_memory_bytes', [], 'Resident memory, with what is mapped.', () => [
    [memoryUsage.rss()],
  ]),
  gauge(
    'process_start_time_seconds',
    [],
    'When the recorder started, s since 1970.',
    ({ beganAt }) => [[beganAt / MS_PER_S]],
  ),
  gauge('tapio_ebpf_build_info', ['version', 'node'], 'Always 1.', () => [
    [1, VERSION, nodeVersion],
  ]),
];
