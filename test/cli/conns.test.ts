// conns as it is typed.

import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { BatchItem } from '../../src/event/batch.ts';
import { formatTs } from '../../src/event/clock.ts';
import { SocketTable } from '../../src/recorder/sockets.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { ensureStore, segmentsOf } from '../../src/segment/store.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { FakeNative, type FakeRow, FakeSource } from '../support/fake-source.ts';
import { type Row, temporaryDirectory } from '../support/recording.ts';
import { HEADER, pointAt } from '../support/segments.ts';
import { replay, type Said } from '../support/typed.ts';

const BEGAN = 1_795_000_000_000_000_000n;
const second = (n: number): bigint => BEGAN + BigInt(n) * 1_000_000_000n;

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

const conns = (...words: string[]): Said => replay('conns', ...words);

/** A store in which a server has three sockets; `host` names it. */
function recorded(host = 'host'): string {
  const store = join(directory.path, host);
  ensureStore(store);
  const header = { ...HEADER, host, recording: host };
  const name = '20261122T180000.000Z-0000001';
  const writer = SegmentWriter.create(diskFiles, segmentsOf(store), name, header, null);
  const [table, source] = [new SocketTable(), new FakeSource(() => {})];
  const own = { pid: 7, pstart: 5n, uid: 33, comm: 'ng\u001b[2Jinx', protocol: 'tcp' };
  const v6 = { ...own, family: 'inet6', saddr: '2001:db8::1', sport: 80 };
  const rows: FakeRow[] = [
    { ...v6, op: 'listen', ts: second(1), error: 0, old_state: 'CLOSE', saddr: '::' },
    { ...v6, op: 'accept', ts: second(2), error: 0, daddr: '2001:db8::2', dport: 9 },
    {
      ...{ ...own, op: 'connect', family: 'inet', saddr: '10.0.0.1', sport: 5, daddr: '10.0.0.2' },
      ...{ dport: 443, error: 0, old_state: 'SYN_SENT', new_state: 'ESTABLISHED' },
      ...{ ts: second(4), latency_ns: 1_000_000_000n },
    },
    { ...v6, op: 'close', ts: second(5), daddr: '2001:db8::2', dport: 9, old_state: 'LAST_ACK' },
  ];
  source.rows('network', rows);
  const batch = source.take() as BatchItem;
  const [regions, memory] = [new FakeNative().columns(2), source.slotBuffer(batch.slot)];
  table.apply(batch, regions, memory);
  writer.append('network', batch, regions, memory);
  writer.addSockets(table.takeChanges());
  writer.commit(pointAt(batch.lastSeq));
  writer.seal();
  return store;
}

const jsonOf = ({ out }: Said): Row[] => out.map((line) => JSON.parse(line) as Row);

test('a table of what was open then; names cannot command the terminal', () => {
  const store = recorded();
  const { out, err, code } = conns('--store', store, '--at', formatTs(second(3) + 5n));
  expect([code, err]).toEqual([0, `tapio-replay: reading ${store}\n`]);
  const told = (n: number): string => formatTs(second(n)).slice(0, 19).replace('T', ' ');
  const who = ['ng\\x1b[2Jinx[7]', '33'];
  expect(out.map((line) => line.split(/ {2,}/))).toEqual([
    ['state', 'local', 'remote', 'process', 'uid', 'since (UTC+00:00)'],
    ['LISTEN', '[::]:80', '*', ...who, told(1)],
    ['CONNECTED', '[2001:db8::1]:80', '[2001:db8::2]:9', ...who, told(2)],
    ['SYN_SENT', '10.0.0.1:5', '10.0.0.2:443', ...who, told(3)],
  ]);
});

test('JSON as of the end of what is held; only those that listen', () => {
  const store = recorded();
  const said = conns('--store', store, '-o', 'json');
  expect(said.err).toContain(`as of ${formatTs(second(5))}, the end of what is held`);
  expect(jsonOf(said)).toMatchObject([
    { state: 'LISTEN', saddr: '::', sport: 80, daddr: null, since: formatTs(second(1)) },
    { state: 'CONNECTED', daddr: '10.0.0.2', pid: 7, pstart: '5', since: formatTs(second(4)) },
  ]);
  expect(jsonOf(conns('--store', store, '-o', 'json', '--listening')).length).toBe(1);
});

test('several hosts beside one another; what is wrong usage, and a time that is not held', () => {
  const [a, b] = [recorded('a'), recorded('b')];
  const { out } = conns('--store', a, '--store', b);
  expect(out[0]).toMatch(/^host +state/);
  expect(out.slice(1).map((line) => line.slice(0, 1))).toEqual(['a', 'a', 'b', 'b']);
  const early = conns('--store', a, '--at', '2001-01-01T00:00:00Z');
  expect([early.out, early.code]).toEqual([[], 1]);
  expect(early.err).toMatch(/nothing is held of 2001-01-01T00:00:00.0{9}Z: held is .* to .*\n$/);
  for (const words of [['extra'], ['--at', '1m', '--at', '2m']]) {
    expect(conns('--store', a, ...words).code, words.join(' ')).toBe(2);
  }
});
