// The sum of a recording: what the kernel issued, and what became of it. Issued is what the kernel counted;
// stored is counted from the rows themselves, so that the two hold one another to account.

import type { EventType } from '../../schemas/arrow.ts';
import { FLAGS, OP_NAMES } from '../../schemas/events.ts';
import {
  type CommitPoint,
  type LossCount,
  noPoint,
  sumByOp,
  turningPoints,
} from '../segment/commits.ts';
import type { LossRow, Problem, Segment } from '../segment/reader.ts';
import { DictionaryVector, NumberVector } from '../segment/vectors.ts';

/** What became of the events of one op, by count. */
export interface OpAccount {
  issued: number;
  stored: number;
  lost: number;
  /** Left out by --sample and --limit; the rows' weights stand for them. */
  sampled: number;
  /** Left out by a selection, in the kernel or as it was read, by an export, or made by the recorder itself. */
  filtered: number;
  /** In the rings when the last commit was made: not read yet. */
  waiting: number;
  /** Of those stored: handed over later than rows that are younger. */
  late: number;
}

/** Losses of one stage and cause; `known` is false where a count is unknown. */
export interface CauseAccount {
  readonly stage: string;
  readonly cause: string;
  readonly type: string | null;
  readonly op: string | null;
  count: number;
  known: boolean;
}

/** The account of one recording, over its segments that were asked for. */
export interface Account {
  readonly recording: string;
  readonly segments: readonly string[];
  /** Wall clock of the points between which it is drawn up, ms since 1970; null from the beginning. */
  readonly from: number | null;
  readonly to: number;
  /** By `type.op`, only those with a count. */
  readonly ops: Readonly<Record<string, OpAccount>>;
  readonly causes: readonly CauseAccount[];
  /** Rows that an export left out, of those that are filtered. */
  readonly leftOut: number;
  /** Whether issued = stored + lost + sampled + filtered + waiting, op by op, and the loss rows agree. */
  readonly holds: boolean;
  /** Why it does not, and what cannot be accounted for. */
  readonly reasons: readonly string[];
}

type Sums = Map<string, number>;

const nameOf = (op: number): string => {
  const name = OP_NAMES.get(op);
  return name === undefined ? 'unknown' : `${name.type}.${name.op}`;
};

/** Counters of a point by op name. */
interface Counters {
  readonly emitted: Sums;
  readonly consumed: Sums;
  readonly filtered: Sums;
  readonly sampled: Sums;
  readonly own: Sums;
  readonly lost: Sums;
  readonly malformed: Sums;
  /** By cause, then op. */
  readonly refused: ReadonlyMap<string, Sums>;
}

function named(counts: ReadonlyMap<number, number>): Sums {
  return new Map([...counts].map(([op, count]) => [nameOf(op), count]));
}

function countersOf(point: CommitPoint): Counters {
  const refused = Object.entries(point.refused).map(
    ([cause, counts]) => [cause, named(sumByOp(counts))] as const,
  );
  return {
    emitted: named(sumByOp(point.emitted)),
    consumed: named(sumByOp(point.consumed)),
    filtered: named(sumByOp(point.filtered)),
    sampled: named(sumByOp(point.sampled ?? [])),
    own: named(sumByOp(point.own)),
    lost: named(sumByOp(point.lost)),
    malformed: named(sumByOp([point.malformed])),
    refused: new Map(refused),
  };
}

function add(sums: Sums, key: string, count: number): void {
  if (count !== 0) sums.set(key, (sums.get(key) ?? 0) + count);
}

function addDifference(to: Sums, after: Sums, before: Sums): void {
  for (const [key, count] of after) add(to, key, count - (before.get(key) ?? 0));
}

/** A refusal that is told beside a record that was written all the same. */
const ALSO_EMITTED = 'overrun';
/** Rows that were cut off together with the counters that knew them. */
const UNCOUNTED = 'cut';
/** The rings went with what was in them. */
const DIED = 'crash';

/** Sums over the stretches between points. */
class Ledger {
  readonly issued: Sums = new Map();
  readonly consumed: Sums = new Map();
  readonly filtered: Sums = new Map();
  readonly sampled: Sums = new Map();
  /** What the counters say was lost, by stage. */
  readonly lost = { ring: new Map(), kernel: new Map(), decode: new Map() } as Record<string, Sums>;
  waiting: Sums = new Map();
  /** What waited in rings that were gone before it was read. */
  readonly gone: Sums = new Map();

