// The metrics as text: both formats can be read strictly, METRICS.md tells the same, and names collide in neither.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EVENTS } from '../../schemas/events.ts';
import { exposition, wantsOpenMetrics } from '../../src/metrics/exposition.ts';
import { METRICS } from '../../src/metrics/table.ts';
import { parseExposition, sampleOf } from '../support/exposition.ts';
import { measuredWith } from './measured.ts';

test('METRICS.md is the table', () => {
  const text = readFileSync(new URL('../../src/metrics/METRICS.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `([a-z_]+)` \| (.*) \| (.*) \| (.*) \| (.*) \|$/gm)].map(
    ([, name, type, labels, help]) => ({ name, type, labels, help }),
  );
  expect(rows).toEqual(
    METRICS.map(({ name, type, labels, help }) => ({
      name,
      type,
      labels: labels.join(', '),
      help,
    })),
  );
});

const hostile = 'a "quoted" \\ name\nof two lines';
const measured = measuredWith({
  events: { process: { exec: 7 }, odd: { new: 1 } },
  lost: { ring: { overwritten: { network: 5 } }, recorder: { crash: { unknown: 0 } } },
  filtered: 11,
  unattached: { 'memory.oom': 'no hook' },
  disk: { total: 1000, free: 300 },
});
const full = {
  ...measured,
  fullestRing: 0.25,
  limits: { ...measured.limits, freeMin: { share: 0.0333 } },
  failures: { server: 2, [`sink ${hostile}`]: 1 },
  server: {
    ...{ listening: ['unix:/a'], connections: 1, accepted: 3, sent_bytes: 500 },
    ...{ streams_open: 1, streams: 2, rows: 9, missed: 4, audit_lines: 8, audit_failures: 0 },
    refused: { usage: 2, not_permitted: 1 },
  },
  sinks: [
    {
      ...{
        name: hostile,
        place: 'there',
        filter: 'true',
        trouble: 'is gone',
        taken: 3,
        refused: 1,
      },
      ...{ returned: 2, unmapped: 0, lost: 6, under_way: 1, lag_events: 10, lag_s: 1.5, rate: 0 },
    },
  ],
};

test.each([false, true])('what is known can be read; OpenMetrics: %s', async (openMetrics) => {
  const { text, contentType } = await exposition(full, openMetrics);
  expect(contentType).toMatch(openMetrics ? /^application\/openmetrics-text/ : /^text\/plain/);
  const families = parseExposition(text, openMetrics);
  expect([...families.keys()].sort()).toEqual(METRICS.map(({ name }) => name).sort());
  for (const { name, type, help } of METRICS) {
    expect(families.get(name), name).toMatchObject({ type, help });
  }
  const sink = 'sink=a \\"quoted\\" \\\\ name\\nof two lines';
  const expected: [string, string, number][] = [
    ['tapio_ebpf_events_received_total', 'op=exec,type=process', 7],
    ['tapio_ebpf_events_received_total', 'op=fork,type=process', 0],
    ['tapio_ebpf_events_received_total', 'op=new,type=odd', 1],
    ['tapio_ebpf_events_dropped_total', 'cause=overwritten,stage=ring,type=network', 5],
    ['tapio_ebpf_events_dropped_total', 'cause=overwritten,stage=ring,type=process', 0],
    ['tapio_ebpf_events_dropped_total', 'cause=crash,stage=recorder,type=unknown', 0],
    ['tapio_ebpf_events_filtered_total', '', 11],
    ['tapio_ebpf_buffer_utilization_percent', '', 25],
    ['tapio_ebpf_ops_unattached', '', 1],
    ['tapio_ebpf_disk_free_min_bytes', '', 33],
    ['tapio_ebpf_server_calls_refused_total', 'code=usage', 2],
    ['tapio_ebpf_server_events_missed_total', '', 4],
    ['tapio_ebpf_sink_events_lost_total', `reason=not_held,${sink}`, 6],
    ['tapio_ebpf_sink_events_lost_total', `reason=refused,${sink}`, 1],
    ['tapio_ebpf_sink_lag_seconds', sink, 1.5],
    ['tapio_ebpf_sink_up', sink, 0],
    ['tapio_ebpf_thread_restarts_total', 'thread=server', 2],
  ];
  for (const [name, labels, value] of expected) {
    expect(sampleOf(families, name, labels), `${name}{${labels}}`).toBe(value);
  }
});

test('what nobody knows is not told as 0', async () => {
  const families = parseExposition((await exposition(measuredWith({}), false)).text, false);
  expect(families.has('tapio_ebpf_disk_free_bytes')).toBe(false);
  expect(families.has('tapio_ebpf_server_streams_open')).toBe(false);
  // Each type that is recorded has its losses from the beginning: the first one is an increase.
  const types = Object.keys(EVENTS).map((type) =>
    sampleOf(
      families,
      'tapio_ebpf_events_dropped_total',
      `cause=overwritten,stage=ring,type=${type}`,
    ),
  );
  expect(types.filter((count) => count === 0).length).toBeGreaterThan(2);
});

test('OpenMetrics is for those who ask for it', () => {
  expect(wantsOpenMetrics(undefined)).toBe(false);
  expect(wantsOpenMetrics('text/plain, */*')).toBe(false);
  expect(wantsOpenMetrics('application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1')).toBe(true);
});

test('the reader of the tests is strict', () => {
  const head = '# HELP a_total h\n# TYPE a_total counter\n';
  expect(sampleOf(parseExposition(`${head}a_total{x="1"} 2\n`, false), 'a_total', 'x=1')).toBe(2);
  for (const wrong of [
    `${head}a_total -1\n`,
    `${head}a_total 1\na_total 2\n`,
    `${head}b 1\n`,
    `${head}a_total{x="1} 1\n`,
    `${head}a_total{x="1" y="2"} 1\n`,
    `${head}a_total Nan2\n`,
    `${head}a_total 1`,
    `${head}a_total 1\n${head}`,
    '# HELP a h\n# TYPE a counter\na 1\n',
    '# HELP a h\na 1\n',
  ]) {
    expect(() => parseExposition(wrong, false), wrong).toThrow();
  }
  expect(() => parseExposition(head, true)).toThrow('EOF');
});
