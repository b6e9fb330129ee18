// A process and all that descend from it: by fork rows, and by the parents of those that were alive before
// any row.

import { FLAGS } from '../../schemas/events.ts';
import { TapioError } from '../errors.ts';
import type { BatchInfo, LossRow, Segment } from '../segment/reader.ts';
import type { Value } from '../segment/vectors.ts';
import { whatIsMissing } from './completeness.ts';
import { recordingKey } from './merge.ts';
import { bootKey, processBatches } from './process-rows.ts';
import { ProcessSet, type ProcessSets } from './process-set.ts';
import type { Selection } from './select.ts';

/** One life of a pid. */
export interface Life {
  readonly boot: string;
  readonly pid: number;
  readonly pstart: bigint;
  /** When it was born, ns since 1970. */
  readonly startTs: bigint;
  /** Where it has ended. */
  readonly end: { readonly segment: Segment; readonly seq: bigint } | null;
}

const TABLE_COLUMNS = ['pid', 'pstart', 'ppid', 'first_seq', 'last_seq'];

/** All lives of a pid that segments hold, by their start. */
export function livesOf(segments: readonly Segment[], pid: number): Life[] {
  const lives = new Map<string, Life>();
  for (const segment of segments) {
    const boot = bootKey(segment);
    const { realtime, boottime } = segment.header.clocks;
    for (const row of segment.processes(TABLE_COLUMNS)) {
      if (row.pid !== pid) continue;
      const pstart = row.pstart as bigint;
      const key = `${boot}\0${pstart}`;
      const startTs = lives.get(key)?.startTs ?? pstart + BigInt(realtime) - BigInt(boottime);
      const seq = row.last_seq as bigint | null;
      const end = lives.get(key)?.end ?? (seq === null ? null : { segment, seq });
      lives.set(key, { boot, pid, pstart, startTs, end });
    }
  }
  return [...lives.values()].sort((a, b) => (a.startTs < b.startTs ? -1 : 1));
}

/** When it ended; null where it has not, or the row cannot be read. */
function endOf({ end }: Life): bigint | null {
  if (end === null) return null;
  const { segment, seq } = end;
  const holds = ({ firstSeq, lastSeq }: BatchInfo): boolean => firstSeq <= seq && seq <= lastSeq;
  for (const { info, columns } of processBatches(segment, ['seq', 'ts'], holds)) {
    for (let row = 0; row < info.rows; row++) {
      if (columns.get('seq')?.get(row) === seq) return columns.get('ts')?.get(row) as bigint;
    }
  }
  return null;
}

/** Of several lives the one at a time, else the last; null where there is none. */
export function lifeAt(lives: readonly Life[], at: bigint | null): Life | null {
  const then = lives.findLast((life) => {
    if (at === null || life.startTs > at) return false;
    const ended = endOf(life);
    return ended === null || ended > at;
  });
  return then ?? lives.at(-1) ?? null;
}

const LATE = 1 << FLAGS.late.bit;

type Row = Readonly<Record<string, Value>>;

/** Grows a set by what one recording of its boot says, segment by segment. */
class Descent {
  readonly #set: ProcessSet;

  constructor(set: ProcessSet) {
    this.#set = set;
  }

  take(segment: Segment): void {
    const table = segment.processes(TABLE_COLUMNS);
    const unforked = this.#unforked(segment, table);
    const lives = Map.groupBy(table, (row) => row.pid as number);
    this.#chain(unforked, lives);
    let again = this.#forks(segment);
    // One pass is enough, but where a row came late or a parent was born before who is known by it.
    while (this.#chain(unforked, lives) || again) again = this.#forks(segment);
  }

  /** Processes whose fork is no row of a segment: it was before, or it is lost. By age. */
  #unforked(segment: Segment, table: readonly Row[]): Row[] {
    const firsts = segment.batches('process').map(({ firstSeq }) => firstSeq);
    const first = firsts.reduce((a, b) => (b < a ? b : a), firsts[0] ?? 0n);
    return table
      .filter((row) => {
        const forked = row.first_seq as bigint | null;
        return forked === null || forked < first;
      })
      .sort((a, b) => ((a.pstart as bigint) < (b.pstart as bigint) ? -1 : 1));
  }

