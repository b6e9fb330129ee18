// Raw rows as UnifiedEvents. What a row becomes depends on the row and on its recording: never on the clock or on /proc,
// nor on what a segment's table of processes says, which is how they were at its end. So it is the same whenever and
// wherever it is made.

import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { EVENTS, type TypeSpec } from '../../schemas/events.ts';
import type { RowColumns } from '../event/json.ts';
import type { RowOrigin } from '../event/stream.ts';
import type { Wide } from './cells.ts';
import { type CommonCells, cellsReader, type Known, type OpReader, opReader } from './compile.ts';
import { argsOf, entityOf, networkOf, returnOf } from './contexts.ts';
import type { UnifiedEvent, UnifiedType } from './event.ts';
import { hashWords, idOf, type Words, wordsOf } from './id.ts';
import { MAPPING_VERSION, MEANINGS, type Meaning, TYPES } from './mapping.ts';
import { ProcessTexts } from './process-texts.ts';
import type { OwnRow } from './row.ts';
import { Seconds, TimeTexts } from './times.ts';

export { columnsOf } from './compile.ts';

/** What is known of the recording that a row is of. */
export interface Origin extends RowOrigin {
  /** ns; ts = ktime + tsOffset. */
  readonly tsOffset: bigint;
}

/** As if the rows happened at another time, anew. */
export interface Rebase {
  /** Added to their times, ns. */
  readonly shift: bigint;
  /** Ids are made of it as well: another one gives other ids. */
  readonly salt: string;
}

export interface ConvertOptions {
  readonly rebase?: Rebase;
}

interface Arguments {
  readonly args?: readonly string[] | readonly bigint[] | null;
}

/** An op, ready to be converted. */
interface Plan {
  readonly type: EventType;
  readonly op: string;
  readonly event: string;
  /** Of the event table, where the id wants it. */
  readonly opBits: number;
  readonly unified: UnifiedType;
  readonly meaning: Meaning<EventType>;
  readonly reader: OpReader<EventType>;
  readonly tags: readonly string[];
}

interface TypePlan {
  readonly cells: (columns: RowColumns) => CommonCells;
  readonly ops: ReadonlyMap<string, Plan>;
}

const OP_SHIFT = 16;

function typePlan(type: EventType): TypePlan {
  const meanings = MEANINGS[type] as unknown as Readonly<Record<string, Meaning<EventType>>>;
  const ops = Object.entries((EVENTS[type] as TypeSpec).ops).flatMap(([op, { id }]) => {
    const meaning = meanings[op];
    if (meaning === undefined) return [];
    const plan: Plan = {
      type,
      op,
      // In one piece, which JSON.stringify() is faster with.
      event: [type, op].join('.'),
      opBits: id << OP_SHIFT,
      unified: TYPES[type],
      meaning,
      reader: opReader(type, op) as OpReader<EventType>,
      tags: [type, op],
    };
    return [[op, plan] as const];
  });
  return { cells: cellsReader(type), ops: new Map(ops) };
}

let compiled: ReadonlyMap<EventType, TypePlan> | null = null;

/** Plans of all types, compiled when rows are first converted. */
function plans(): ReadonlyMap<EventType, TypePlan> {
  compiled ??= new Map(EVENT_TYPES.map((type) => [type, typePlan(type)]));
  return compiled;
}

/** Columns that were last converted, and what reads them. */
interface Bound {
  readonly plan: TypePlan;
  columns: RowColumns | null;
  cells: CommonCells | null;
}

const NS = 1e9;
const NS_BIG = 1_000_000_000n;

/** Seconds, and the ns that count up from there, before 1970 as well. */
function split(time: bigint): [number, number] {
  const rest = ((time % NS_BIG) + NS_BIG) % NS_BIG;
  return [Number((time - rest) / NS_BIG), Number(rest)];
}

/** Converts the rows of one segment, or of one live recording. */
export class Converter {
  readonly #seeds: Words;
  readonly #processes = new ProcessTexts();
  readonly #bound: ReadonlyMap<EventType, Bound>;
  readonly #times = new TimeTexts();
  readonly #originals = new TimeTexts();
  readonly #ktimes = new TimeTexts();
  readonly #offsetLow: number;
  readonly #offsetHigh: number;
  readonly #isRebased: boolean;
  readonly #seconds = new Seconds();
  readonly #offsetSeconds: number;
  readonly #offsetNs: number;
  readonly #shiftSeconds: number;
  readonly #shiftNs: number;
  /** Of the row that is converted now. */
  readonly #known: Known;