  /** Begins where `point` is: what was in the rings then is issued before, and stored after. */
  begin(point: CommitPoint): void {
    this.#setWaiting(countersOf(point));
    for (const [key, count] of this.waiting) add(this.issued, key, count);
  }

  /** Goes on from one point to the next; other rings begin at zero. */
  step(before: CommitPoint, after: CommitPoint): void {
    const now = countersOf(after);
    const same = before.rings === after.rings;
    const then = countersOf(same ? before : noPoint());
    if (!same) for (const [key, count] of this.waiting) add(this.gone, key, count);
    addDifference(this.issued, now.emitted, then.emitted);
    addDifference(this.issued, now.filtered, then.filtered);
    addDifference(this.issued, now.sampled, then.sampled);
    addDifference(this.sampled, now.sampled, then.sampled);
    addDifference(this.consumed, now.consumed, then.consumed);
    addDifference(this.consumed, then.malformed, now.malformed);
    addDifference(this.filtered, now.filtered, then.filtered);
    addDifference(this.filtered, now.own, then.own);
    addDifference(this.#stage('ring'), now.lost, then.lost);
    addDifference(this.#stage('decode'), now.malformed, then.malformed);
    for (const [cause, counts] of now.refused) {
      const earlier = then.refused.get(cause) ?? new Map<string, number>();
      addDifference(this.#stage('kernel'), counts, earlier);
      if (cause !== ALSO_EMITTED) addDifference(this.issued, counts, earlier);
    }
    this.#setWaiting(now);
  }

  #stage(name: string): Sums {
    return this.lost[name] as Sums;
  }

  #setWaiting({ emitted, consumed, lost, own }: Counters): void {
    this.waiting = new Map();
    for (const [key, count] of emitted) {
      const gone = [consumed, lost, own].reduce((sum, counts) => sum + (counts.get(key) ?? 0), 0);
      add(this.waiting, key, count - gone);
    }
  }
}

/** Rows of a segment by op, and how many of them are late; what cannot be read is left out. */
function countRows(segment: Segment, stored: Sums, late: Sums): void {
  for (const type of segment.types()) {
    for (const info of segment.batches(type)) {
      try {
        const columns = segment.read(info, ['op', 'flags']);
        countBatch(type, columns.get('op'), columns.get('flags'), stored, late);
      } catch (error) {
        segment.leaveOut(info, error);
      }
    }
  }
}

function countBatch(type: EventType, ops: unknown, flags: unknown, stored: Sums, late: Sums): void {
  if (!(ops instanceof DictionaryVector) || !(flags instanceof NumberVector)) return;
  const size = ops.dictionary.length;
  const [rows, lateRows] = [new Uint32Array(size), new Uint32Array(size)];
  const bit = 1 << FLAGS.late.bit;
  for (let row = 0; row < ops.length; row++) {
    const op = Number(ops.indices[row]);
    rows[op] = (rows[op] ?? 0) + 1;
    if ((Number(flags.values[row]) & bit) !== 0) lateRows[op] = (lateRows[op] ?? 0) + 1;
  }
  ops.dictionary.all().forEach((op, i) => {
    add(stored, `${type}.${op}`, rows[i] ?? 0);
    add(late, `${type}.${op}`, lateRows[i] ?? 0);
  });
}

type AnyLoss = LossCount | LossRow;

function addCauses(causes: Map<string, CauseAccount>, losses: readonly AnyLoss[]): void {
  for (const { stage, cause, type, op, count } of losses) {
    if (stage === 'clock') continue;
    const key = [stage, cause, type, op].join(' ');
    const entry = causes.get(key) ?? { stage, cause, type, op, count: 0, known: true };
    entry.count += Number(count ?? 0n);
    entry.known &&= count !== null;
    causes.set(key, entry);
  }
}

const keyOf = ({ type, op }: CauseAccount): string => (type === null ? 'unknown' : `${type}.${op}`);

/** Losses by op, of those that are `wanted`. */
function lossesByOp(
  causes: ReadonlyMap<string, CauseAccount>,
  wanted: (one: CauseAccount) => boolean,
): Sums {
  const sums: Sums = new Map();
  for (const one of causes.values()) if (wanted(one)) add(sums, keyOf(one), one.count);
  return sums;
}

/** The account of the segments of one recording, in their order. */
function accountOf(recording: string, segments: readonly Segment[]): Account {
  const reasons: string[] = [];
  const ledger = new Ledger();
  const stored: Sums = new Map();
  const late: Sums = new Map();
  const causes = new Map<string, CauseAccount>();
  let last: CommitPoint | null = null;
  let from: number | null = null;
  let leftOut = 0;
  for (const segment of segments) {
    const { commits, name } = segment;
    const end = commits?.last ?? null;
    if (!commits || end === null) {
      reasons.push(`${name} has no commit lines to be accounted by`);
      continue;
    }
    const begin = commits.begin ?? noPoint();
    if (last === null) {
      from = commits.begin?.at ?? null;
      ledger.begin(begin);
    } else if (begin.through_seq !== last.through_seq) {
      reasons.push(`what lies between ${name} and the segment before it is gone`);
      ledger.step(last, begin);
    }
    turningPoints(commits).reduce((before, after) => {
      ledger.step(before, after);
      return after;
    });
    last = end;
    countRows(segment, stored, late);
    addCauses(causes, segment.losses());
    addCauses(causes, end.left_out?.losses ?? []);
    for (const [key, count] of named(sumByOp([end.left_out?.rows ?? {}]))) {
      add(ledger.filtered, key, count);
      leftOut += count;
    }
    for (const problem of segment.problems) reasons.push(problemText(problem));
  }
  const lost = lossesByOp(causes, ({ cause }) => cause !== ALSO_EMITTED);
  const cut = lossesByOp(causes, ({ cause }) => cause === UNCOUNTED);
  for (const [key, count] of cut) add(ledger.issued, key, count);
  // What waited as the recorder died is part of what nobody knows.
  const died = [...causes.values()].some(({ cause }) => cause === DIED);
  if (died) for (const [key, count] of ledger.gone) add(ledger.issued, key, -count);
  const ops = opsOf(ledger, stored, late, lost);
  return {
    recording,
    segments: segments.map(({ name }) => name),
    from,
    to: last?.at ?? 0,
    ops,
    causes: [...causes.values()],
    leftOut,
    holds: reasons.push(...disagreements(ledger, ops, causes)) === 0,
    reasons,
  };
}

function problemText({ segment, text }: Problem): string {
  return `${segment}: ${text}`;
}

function opsOf(ledger: Ledger, stored: Sums, late: Sums, lost: Sums): Record<string, OpAccount> {
  const { issued, sampled, filtered, waiting } = ledger;
  const all = [issued, stored, lost, sampled, filtered, waiting];
  const keys = [...new Set(all.flatMap((sums) => [...sums.keys()]))];
  return Object.fromEntries(
    keys.map((key) => [
      key,
      {
        issued: issued.get(key) ?? 0,
        stored: stored.get(key) ?? 0,
        lost: lost.get(key) ?? 0,
        sampled: sampled.get(key) ?? 0,
        filtered: filtered.get(key) ?? 0,
        waiting: waiting.get(key) ?? 0,
        late: late.get(key) ?? 0,
      },
    ]),
  );
}

/** Where the sum does not come out, or loss rows and counters differ. */
function disagreements(
  ledger: Ledger,
  ops: Readonly<Record<string, OpAccount>>,
  causes: ReadonlyMap<string, CauseAccount>,
): string[] {
  const out: string[] = [];
  for (const [key, one] of Object.entries(ops)) {
    const sum = one.stored + one.lost + one.sampled + one.filtered + one.waiting;
    if (sum === one.issued) continue;
    const word = sum < one.issued ? 'missing' : 'too many';
    out.push(
      `${key}: ${one.issued} issued, ${sum} accounted for: ${Math.abs(one.issued - sum)} ${word}`,
    );
  }
  for (const [stage, counted] of Object.entries(ledger.lost)) {
    const told = lossesByOp(causes, (one) => one.stage === stage);
    for (const key of new Set([...counted.keys(), ...told.keys()])) {
      const [a, b] = [counted.get(key) ?? 0, told.get(key) ?? 0];
      if (a !== b) out.push(`${key}: the ${stage} counters say ${a} lost, the loss rows ${b}`);
    }
  }
  return out;
}

/** The accounts of the recordings that `segments`, which are in order, are of. */
export function accounts(segments: readonly Segment[]): Account[] {
  const byRecording = new Map<string, Segment[]>();
  for (const segment of segments) {
    const { recording } = segment.header;
    const list = byRecording.get(recording) ?? [];
    list.push(segment);
    byRecording.set(recording, list);
  }
  return [...byRecording].map(([recording, list]) => accountOf(recording, list));
}
