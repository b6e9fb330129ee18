// What an answer over a window lacks, in sentences: what was lost as it was recorded, and what cannot be
// read any more.

import type { EventType } from '../../schemas/arrow.ts';
import { countText as count } from '../event/count-text.ts';
import { sumByOp } from '../segment/commits.ts';
import type { LossRow, Problem, Segment } from '../segment/reader.ts';
import type { OpenedStore } from '../segment/store.ts';
import type { Selection } from './select.ts';

/** Whether selections, samples or limits have left out rows of one of these ops (ids), up to the segment's last commit. */
export function areLeftOut(
  { header, commits }: Pick<Segment, 'header' | 'commits'>,
  ops: readonly number[],
): boolean {
  const line = commits?.last;
  // Without a filter, what was left out as it was read are the recorder's own records.
  const kernel = [line?.filtered ?? [], line?.sampled ?? []];
  const counts = [...kernel, header.filter === undefined ? [] : (line?.own ?? [])];
  return counts.some((one) => {
    const sums = sumByOp(one);
    return ops.some((op) => (sums.get(op) ?? 0) > 0);
  });
}

function inWindow(first: bigint | null, last: bigint | null, selection: Selection): boolean {
  const { since, until } = selection;
  if (since !== null && last !== null && last < since) return false;
  return until === null || first === null || first < until;
}

function isOfType(type: string | null, { types }: Selection): boolean {
  return type === null || (types as readonly string[]).includes(type);
}

/** True of a loss that may have cost rows of a selection; of a clock step in its window, too. */
export function touches(
  { type, firstTs, lastTs }: Pick<LossRow, 'type' | 'firstTs' | 'lastTs'>,
  selection: Selection,
): boolean {
  return isOfType(type, selection) && inWindow(firstTs, lastTs, selection);
}

/** Losses that touch the selection, added up by cause. */
function lossTexts(losses: readonly LossRow[], selection: Selection): string[] {
  const sums = new Map<string, { known: bigint; unknown: boolean }>();
  for (const loss of losses) {
    if (loss.stage === 'clock' || !touches(loss, selection)) continue;
    const key = `${loss.stage} ${loss.cause}${loss.type === null ? '' : ` ${loss.type}.${loss.op}`}`;
    const sum = sums.get(key) ?? { known: 0n, unknown: false };
    sum.known += loss.count ?? 0n;
    sum.unknown ||= loss.count === null;
    sums.set(key, sum);
  }
  return [...sums].map(
    ([key, sum]) =>
      `${sum.unknown ? 'an unknown number of' : count(sum.known)} events lost (${key})`,
  );
}

function problemText({ segment, text, rows }: Problem): string {
  const left = rows === null ? '' : `, ${count(rows)} rows left out`;
  return `${segment}/${text}${left}`.replace(`${segment}/has`, `${segment} has`);
}

/** One sentence for each thing that an answer lacks; none where it is complete. */
export function whatIsMissing(
  losses: readonly LossRow[],
  problems: readonly Problem[],
  selection: Selection,
): string[] {
  const touching = problems.filter(
    ({ type, firstTs, lastTs }) =>
      isOfType(type, selection) && inWindow(firstTs, lastTs, selection),
  );
  return [...lossTexts(losses, selection), ...touching.map(problemText)].map(
    (text) => `incomplete: ${text}`,
  );
}

/** What an answer lacks that was read from these segments, as far as it is known when all is read. */
export function missingFrom({ segments, problems }: OpenedStore, selection: Selection): string[] {
  // The losses first: where they are damaged, that is a problem of its segment.
  const losses = segments.flatMap((segment) => segment.losses());
  const wrong = [...problems, ...segments.flatMap((segment) => segment.problems)];
  return whatIsMissing(losses, wrong, selection);
}

/** What an answer as of a time lacks: rows of some ops that were lost since the recording began. */
export function missingAsOf(
  { segments, problems }: OpenedStore,
  type: EventType,
  ops: readonly string[],
  at: bigint,
): string[] {
  const losses = segments.flatMap((segment) => segment.losses());
  const telling = losses.filter(({ op }) => op === null || ops.includes(op));
  const selection = {
    since: null,
    until: at + 1n,
    types: [type],
    ops: null,
    pids: null,
    comms: null,
  };
  const wrong = [...problems, ...segments.flatMap((segment) => segment.problems)];
  return whatIsMissing(telling, wrong, selection);
}
