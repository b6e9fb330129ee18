// Who was alive at a time, and as what: a segment's table says who lived during it and how each was at its
// end; its fork, exec and exit rows say what changed when. What lay before the first row about a process is
// how it was at the end of the segment before.

import { EVENTS } from '../../schemas/events.ts';
import { TapioError } from '../errors.ts';
import { formatTs } from '../event/clock.ts';
import { isExcerpt } from '../segment/commits.ts';
import type { Segment } from '../segment/reader.ts';
import type { OpenedStore } from '../segment/store.ts';
import { areLeftOut, missingAsOf } from './completeness.ts';
import { covering, heldText, type Stretch, stretchesOf } from './held.ts';
import { type Exec, Lives, lastExec, type ToldLife } from './lives.ts';
import { bootKey, processesOf, processKey, type TableProcess } from './process-rows.ts';
import { RowReader } from './rows.ts';

/** What a process runs. */
export interface ProgramState {
  /** Null where nobody knows: see processesAt(). */
  readonly comm: string | null;
  readonly exe: string | null;
  /** Null of kernel threads, and where nobody knows. */
  readonly args: readonly string[] | null;
  readonly cwd: string | null;
}

/** A process as it was at a time. */
export interface ProcessState extends ProgramState {
  readonly host: string;
  readonly pid: number;
  readonly pstart: bigint;
  /** Null where its parent had ended and no row says who took it over. */
  readonly ppid: number | null;
  readonly uid: number;
  /** When it was born, ns since 1970. */
  readonly startTs: bigint;
  readonly cgroupId: bigint;
  readonly cgroup: string | null;
  readonly containerId: string | null;
  readonly pod: string | null;
  readonly podNamespace: string | null;
}

export interface ProcessesAt {
  readonly at: bigint;
  /** By host, then pid. */
  readonly processes: readonly ProcessState[];
  /** What a reader should be told although nothing is missing, in sentences. */
  readonly notes: readonly string[];
  /** One sentence for each thing that the answer lacks. */
  readonly missing: readonly string[];
}

/** It lives as long as the host does, listed or not; 0 is the kernel. */
const INIT = 1;

const UNKNOWN: ProgramState = { comm: null, exe: null, args: null, cwd: null };

/** The processes of one recording at a time within one of its segments. */
class Moment {
  readonly #at: bigint;
  readonly #segment: Segment;
  readonly #here: Map<string, TableProcess>;
  readonly #before: Map<string, TableProcess>;
  readonly #lives: Lives;
  readonly #details = new RowReader(() => ['filename', 'args', 'cwd']);
  readonly #programs = new Map<Exec, ProgramState>();
  readonly #cgroups = new Map<bigint, TableProcess>();
  /** ns to add to a time since boot to get a ts. */
  readonly #bootOffset: bigint;
  /** Those of which the segment does not say what they ran before they executed something else. */
  readonly unknown = new Set<string>();
  /** Keys by pid. */
  readonly #alive = new Map<number, string>();

