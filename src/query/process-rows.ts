// What segments say of processes: their tables, and the columns of their process rows.

import type { BatchInfo, Segment } from '../segment/reader.ts';
import type { TableRow } from '../segment/small-tables.ts';
import type { Vector } from '../segment/vectors.ts';

/** Names a process of one boot: pids are used again. */
export function processKey(pid: number, pstart: bigint): string {
  return `${pid}:${pstart}`;
}

/** Names the boot of a host on which a segment was recorded: (pid, pstart) names a process of one boot. */
export function bootKey({ header }: Segment): string {
  return `${header.host}\0${header.boot_id}`;
}

/** A row of processes.arrow: how a process was when its segment ended, or when it did itself. */
export interface TableProcess {
  readonly pid: number;
  readonly pstart: bigint;
  readonly ppid: number;
  readonly uid: number;
  readonly comm: string;
  readonly exe: string | null;
  readonly args: readonly string[] | null;
  readonly cwd: string | null;
  readonly cgroupId: bigint;
  readonly cgroup: string | null;
  readonly containerId: string | null;
  readonly pod: string | null;
  readonly podNamespace: string | null;
  /** seq of the fork row that made it; null where it was alive before, or that row is lost. */
  readonly firstSeq: bigint | null;
  /** seq of its exit row; null while it lives. */
  readonly lastSeq: bigint | null;
}

function processOf(row: TableRow): TableProcess {
  const text = (name: string): string | null => row[name] as string | null;
  return {
    pid: row.pid as number,
    pstart: row.pstart as bigint,
    ppid: row.ppid as number,
    uid: row.uid as number,
    comm: text('comm') ?? '',
    exe: text('exe'),
    args: row.args as readonly string[] | null,
    cwd: text('cwd'),
    cgroupId: row.cgroup_id as bigint,
    cgroup: text('cgroup'),
    containerId: text('container_id'),
    pod: text('pod'),
    podNamespace: text('pod_namespace'),
    firstSeq: row.first_seq as bigint | null,
    lastSeq: row.last_seq as bigint | null,
  };
}

/** The processes of a segment by their key; those that no process owns are left out. */
export function processesOf(segment: Segment): Map<string, TableProcess> {
  const out = new Map<string, TableProcess>();
  for (const row of segment.processes()) {
    const one = processOf(row);
    if (one.pid !== 0) out.set(processKey(one.pid, one.pstart), one);
  }
  return out;
}

export interface ProcessBatch {
  readonly info: BatchInfo;
  readonly columns: ReadonlyMap<string, Vector>;
}

/**
 * The columns of a segment's process rows, batch by batch, where `wanted` says so as it comes up; a damaged
 * batch is left out and said.
 */
export function* processBatches(
  segment: Segment,
  columns: readonly string[],
  wanted: (info: BatchInfo) => boolean = () => true,
): Generator<ProcessBatch> {
  for (const info of segment.batches('process')) {
    if (!wanted(info)) continue;
    let read: ReadonlyMap<string, Vector>;
    try {
      read = segment.read(info, columns);
    } catch (error) {
      segment.leaveOut(info, error);
      continue;
    }
    yield { info, columns: read };
  }
}
