// Loss rows on the control socket, whose lines are JSON: 64-bit numbers are decimal text there.

import type { LossRow } from '../segment/small-tables.ts';

type LossLine = Readonly<Record<keyof LossRow, string | number | null>>;

export function lossLines(losses: readonly LossRow[]): LossLine[] {
  return losses.map((loss) => ({
    ...loss,
    count: loss.count === null ? null : String(loss.count),
    firstTs: String(loss.firstTs),
    lastTs: String(loss.lastTs),
  }));
}

/** The rows of lines that lossLines() made. */
export function lossesFrom(lines: readonly LossLine[]): LossRow[] {
  return lines.map(({ stage, cause, type, op, cpu, count, firstTs, lastTs }) => ({
    stage: String(stage),
    cause: String(cause),
    type: type as string | null,
    op: op as string | null,
    cpu: cpu as number | null,
    count: count === null ? null : BigInt(count),
    firstTs: BigInt(firstTs ?? 0),
    lastTs: BigInt(lastTs ?? 0),
  }));
}
