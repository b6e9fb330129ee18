// Segments made for tests out of random batches.

import { readFileSync } from 'node:fs';
import { EVENT_TABLES, type EventType } from '../../schemas/arrow.ts';
import { schemaFingerprint } from '../../schemas/layout.ts';
import { type CommitPoint, noPoint, type SegmentHeader } from '../../src/segment/commits.ts';
import type { BatchInfo, Segment } from '../../src/segment/reader.ts';
import type { ProcessRow, SocketRow } from '../../src/segment/small-tables.ts';
import { openStore } from '../../src/segment/store.ts';
import type { Value } from '../../src/segment/vectors.ts';
import type { SegmentWriter } from '../../src/segment/writer.ts';
import { VERSION } from '../../src/version.ts';
import type { MadeBatch } from './batches.ts';

export const HEADER: SegmentHeader = {
  format: 1,
  fingerprint: schemaFingerprint(),
  recorder: VERSION,
  host: 'host',
  boot_id: 'boot',
  kernel: 'kernel',
  recording: 'recording',
  ts_offset: '1000',
  clocks: { realtime: '3', monotonic: '2', boottime: '2' },
};

/** A commit point through `seq`. */
export function pointAt(seq: bigint): CommitPoint {
  return {
    ...noPoint(),
    through_seq: Number(seq),
    positions: ['18446744073709551615'],
    consumed: [{ 1: Number(seq) }],
  };
}

/** The segments of a store or directory, without what is wrong with it. */
export function openSegments(path: string): Segment[] {
  return [...openStore(path).segments];
}

export function append(writer: SegmentWriter, batch: MadeBatch): void {
  writer.append(batch.type, batch.item, batch.regions, batch.memory);
}

export function processRow(pid: number, comm: string): ProcessRow {
  return {
    pid,
    pstart: 5n,
    ppid: 1,
    uid: 0,
    comm,
    exe: null,
    args: [comm, ''],
    cwd: null,
    cgroup_id: 1n,
    cgroup: null,
    container_id: null,
    first_seq: null,
    last_seq: null,
  };
}

/** A connection of a process, by its inode. */
export function socketRow(pid: number, daddr: string): SocketRow {
  return {
    ...{ inode: BigInt(pid), family: 'inet', protocol: 'tcp', state: 'CONNECTED' },
    ...{ saddr: '10.0.0.1', sport: 40_000, daddr, dport: 443, pid, pstart: 5n, comm: 'of', uid: 0 },
    ...{ since: null, first_seq: null, last_seq: null },
  };
}

export type Rows = ReadonlyMap<string, readonly Value[]>;

/** Rows of made batches by type and seq. */
export function rowsOf(batches: readonly MadeBatch[]): Rows {
  return new Map(
    batches.flatMap(({ type, rows }) => rows.map((row) => [`${type} ${row[0]}`, row] as const)),
  );
}

/** Every cell of every row that a segment gives, by type and seq; `onDamage` takes what cannot be read. */
export function everything(
  segment: Segment,
  onDamage: (info: BatchInfo, error: unknown) => void = (_, error) => {
    throw error;
  },
): Rows {
  const out = new Map<string, readonly Value[]>();
  const add = (type: EventType, info: BatchInfo): void => {
    const names = EVENT_TABLES[type].columns.map((column) => column.name);
    let columns: ReturnType<Segment['read']>;
    try {
      columns = segment.read(info, names);
    } catch (error) {
      onDamage(info, error);
      return;
    }
    for (let row = 0; row < info.rows; row++) {
      const cells = names.map((name) => columns.get(name)?.get(row) ?? null);
      out.set(`${type} ${cells[0]}`, cells);
    }
  };
  for (const type of segment.types()) {
    for (const info of segment.batches(type)) add(type, info);
  }
  return out;
}

/** Changes one bit of a file's bytes as they are given. */
export function flipped(path: string, at: number): Buffer {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}
