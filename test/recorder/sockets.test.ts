// Which TCP sockets are open, from the snapshot and rows; and what of it a recorder keeps.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EVENTS } from '../../schemas/events.ts';
import type { BatchItem } from '../../src/event/batch.ts';
import type { SocketSnapshot } from '../../src/event/sockets.ts';
import { FLUSH_MS, Recorder } from '../../src/recorder/recorder.ts';
import { ROTATION } from '../../src/recorder/rotation.ts';
import { SOCKETS_MAX, SocketTable } from '../../src/recorder/sockets.ts';
import { diskFiles } from '../../src/segment/files.ts';
import type { SocketRow } from '../../src/segment/small-tables.ts';
import { ensureStore, openStore, segmentsOf } from '../../src/segment/store.ts';
import { random } from '../support/batches.ts';
import { FakeNative, type FakeRow, FakeSource } from '../support/fake-source.ts';
import { temporaryDirectory } from '../support/recording.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const regions = new FakeNative().columns(2);
const OWNER = { pid: 7, pstart: 5n, uid: 1, comm: 'nginx' };
const tcp = { ...OWNER, family: 'inet', protocol: 'tcp', saddr: '10.0.0.1', sport: 80 };
const listen = { ...tcp, op: 'listen', error: 0, old_state: 'CLOSE' };

function peer(dport: number): FakeRow {
  return { ...tcp, daddr: '10.0.0.2', dport };
}

const accept = (port: number): FakeRow => ({
  ...{ ...peer(port), op: 'accept', error: 0, new_state: 'ESTABLISHED' },
});
const close = (port: number): FakeRow => ({
  ...{ ...peer(port), op: 'close', old_state: 'LAST_ACK', new_state: 'CLOSE' },
});

function snapshotOf(inode: bigint, dport: number | null): SocketSnapshot {
  return {
    ...{ ...OWNER, inode, family: 'inet', listens: dport === null, saddr: '10.0.0.1', sport: 80 },
    ...{ daddr: dport === null ? '0.0.0.0' : '10.0.0.2', dport: dport ?? 0 },
  };
}

function apply(table: SocketTable, source: FakeSource, rows: readonly FakeRow[]): void {
  source.rows('network', rows);
  const batch = source.take() as BatchItem;
  table.apply(batch, regions, source.slotBuffer(batch.slot));
  source.release(batch.slot);
}

const fresh = (): [SocketTable, FakeSource] => [new SocketTable(), new FakeSource(() => {})];

test('what is opened and closed between two flushes is not told; what stays, and its end, is', () => {
  const [table, source] = fresh();
  apply(table, source, [listen, accept(1), accept(2), close(1)]);
  expect(table.takeChanges()).toMatchObject([
    { ...OWNER, state: 'LISTEN', sport: 80, daddr: null, first_seq: 1n, last_seq: null },
    { ...OWNER, state: 'CONNECTED', dport: 2, first_seq: 3n, since: 3_000n, inode: null },
  ]);
  apply(table, source, [close(2)]);
  expect(table.takeChanges()).toMatchObject([{ dport: 2, first_seq: 3n, last_seq: 5n }]);
  expect(table.size).toBe(1);
  table.rotate();
  expect(table.takeChanges()).toMatchObject([{ state: 'LISTEN', first_seq: 1n }]);
});

test('rows of what the snapshot has already are no others; later ones are', () => {
  const [table, source] = fresh();
  table.start([snapshotOf(1n, null), snapshotOf(2n, 9)], 2_000n);
  apply(table, source, [listen, accept(9), listen]);
  expect(table.takeChanges()).toMatchObject([
    { inode: 1n, first_seq: 1n },
    { inode: 2n, first_seq: 2n, since: 2_000n },
    { inode: null, state: 'LISTEN', first_seq: 3n },
  ]);
});

test('what was reset before it was accepted, failed, or is not TCP, opens nothing', () => {
  const [table, source] = fresh();
  apply(table, source, [
    { ...accept(1), new_state: 'CLOSE' },
    { ...listen, error: 98 },
    { ...listen, old_state: 'LISTEN' },
    { ...peer(3), op: 'connect', error: 111, old_state: 'SYN_SENT', new_state: 'CLOSE' },
    { ...peer(4), op: 'connect', error: 0, protocol: 'udp' },
    { ...peer(5), op: 'connect', old_state: 'SYN_SENT', new_state: 'CLOSE' },
  ]);
  expect([table.size, table.takeChanges()]).toEqual([0, []]);
});

test('a row that comes late opens nothing that was closed, and closes nothing that was opened since', () => {
  const [table, source] = fresh();
  apply(table, source, [
    { ...close(1), ts: 20n },
    { ...accept(1), ts: 10n, flags: 1 },
    { ...accept(2), ts: 40n },
    { ...close(2), ts: 30n, flags: 1 },
  ]);
  expect(table.takeChanges()).toMatchObject([{ dport: 2, last_seq: null }]);
});

