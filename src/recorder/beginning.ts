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

/** What a recording goes on from. */
export interface Beginning {
  /** Id of the recording. */
  readonly recording: string;
  /** Its last point in the store; null where it has none yet. */
  readonly point: CommitPoint | null;
  /** Until when the recording that died is known to have gone on, ms; null where none died. */
  readonly diedAt: number | null;
}

/** The last point of a recording, null where it has none yet; undefined where that cannot be told. */
function lastPoint(segments: string, recording: string): CommitPoint | null | undefined {
  const newest = inSegmentOrder(readdirSync(segments)).at(-1);
  if (newest === undefined) return null;
  const commits = readCommits(join(segments, newest));
  if (!commits?.header) return undefined;
  // The newest is of the recording before: this one has stored nothing.
  if (commits.header.recording !== recording) return null;
  const last = commits.lines.at(-1);
  return last === undefined ? commits.begin : pointOf(last);
}

/**
 * Decides from what the store says, once its segments are in order. A recording goes on under its name
 * while the host has not been booted since and its last point can be read.
 */
export function beginningOf(store: string, file: StoreFile, bootId: string): Beginning {
  const last: LastRecording | null = file.recording;
  if (last === null || last.ended !== null) {
    return { recording: randomUUID(), point: null, diedAt: null };
  }
  const point = lastPoint(segmentsOf(store), last.id);
  const diedAt = point?.at ?? last.began;
  if (last.boot_id !== bootId || point === undefined) {
    return { recording: randomUUID(), point: null, diedAt };
  }
  return { recording: last.id, point, diedAt };
}

/** True for names of segments that have their final name. */
export function isSealedName(name: string): boolean {
  return !name.startsWith('.');
}

const NS_PER_MS = 1_000_000n;

/**
 * Loss rows for what a recording that died has lost: everything since its last point where the rings
 * could not be gone on with, and what had been stored and was not whole any more.
 */
export function lossesOfDeath(
  { diedAt }: Beginning,
  survived: boolean,
  recovered: readonly Recovered[],
  nowNs: bigint,
): SmallRow[] {
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
  const crash = lossRow('recorder', 'crash', null, BigInt(diedAt) * NS_PER_MS, nowNs);
  return [...cut, crash];
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