  constructor(origin: Origin, options: ConvertOptions = {}) {
    const { recording, host, boot_id, tsOffset } = origin;
    const { rebase } = options;
    const boot = wordsOf(boot_id);
    this.#seeds = rebase === undefined ? boot : hashWords(wordsOf(rebase.salt), boot);
    this.#bound = new Map(
      [...plans()].map(([type, plan]) => [type, { plan, columns: null, cells: null }]),
    );
    this.#offsetLow = Number(BigInt.asUintN(32, tsOffset));
    this.#offsetHigh = Number(BigInt.asUintN(32, tsOffset >> 32n));
    this.#isRebased = rebase !== undefined;
    [this.#offsetSeconds, this.#offsetNs] = split(tsOffset);
    [this.#shiftSeconds, this.#shiftNs] = split(rebase?.shift ?? 0n);
    this.#known = {
      boot_id,
      event: '',
      host,
      ktime: '',
      mapping_version: MAPPING_VERSION,
      original_timestamp: undefined,
      pstart: '',
      recording,
    };
  }

  /**
   * The event of a row that has columnsOf() its type, with its own ts; null where its op is none of the event table's,
   * as that of a later version: whoever asks counts them.
   */
  convert(type: EventType, columns: RowColumns, row: number): UnifiedEvent | null {
    const bound = this.#bound.get(type);
    if (bound === undefined) return null;
    const cells = bound.columns === columns ? bound.cells : bindTo(bound, columns);
    if (cells === null) return null;
    const plan = bound.plan.ops.get(cells.op.at(row) ?? '');
    if (plan === undefined) return null;
    return this.#event(plan, cells, row);
  }

  #event(plan: Plan, cells: CommonCells, row: number): UnifiedEvent {
    const { meaning, reader } = plan;
    const { category, intent } = meaning;
    const known = this.#known;
    const own = reader.row(cells, row);
    const pid = cells.pid.at(row) ?? 0;
    const tid = cells.tid.at(row) ?? 0;
    const cpu = cells.cpu.at(row) ?? 0;
    const comm = cells.comm.at(row) ?? '';
    const process = this.#processes.of(pid, cells.pstart, row);
    known.event = plan.event;
    known.pstart = process.pstart;
    const timestamp = this.#time(cells.ts, row);
    const message = `${comm}[${process.pid}] ${meaning.message(own)}`;
    return {
      id: this.#id(plan, cells.ts, row, cpu, tid),
      timestamp,
      type: plan.unified,
      source: 'ebpf',
      category,
      severity: meaning.severity(own),
      confidence: 1,
      message,
      semantic: { intent, category, tags: plan.tags, narrative: message, confidence: 1 },
      entity: entityOf(plan.event, own, pid, comm, process.uid),
      kernel: {
        syscall:
          plan.type === 'syscall' ? ((own as OwnRow<'syscall'>).name ?? undefined) : undefined,
        pid: pid || undefined,
        tid: tid || undefined,
        uid: cells.uid.at(row) || undefined,
        gid: cells.gid.at(row) || undefined,
        comm: comm || undefined,
        return_code: returnOf(plan.event, own as object),
        args: argsOf((own as Arguments).args ?? null),
        cpu_core: cpu || undefined,
      },
      network:
        plan.type === 'network'
          ? networkOf(own as OwnRow<'network'>, meaning.direction)
          : undefined,
      attributes: reader.attributes(cells, row, own, known),
    };
  }

  #id(plan: Plan, ts: Wide, row: number, cpu: number, tid: number): string {
    const low = ts.low(row) - this.#offsetLow;
    const high = ts.high(row) - this.#offsetHigh - (low < 0 ? 1 : 0);
    return idOf(low | 0, high | 0, plan.opBits | cpu, tid | 0, this.#seeds);
  }

  /** Tells the time, and what is known of it beside. */
  #time(ts: Wide, row: number): string {
    const at = this.#seconds;
    at.take(ts.low(row), ts.high(row));
    const { second, ns } = at;
    const rest = ns - this.#offsetNs;
    const borrow = rest < 0 ? 1 : 0;
    const whole = second - this.#offsetSeconds - borrow;
    this.#known.ktime = this.#ktimes.ns(whole, rest + borrow * NS);
    if (!this.#isRebased) return this.#times.go(second, ns);
    this.#known.original_timestamp = this.#originals.go(second, ns);
    const sum = ns + this.#shiftNs;
    const carry = sum >= NS ? 1 : 0;
    return this.#times.go(second + this.#shiftSeconds + carry, sum - carry * NS);
  }
}

function bindTo(bound: Bound, columns: RowColumns): CommonCells {
  const cells = bound.plan.cells(columns);
  bound.columns = columns;
  bound.cells = cells;
  return cells;
}