test('after a rewind the same rows come again, and nothing else is open than without it', () => {
  for (let round = 0; round < 40; round++) {
    const take = random(SEED + round);
    const below = (limit: number): number => Math.floor(take() * limit);
    const row = (): FakeRow => {
      const what = below(4);
      if (what === 0) return listen;
      if (what === 1) return { ...tcp, op: 'close', old_state: 'LISTEN', new_state: 'CLOSE' };
      return what === 2 ? accept(below(4)) : close(below(4));
    };
    const parts = [below(20), below(20)].map((count) => Array.from({ length: count + 1 }, row));
    const snapshot = [snapshotOf(1n, null), snapshotOf(2n, 0), snapshotOf(3n, 1)];
    const taken = BigInt(below(40)) * 1_000n;
    const end = (rewinds: boolean): SocketRow[] => {
      const [table, source] = fresh();
      table.start(snapshot, taken);
      apply(table, source, parts[0] as FakeRow[]);
      table.takeChanges();
      const through = BigInt(parts[0]?.length ?? 0);
      if (rewinds) {
        apply(table, source, parts[1] as FakeRow[]);
        // The commit may have been what failed.
        if (round % 2 === 0) table.takeChanges();
        table.rewind(through);
        table.rotate();
        source.rewind({ tsOffset: 0n, nextSeq: through + 1n, point: null });
      }
      apply(table, source, parts[1] as FakeRow[]);
      table.rotate();
      return table.takeChanges();
    };
    // Which of several listeners is closed, nothing tells.
    const told = (rows: SocketRow[]): string[] =>
      rows.map((one) => `${one.state} ${one.dport}`).sort();
    const seed = SEED + round;
    expect(told(end(true)), `seed ${seed}`).toEqual(told(end(false)));
  }
});

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
  directory.remove();
});

const OPS = Object.values(EVENTS.network.ops).map(({ id }) => id);

function record(ops: readonly number[], open: SocketSnapshot[] = []) {
  const store = join(directory.path, 'store');
  ensureStore(store);
  const native = new FakeNative();
  native.sockets = open;
  const notes: string[] = [];
  const source = {
    ...{ kind: 'live' as const, pins: null, orphanTimeoutNs: 0n, ringBytes: 1 << 20 },
    ...{ slotsPerType: 1, ops, syscalls: [], latency: true },
    exclude: { pids: [], uids: [], comms: [], cgroups: [] },
  };
  const recorder = new Recorder({
    ...{ native, files: diskFiles, catalog: null, store, segments: segmentsOf(store) },
    ...{ firstNumber: 0, recovered: [], retention: null, rotation: ROTATION, source },
    host: { recorder: 'test', host: 'h', boot_id: 'b', kernel: 'k' },
    beginning: { recording: 'r', point: null, diedAt: null, untold: null },
    onNote: (text) => notes.push(text),
  });
  const done = recorder.run(() => {});
  done.catch(() => {});
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  const flush = async (kind: 'plain' | 'rotated' | 'final'): Promise<void> => {
    native.source.cutNow(kind);
    await settle();
    await vi.advanceTimersByTimeAsync(FLUSH_MS);
  };
  const tables = (): (string[] | null)[] => {
    const { segments } = openStore(store);
    return segments.map((segment) => {
      const rows = segment.sockets()?.map((row) => `${row.state} ${row.dport}`) ?? null;
      segment.close();
      return rows;
    });
  };
  return { store, native, recorder, source, notes, flush, settle, tables };
}

test('a live recorder keeps them from segment to segment, until the ops for it are taken away', async () => {
  const { native, recorder, source, notes, flush, tables } = record(OPS, [snapshotOf(1n, null)]);
  native.source.rows('network', [accept(1), accept(2)]);
  await flush('plain');
  expect(tables()).toEqual([['LISTEN null', 'CONNECTED 1', 'CONNECTED 2']]);
  await flush('rotated');
  native.source.rows('network', [close(1), accept(3)]);
  await flush('plain');
  recorder.configure({ ...source, ops: OPS.slice(1) });
  expect(notes.join()).toContain('conns knows none from now on');
  expect(native.source.asked.at(-1)).not.toBe(null);
  await flush('rotated');
  native.source.rows('network', [accept(4)]);
  await flush('plain');
  recorder.stop();
  await flush('final');
  const kept = ['LISTEN null', 'CONNECTED 1', 'CONNECTED 2'];
  expect(tables()).toEqual([kept, [...kept, 'CONNECTED 3'], null]);
  recorder.close();
});

test('none are kept without the ops that tell of them, and an empty table is a table', async () => {
  for (const [ops, expected] of [[OPS, []] as const, [OPS.slice(1), null] as const]) {
    const { store, native, recorder, flush, tables } = record(ops);
    native.source.rows('network', [{ ...peer(1), op: 'drop' }]);
    await flush('plain');
    recorder.stop();
    await flush('final');
    expect(tables().at(-1)).toEqual(expected);
    const [last = ''] = readdirSync(segmentsOf(store)).sort().slice(-1);
    expect(readdirSync(join(segmentsOf(store), last)).includes('sockets.arrow')).toBe(
      expected !== null,
    );
    recorder.close();
    directory.remove();
  }
});

test('too many of them are given up, and that is said', async () => {
  const many = Array.from({ length: SOCKETS_MAX }, (_, i) => snapshotOf(BigInt(i + 1), i));
  const { native, recorder, notes, flush } = record(OPS, many);
  native.source.rows('network', [{ ...peer(1), op: 'drop' }]);
  await flush('plain');
  expect(notes).toEqual([]);
  native.source.rows('network', [listen]);
  await flush('plain');
  expect(notes).toEqual([expect.stringContaining('more than 65,536 TCP sockets are open')]);
  recorder.close();
});
