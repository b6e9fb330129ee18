// How a recording begins: anew, or going on with one whose recorder died.

import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { OP_NAMES } from '../../schemas/events.ts';
import type { SmallRow } from '../segment/columns.ts';
import { type CommitPoint, pointOf, readCommits } from '../segment/commits.ts';
import type { Recovered } from '../segment/recover.ts';
import { lossRow } from '../segment/small-tables.ts';
import { inSegmentOrder, segmentsOf } from '../segment/store.ts';
import type { LastRecording, StoreFile } from '../segment/store-file.ts';

const NS_PER_MS = 1_000_000n;

/** What a recording goes on from. */
export interface Beginning {
  /** Id of the recording. */
  readonly recording: string;
  /** Its last point in the store; null where it has none yet. */
  readonly point: CommitPoint | null;
  /** Until when the recording that died is known to have gone on, ms; null where none died. */
  readonly diedAt: number | null;
  /** Where a death before that one is told by no segment yet: the time that it cost, ms. */
  readonly untold: { readonly from: number; readonly to: number } | null;
}

/** Where a recording stands in its store. */
interface Standing {
  readonly point: CommitPoint;
  /** Every row up to this time is stored, but for late ones; ms. */
  readonly until: number;
}

/** Where a recording stands, null where it has stored nothing yet; undefined where that cannot be told. */
function standingOf(segments: string, recording: string): Standing | null | undefined {
  const newest = inSegmentOrder(readdirSync(segments)).at(-1);
  if (newest === undefined) return null;
  const commits = readCommits(join(segments, newest));
  if (!commits?.header) return undefined;
  // The newest is of the recording before: this one has stored nothing.
  if (commits.header.recording !== recording) return null;
  const { begin, last } = commits;
  const point = last === null ? begin : pointOf(last);
  if (point === null) return null;
  // What happened while the commit was being made is in none of its rows.
  const ts = BigInt(point.newest) + BigInt(commits.header.ts_offset);
  const known = point.newest !== '0';
  return { point, until: known ? Math.min(point.at, Number(ts / NS_PER_MS)) : point.at };
}

/**
 * Decides from what the store says, once its segments are in order. A recording goes on under its name
 * while the host has not been booted since and its last point can be read.
 */
export function beginningOf(store: string, file: StoreFile, bootId: string): Beginning {
  const last: LastRecording | null = file.recording;
  if (last === null || last.ended !== null) {
    return { recording: randomUUID(), point: null, diedAt: null, untold: null };
  }
  const standing = standingOf(segmentsOf(store), last.id);
  const diedAt = standing?.until ?? last.began;
  // The first commit of a recording tells of the death before it.
  const from = standing === null ? (last.lost_since ?? null) : null;
  if (last.boot_id !== bootId || standing === undefined) {
    return { recording: randomUUID(), point: null, diedAt: from ?? diedAt, untold: null };
  }
  const untold = from === null ? null : { from, to: last.began };
  return { recording: last.id, point: standing?.point ?? null, diedAt, untold };
}

/** True for names of segments that have their final name. */
export function isSealedName(name: string): boolean {
  return !name.startsWith('.');
}

/**
 * Loss rows for what a recording that died has lost: everything since its last point where the rings
 * could not be gone on with, and what had been stored and was not whole any more.
 */
export function lossesOfDeath(
  { diedAt, untold }: Beginning,
  survived: boolean,
  recovered: readonly Recovered[],
  nowNs: bigint,
): SmallRow[] {
  const crash = (from: number, to: bigint): SmallRow =>
    lossRow('recorder', 'crash', null, BigInt(from) * NS_PER_MS, to);
  if (survived && untold !== null) return [crash(untold.from, BigInt(untold.to) * NS_PER_MS)];
  if (survived || diedAt === null) return [];
  const cut = recovered.flatMap(({ cutRows, cutFrom, cutTo }) =>
    [...cutRows].map(([id, rows]) => ({
      ...lossRow(
        'store',
        'cut',
        BigInt(rows),
        BigInt(cutFrom) * NS_PER_MS,
        BigInt(cutTo) * NS_PER_MS,
      ),
      type: OP_NAMES.get(id)?.type ?? null,
      op: OP_NAMES.get(id)?.op ?? null,
    })),
  );
  return [...cut, crash(untold?.from ?? diedAt, nowNs)];
}

/** What was cut off, in a sentence; null where nothing was. */
export function recoveryText({ name, sealed, cutBytes, cutRows }: Recovered): string | null {
  const rows = [...cutRows.values()].reduce((a, b) => a + b, 0);
  const cut = rows > 0 ? `${rows} rows that were not whole any more` : `${cutBytes} bytes`;
  if (sealed === null && rows === 0) return null;
  if (sealed === null) return `nothing of segment ${name} was whole: it is removed (${cut})`;
  return cutBytes === 0
    ? `segment ${name}, left open by a crash, is sealed`
    : `segment ${name}, left open by a crash, is sealed without ${cut} behind its last commit`;
}
