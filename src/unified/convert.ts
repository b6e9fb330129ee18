// Raw rows as UnifiedEvents. What a row becomes depends on the row and on its recording: never on the clock or on /proc,
// nor on what a segment's table of processes says, which is how they were at its end. So it is the same whenever and
// wherever it is made.

import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { EVENTS, type TypeSpec } from '../../schemas/events.ts';
import { SEVERITIES } from '../../schemas/unified.ts';
import type { RowColumns } from '../event/json.ts';
import type { RowOrigin } from '../event/stream.ts';
import type { Wide } from './cells.ts';
import {
  type CommonCells,
  cellsReader,
  GROUPS,
  type Known,
  type OpWriter,
  opWriter,
  type Static,
} from './compile.ts';
import { writeKernel, writeNetwork } from './contexts.ts';
import { parseUnified, type Severity, type UnifiedEvent } from './event.ts';
import { hashWords, type Words, wordsOf, writeId } from './id.ts';
import { MAPPING_VERSION, type Meaning, meaningOf, TYPES } from './mapping.ts';
import type { OwnRow } from './row.ts';
import * as out from './text.ts';
import { jsonPiece, type Piece } from './text.ts';
import { ThreadTexts } from './thread-texts.ts';
import { Seconds, TimeTexts, writeNs } from './times.ts';

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

/** An op, ready to be converted. */
interface Plan {
  readonly type: EventType;
  readonly event: string;
  /** Of the event table, where the id wants it. */
  readonly opBits: number;
  readonly meaning: Meaning<EventType>;
  readonly writer: OpWriter<EventType>;
  /** From the end of the time to the message. */
  readonly heads: Readonly<Record<Severity, Piece>>;
  /** From the message to the narrative. */
  readonly semantic: Piece;
}

interface TypePlan {
  readonly cells: (columns: RowColumns) => CommonCells;
  readonly ops: ReadonlyMap<string, Plan>;
}

const OP_SHIFT = 16;
const ID = jsonPiece('{"id":"');
const NOTHING = jsonPiece('');
const RAW = jsonPiece(',"raw_data":"');
const END = jsonPiece('"}');
const [OPEN, CLOSE, BLANK] = [0x5b, 0x5d, 0x20];
const BEFORE_TIME = '","timestamp":"';

function planOf(type: EventType, op: string, id: number, isRebased: boolean): Plan | null {
  const meaning = meaningOf(type, op);
  if (meaning === undefined) return null;
  const { category, intent } = meaning;
  const head = (severity: Severity): Piece =>
    jsonPiece(
      `Z","type":"${TYPES[type]}","source":"ebpf","category":"${category}","severity":"${severity}","confidence":1,"message":"`,
    );
  const heads = SEVERITIES.map((severity) => [severity, head(severity)]);
  return {
    type,
    event: `${type}.${op}`,
    opBits: id << OP_SHIFT,
    meaning,
    writer: opWriter(type, op, isRebased) as OpWriter<EventType>,
    heads: Object.fromEntries(heads),
    semantic: jsonPiece(
      `","semantic":{"intent":"${intent}","category":"${category}","tags":["${type}","${op}"],"narrative":"`,
    ),
  };
}

function typePlan(type: EventType, isRebased: boolean): TypePlan {
  const ops = Object.entries((EVENTS[type] as TypeSpec).ops).flatMap(([op, { id }]) => {
    const plan = planOf(type, op, id, isRebased);
    return plan === null ? [] : [[op, plan] as const];
  });
  return { cells: cellsReader(type), ops: new Map(ops) };
}

type Plans = ReadonlyMap<EventType, TypePlan>;
const compiled = new Map<boolean, Plans>();