  /** Adds those whose parent is in the set; true where there were any. */
  #chain(unforked: readonly Row[], lives: ReadonlyMap<number, readonly Row[]>): boolean {
    let grew = false;
    for (const child of unforked) {
      const [pid, pstart] = [child.pid as number, child.pstart as bigint];
      // Its parent is the life of that pid which is older than itself.
      const older = (lives.get(child.ppid as number) ?? [])
        .map((row) => row.pstart as bigint)
        .filter((start) => start <= pstart);
      const parent = older.reduce<bigint | null>((a, b) => (a === null || b > a ? b : a), null);
      if (parent === null || pid === child.ppid) continue;
      const depth = this.#set.depthOf(child.ppid as number, parent);
      if (depth !== null && this.#set.add(pid, pstart, depth + 1)) grew = true;
    }
    return grew;
  }

  /** Adds the children of the set; true where a late row did, whose own children may have come before it. */
  #forks(segment: Segment): boolean {
    let late = false;
    const names = ['op', 'pid', 'pstart', 'flags', 'child_pid', 'child_pstart'];
    const concerns = ({ zones: { pid } }: BatchInfo): boolean =>
      pid === undefined || !('min' in pid) || this.#set.hasPidIn(pid.min, pid.max);
    for (const { info, columns } of processBatches(segment, names, concerns)) {
      const get = (name: string, row: number): Value => columns.get(name)?.get(row) ?? null;
      for (let row = 0; row < info.rows; row++) {
        const depth = this.#set.depthOf(get('pid', row) as number, get('pstart', row) as bigint);
        if (depth === null || get('op', row) !== 'fork') continue;
        const [pid, pstart] = [get('child_pid', row) as number, get('child_pstart', row) as bigint];
        if (!this.#set.add(pid, pstart, depth + 1)) continue;
        late ||= ((get('flags', row) as number) & LATE) !== 0;
      }
    }
    return late;
  }
}

/** True of a segment whose rows all lie before a time: nobody who was born then is in them. */
function endsBefore(segment: Segment, ts: bigint): boolean {
  const batches = segment.types().flatMap((type) => segment.batches(type));
  return batches.length > 0 && batches.every(({ lastTs }) => lastTs < ts);
}

/** Segments of each recording, the oldest recording first. */
function byRecording(segments: readonly Segment[]): Segment[][] {
  const beginning = ([one]: readonly Segment[]): bigint => BigInt(one?.header.clocks.realtime ?? 0);
  return [...Map.groupBy(segments, ({ header }) => recordingKey(header)).values()].sort((a, b) =>
    beginning(a) < beginning(b) ? -1 : 1,
  );
}

/** The lives themselves, and nobody else. */
export function setsOf(lives: readonly Life[]): Map<string, ProcessSet> {
  const sets = new Map<string, ProcessSet>();
  for (const { boot, pid, pstart } of lives) {
    const set = sets.get(boot) ?? new ProcessSet();
    set.add(pid, pstart, 0);
    sets.set(boot, set);
  }
  return sets;
}

/** Lives and all who descend from them, as long as anything is held. */
export function descendantsOf(segments: readonly Segment[], lives: readonly Life[]): ProcessSets {
  const sets = setsOf(lives);
  for (const own of byRecording(segments)) {
    const boot = bootKey(own[0] as Segment);
    const set = sets.get(boot);
    if (set === undefined) continue;
    const roots = lives.filter((life) => life.boot === boot).map(({ startTs }) => startTs);
    const born = roots.reduce((a, b) => (b < a ? b : a));
    const descent = new Descent(set);
    for (const segment of own) if (!endsBefore(segment, born)) descent.take(segment);
  }
  return sets;
}

/** What a set of descendants may lack up to a time, in sentences: forks that were lost. */
export function missingForks(segments: readonly Segment[], until: bigint | null): string[] {
  const isFork = ({ type, op }: LossRow): boolean =>
    (type === null || type === 'process') && (op === null || op === 'fork');
  const losses = segments.flatMap((segment) => segment.losses()).filter(isFork);
  const selection = { since: null, until, types: ['process'], ops: null, pids: null, comms: null };
  return whatIsMissing(losses, [], selection as Selection).map(
    (text) => `${text}: descendants of a fork that was lost may be left out`,
  );
}

/**
 * A selection by pid, with all descendants of all lives of these pids: --children of --pid. Throws
 * TapioError where it names no pid.
 */
export function withDescendants(segments: readonly Segment[], selection: Selection): Selection {
  const { pids } = selection;
  if (pids === null) throw new TapioError('usage', '--children are those of --pid: give that too');
  const lives = [...pids].flatMap((pid) => livesOf(segments, pid));
  return { ...selection, pids: null, processes: descendantsOf(segments, lives) };
}