  constructor({ segment, previous }: Stretch, at: bigint) {
    this.#at = at;
    this.#segment = segment;
    this.#here = processesOf(segment);
    this.#before = previous === null ? new Map() : processesOf(previous);
    this.#lives = new Lives(segment, at);
    const { realtime, boottime } = segment.header.clocks;
    this.#bootOffset = BigInt(realtime) - BigInt(boottime);
    for (const one of [...this.#before.values(), ...this.#here.values()]) {
      if (one.cgroup !== null) this.#cgroups.set(one.cgroupId, one);
    }
    for (const { pid, pstart } of [...this.#here.values(), ...this.#lives.all()]) {
      if (pid !== 0 && this.#isAlive(pid, pstart)) this.#alive.set(pid, processKey(pid, pstart));
    }
  }

  processes(): ProcessState[] {
    return [...this.#alive.values()].map((key) => this.#state(key));
  }

  #isAlive(pid: number, pstart: bigint): boolean {
    const key = processKey(pid, pstart);
    const life = this.#lives.get(key);
    // The table may have it again for a row that came late.
    if ((this.#before.get(key)?.lastSeq ?? null) !== null) return false;
    const born = life?.fork?.said.ts ?? pstart + this.#bootOffset;
    const known = this.#before.has(key) || (life?.last ?? null) !== null;
    if (born > this.#at && !known) return false;
    return (life?.ended ?? null) === null || (life?.ended ?? 0n) > this.#at;
  }

  #state(key: string): ProcessState {
    const life = this.#lives.get(key);
    const { pid, pstart } = (life ?? this.#here.get(key)) as ToldLife | TableProcess;
    // Before a first row it was as the segment before left it; without any row, as it is in the table.
    const [table, before] = [this.#here.get(key), this.#before.get(key)];
    const untold = life === undefined || (life.last === null && life.next === null);
    const start = life?.fork?.said ?? (untold ? table : (before ?? life?.next)) ?? table;
    const said = life?.last ?? start;
    const cgroupId = said?.cgroupId ?? 0n;
    const named = [table, before].find((one) => one?.cgroupId === cgroupId && one.cgroup !== null);
    const cgroup = named ?? this.#cgroups.get(cgroupId);
    const program = this.#programAt(key);
    return {
      host: this.#segment.header.host,
      pid,
      pstart,
      ppid: this.#parentOf(key, pstart),
      uid: said?.uid ?? 0,
      startTs: pstart + this.#bootOffset,
      ...program,
      comm: life?.named?.comm ?? life?.fork?.said.comm ?? program.comm ?? life?.next?.comm ?? null,
      cgroupId,
      cgroup: cgroup?.cgroup ?? null,
      containerId: cgroup?.containerId ?? null,
      pod: cgroup?.pod ?? null,
      podNamespace: cgroup?.podNamespace ?? null,
    };
  }

  // A parent is one as long as it lives. Who takes over then is the kernel's choice: what was recorded later
  // tells, or nothing does.
  #parentOf(key: string, pstart: bigint): number | null {
    const life = this.#lives.get(key);
    const before = this.#before.get(key)?.ppid;
    const after = this.#here.get(key)?.ppid;
    const said = [life?.last?.ppid, life?.fork?.parentPid, before, after, life?.next?.ppid];
    return said.find((ppid) => ppid !== undefined && this.#isParent(ppid, pstart)) ?? null;
  }

  #isParent(ppid: number, childStart: bigint): boolean {
    if (ppid <= INIT) return true;
    const key = this.#alive.get(ppid);
    return key !== undefined && BigInt(key.slice(key.indexOf(':') + 1)) <= childStart;
  }

  /** What it ran: its last exec, else what its parent ran when it was forked, and so on. */
  #programAt(key: string): ProgramState {
    let [name, until] = [key, this.#at];
    const seen = new Set<string>();
    while (!seen.has(name)) {
      seen.add(name);
      const life = this.#lives.get(name);
      const exec = lastExec(life, until);
      if (exec !== null) return this.#programOf(exec);
      const fork = life?.fork ?? null;
      if (fork === null || fork.said.ts > until) break;
      [name, until] = [fork.parent, fork.said.ts];
    }
    return this.#programBefore(name);
  }

  /** What it ran as the segment began: the table has that only where it executed nothing since. */
  #programBefore(key: string): ProgramState {
    const here = this.#here.get(key);
    const stayed = (this.#lives.get(key)?.execs.length ?? 0) === 0;
    const known = (stayed ? here : undefined) ?? this.#before.get(key);
    if (known === undefined && here !== undefined) this.unknown.add(key);
    const { comm, exe, args, cwd } = known ?? UNKNOWN;
    return { comm, exe, args, cwd };
  }

  #programOf(exec: Exec): ProgramState {
    let program = this.#programs.get(exec);
    if (program === undefined) {
      const { batch, row, comm } = exec;
      const columns = this.#details.columnsOf(batch);
      const get = (name: string): unknown => columns?.get(name)?.get(row) ?? null;
      program = {
        comm,
        exe: get('filename') as string | null,
        args: get('args') as readonly string[] | null,
        cwd: get('cwd') as string | null,
      };
      this.#programs.set(exec, program);
    }
    return program;
  }
}

/** Ops that say who is alive and as what: signals do not. */
const TELLING = ['fork', 'exec', 'exit'] as const;

/**
 * The processes that were alive at a time, as they were then; null is the end of what is held. Exact as far
 * as rows tell: a comm or argument vector that a program changes by itself is seen with the next row of its
 * main thread, or never, and a change of directory never. What a process ran before its first exec in the
 * first segment that is held is not recorded: null. A zombie is not alive. Throws TapioError where nothing
 * is held of that time.
 */
export function processesAt({ segments, problems }: OpenedStore, at: bigint | null): ProcessesAt {
  const recordings = stretchesOf(segments);
  const ends = recordings.flat().map(({ to }) => to);
  if (ends.length === 0) throw new TapioError('not_held', 'nothing is recorded yet');
  const time = at ?? ends.reduce((a, b) => (b > a ? b : a));
  const found = recordings.map((own) => covering(own, time)).filter((own) => own.length > 0);
  if (found.length === 0) {
    throw new TapioError(
      'not_held',
      `nothing is held of ${formatTs(time)}: held is ${heldText(recordings)}`,
    );
  }
  const processes = new Map<string, ProcessState>();
  const [notes, missing]: [string[], string[]] = [[], []];
  for (const own of found) {
    const here = own.at(-1) as Stretch;
    const moment = new Moment(here, time);
    for (const one of moment.processes()) {
      const key = `${bootKey(here.segment)}\0${processKey(one.pid, one.pstart)}`;
      // Two recorders of a host know it both.
      if (!processes.has(key)) processes.set(key, one);
    }
    const held = own.map(({ segment }) => segment);
    missing.push(...missingAsOf({ segments: held, problems }, 'process', TELLING, time));
    notes.push(...notesOf(own, time));
    if (moment.unknown.size > 0) {
      notes.push(
        `${moment.unknown.size} processes ran something before they executed another program in ${here.segment.name}, and it is not recorded what`,
      );
    }
  }
  const sorted = [...processes.values()].sort((a, b) =>
    a.host === b.host ? a.pid - b.pid : a.host < b.host ? -1 : 1,
  );
  return { at: time, processes: sorted, notes, missing: [...new Set(missing)] };
}

function notesOf(own: readonly Stretch[], at: bigint): string[] {
  const { segment } = own.at(-1) as Stretch;
  const notes = own.flatMap((one) => one.segment.notes);
  if (own.slice(0, -1).some(({ from, to }) => from <= at && at <= to)) {
    notes.push(`the clock went back: ${formatTs(at)} was twice, and this is the second time`);
  }
  if (own.some((one) => isExcerpt(one.segment.commits))) {
    notes.push('this is an excerpt: only processes that its rows name are in it');
  }
  const telling = TELLING.map((op) => EVENTS.process.ops[op].id);
  if (areLeftOut(segment, telling)) {
    notes.push(
      'processes that --exclude, --filter, --sample or --limit left out may be missing, or be listed after their end',
    );
  }
  return notes;
}