/** Plans of all types, compiled when rows are first converted. */
function plans(isRebased: boolean): Plans {
  const known =
    compiled.get(isRebased) ??
    new Map(EVENT_TYPES.map((type) => [type, typePlan(type, isRebased)]));
  compiled.set(isRebased, known);
  return known;
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
  readonly #threads = new ThreadTexts();
  readonly #bound: ReadonlyMap<EventType, Bound>;
  readonly #times = new TimeTexts(BEFORE_TIME);
  readonly #offsetLow: number;
  readonly #offsetHigh: number;
  readonly #seconds = new Seconds();
  readonly #offset: readonly [number, number];
  readonly #shift: readonly [number, number];
  readonly #known: Known;
  constructor(origin: Origin, options: ConvertOptions = {}) {
    const { boot_id, tsOffset } = origin;
    const { rebase } = options;
    const boot = wordsOf(boot_id);
    this.#seeds = rebase === undefined ? boot : hashWords(wordsOf(rebase.salt), boot);
    this.#bound = new Map(
      [...plans(rebase !== undefined)].map(([type, plan]) => [
        type,
        { plan, columns: null, cells: null },
      ]),
    );
    this.#offsetLow = Number(BigInt.asUintN(32, tsOffset));
    this.#offsetHigh = Number(BigInt.asUintN(32, tsOffset >> 32n));
    this.#offset = split(tsOffset);
    this.#shift = split(rebase?.shift ?? 0n);
    this.#known = knownOf(origin, this.#seconds, this.#offset);
  }

  /**
   * Writes the event of a row that has columnsOf() its type, with its own ts, behind what `to` has; from `to.start` to
   * `to.at` it is JSON in UTF-8, with the keys of UNIFIED_EVENT in order. Gives its severity, or null where the row's op is
   * none of the event table's, as that of a later version: whoever asks counts them.
   */
  write(type: EventType, columns: RowColumns, row: number): Severity | null {
    const bound = this.#bound.get(type);
    if (bound === undefined) return null;
    const cells = bound.columns === columns ? bound.cells : bindTo(bound, columns);
    if (cells === null) return null;
    const plan = bound.plan.ops.get(cells.op.at(row)?.text ?? '');
    if (plan === undefined) return null;
    return this.#write(plan, cells, row);
  }

  /**
   * Adds the row itself to the event that was written last, as its last key: bytes `from` up to `to` of `bytes`, a RawEvent
   * message.
   */
  addRaw(bytes: Buffer, from: number, to: number): void {
    out.back();
    out.put(RAW);
    out.base64(bytes, from, to);
    out.put(END);
  }

  /** The event as JSON; null as of write(). */
  json(type: EventType, columns: RowColumns, row: number): string | null {
    const from = out.written();
    if (this.write(type, columns, row) === null) return null;
    return out.take().toString('utf8', from);
  }

  /** The event as an object, whose integers beyond a double are as JSON.rawJSON() has them; null as of write(). */
  convert(type: EventType, columns: RowColumns, row: number): UnifiedEvent | null {
    const json = this.json(type, columns, row);
    return json === null ? null : parseUnified(json);
  }

  #write(plan: Plan, cells: CommonCells, row: number): Severity {
    const { meaning, writer, type } = plan;
    const own = writer.row(cells, row);
    const severity = meaning.severity(own);
    const tid = cells.tid.at(row) ?? 0;
    const cpu = cells.cpu.at(row) ?? 0;
    const pid = cells.pid.at(row) ?? 0;
    const comm = cells.comm.at(row) ?? NOTHING;
    out.put(ID);
    this.#writeId(plan, cells.ts, row, cpu, tid);
    this.#writeTime(cells.ts, row);
    out.put(plan.heads[severity]);
    const from = out.written();
    out.put(comm);
    out.byte(OPEN);
    out.number(pid);
    out.byte(CLOSE);
    out.byte(BLANK);
    meaning.message(own);
    const end = out.written();
    out.put(plan.semantic);
    out.again(from, end);
    writeKernel(plan.event, own as object, cells, row, this.#threads);
    if (type === 'network') writeNetwork(own as OwnRow<'network'>, meaning.direction);
    writer.attributes(cells, row, own, this.#known);
    return severity;
  }

  #writeId(plan: Plan, ts: Wide, row: number, cpu: number, tid: number): void {
    const low = ts.low(row) - this.#offsetLow;
    const high = ts.high(row) - this.#offsetHigh - (low < 0 ? 1 : 0);
    writeId(low | 0, high | 0, plan.opBits | cpu, tid | 0, this.#seeds);
  }

  #writeTime(ts: Wide, row: number): void {
    const at = this.#seconds;
    at.take(ts.low(row), ts.high(row));
    const [seconds, ns] = this.#shift;
    const sum = at.ns + ns;
    const carry = sum >= NS ? 1 : 0;
    this.#times.write(at.second + seconds + carry, sum - carry * NS);
  }
}

/** What is known of rows beside their columns. */
function knownOf(origin: Origin, at: Seconds, [seconds, ns]: readonly [number, number]): Known {
  const { recording, host, boot_id } = origin;
  const known = { boot_id, host, mapping_version: MAPPING_VERSION, recording };
  const originals = new TimeTexts('');
  const textOf = (part: Static): string =>
    'text' in part ? part.text : JSON.stringify(known[part.known]);
  const groups: Piece[] = [];
  return {
    groups,
    group(number) {
      const piece = jsonPiece((GROUPS[number] ?? []).map(textOf).join(''));
      groups[number] = piece;
      return piece;
    },
    ktime() {
      const rest = at.ns - ns;
      const borrow = rest < 0 ? 1 : 0;
      writeNs(at.second - seconds - borrow, rest + borrow * NS);
    },
    originalTimestamp: () => originals.write(at.second, at.ns),
  };
}

function bindTo(bound: Bound, columns: RowColumns): CommonCells {
  const cells = bound.plan.cells(columns);
  bound.columns = columns;
  bound.cells = cells;
  return cells;
}
