// RawEvent messages as blocks of columns, as a store's rows come: whoever takes those takes these.

import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { COMMON, EVENTS, type FieldSpec, type TypeSpec } from '../../schemas/events.ts';
import { eventField, KTIME_FIELD, LOSS_FIELD } from '../../schemas/raw-event.ts';
import type { RowOrigin } from '../event/stream.ts';
import type { VectorBlock, VectorRun } from '../query/row-source.ts';
import type { Vector } from '../segment/vectors.ts';
import {
  builderOf,
  type ColumnBuilder,
  SmallBuilder,
  TextBuilder,
  TextsBuilder,
  WideBuilder,
} from './columns.ts';
import { DELIMITED, FIXED64, garbled, VARINT, WireReader } from './wire.ts';

const FIELD_SHIFT = 3;
const WIRE_BITS = 7;

/** Rows that the server could not give. */
export interface Missed {
  readonly cause: string;
  /** Null: nobody can know. */
  readonly count: bigint | null;
}

/** What messages held. */
export interface Decoded {
  /** In order; their blocks have the columns that are wanted. */
  readonly runs: readonly VectorRun[];
  readonly missed: readonly Missed[];
  /** Rows of types that this version does not know. */
  readonly unknown: number;
}

/** The origin of rows of a time, ns since 1970. */
export type OriginOf = (ts: bigint) => RowOrigin;

/** Where a message of an event lies in what was received. */
export interface Piece {
  readonly from: number;
  readonly to: number;
}

const COMMON_SPECS: readonly (readonly [string, FieldSpec])[] = Object.entries(COMMON);
const COMMON_MAX = Math.max(KTIME_FIELD, ...COMMON_SPECS.map(([, { id }]) => id));
const SEQ_FIELD = COMMON.seq.id;
const TS_FIELD = COMMON.ts.id;

/** A block that is being filled. */
interface Open {
  block: VectorBlock | null;
  readonly tsLow: number;
  readonly tsHigh: number;
}

interface OpenRun {
  readonly open: Open;
  readonly from: number;
  to: number;
}

/** The columns of a type that are wanted, as they grow. */
class TypeRows {
  readonly type: EventType;
  readonly #common: (readonly [field: number, name: string, builder: ColumnBuilder])[] = [];
  /** By field. */
  readonly #own: (ColumnBuilder | undefined)[] = [];
  readonly #ownNames: (readonly [name: string, builder: ColumnBuilder])[] = [];
  readonly #args: TextsBuilder | null = null;
  readonly #argsLength: SmallBuilder | null = null;
  open: Open | null = null;
  rows = 0;

  constructor(type: EventType, wanted: ReadonlySet<string>) {
    this.type = type;
    for (const [name, { id, type: kind }] of COMMON_SPECS) {
      if (wanted.has(name)) this.#common.push([id, name, builderOf(kind, false)]);
    }
    for (const [name, { id, type: kind }] of Object.entries((EVENTS[type] as TypeSpec).fields)) {
      // How long arguments are tells whether there are any.
      if (!wanted.has(name) && !(name === 'args_length' && wanted.has('args'))) continue;
      const builder = builderOf(kind, true);
      this.#own[id] = builder;
      if (wanted.has(name)) this.#ownNames.push([name, builder]);
      if (name === 'args' && builder instanceof TextsBuilder) this.#args = builder;
      if (name === 'args_length' && builder instanceof SmallBuilder) this.#argsLength = builder;
    }
  }

  /** Adds a row: its common fields, and the message of its own. */
  add(common: CommonFields, reader: WireReader, from: number, to: number): number {
    const row = this.rows++;
    for (const [field, , builder] of this.#common) common.put(field, builder, row, reader.bytes);
    const { end } = reader;
    reader.at = from;
    reader.end = to;
    while (reader.at < to) {
      const tag = reader.varint();
      const builder = this.#own[tag >>> FIELD_SHIFT];
      if (builder === undefined || reader.high !== 0) reader.skip(tag & WIRE_BITS);
      else builder.read(reader, tag & WIRE_BITS, row);
    }
    reader.end = end;
    // A list of no texts leaves no trace of its own.
    if (this.#args?.has(row) === false && this.#argsLength?.isZeroAt(row) === true) {
      this.#args.put(row);
    }
    return row;
  }

  /** Ends the block that is being filled. */
  close(originOf: OriginOf): void {
    const { open, rows } = this;
    if (open === null) return;
    const columns = new Map<string, Vector>();
    for (const [, name, builder] of this.#common) columns.set(name, builder.finish(rows));
    for (const [name, builder] of this.#ownNames) columns.set(name, builder.finish(rows));
    if (this.#argsLength !== null && !columns.has('args_length')) this.#argsLength.finish(rows);
    const tsOffset = BigInt.asIntN(64, (BigInt(open.tsHigh) << 32n) | BigInt(open.tsLow));
    const origin = originOf((columns.get('ts')?.get(0) ?? 0n) as bigint);
    open.block = { type: this.type, origin, tsOffset, rows, columns };
    this.open = null;
    this.rows = 0;
  }
}

/** The common fields of the event that is being read: they may stand behind the field that tells its type. */
class CommonFields {
  readonly low = new Uint32Array(COMMON_MAX + 1);
  readonly high = new Uint32Array(COMMON_MAX + 1);

  clear(): void {
    this.low.fill(0);
    this.high.fill(0);
  }

  /** Reads a field; of texts it is noted where they lie. */
  read(reader: WireReader, field: number, wire: number): void {
    if (wire === DELIMITED) {
      const end = reader.delimited();
      this.low[field] = reader.at;
      this.high[field] = end;
      reader.at = end;
      return;
    }
    if (wire === VARINT) reader.varint();
    else if (wire === FIXED64) reader.fixed64();
    else throw garbled();
    this.low[field] = reader.low;
    this.high[field] = reader.high;
  }

  put(field: number, builder: ColumnBuilder, row: number, bytes: Uint8Array): void {
    const low = this.low[field] as number;
    const high = this.high[field] as number;
    if (builder instanceof WideBuilder) builder.put(row, low, high);
    else if (builder instanceof SmallBuilder) builder.put(row, low);
    else if (builder instanceof TextBuilder) builder.put(row, bytes, low, high);
  }
}

const TEXT_FIELDS: ReadonlySet<number> = new Set(
  COMMON_SPECS.filter(([, { type }]) => type === 'name' || type === 'text').map(([, { id }]) => id),
);

/** Decodes events of whatever types. */
export class RawEventDecoder {
  /** By field of the oneof. */
  readonly #types: (TypeRows | undefined)[] = [];
  readonly #common = new CommonFields();
  /** Of the row before, in two halves. */
  #seqLow = 0;
  #seqHigh = 0;

  /** `columns`: those that are wanted of each type; seq and ts come as well. */
  constructor(columns: (type: EventType) => readonly string[]) {
    for (const type of EVENT_TYPES) {
      const wanted = new Set(['seq', 'ts', ...columns(type)]);
      this.#types[eventField(EVENTS[type].id)] = new TypeRows(type, wanted);
    }
  }

  /** The events that lie there. Throws TapioError('io') for what are none. */
  decode(bytes: Uint8Array, pieces: readonly Piece[], originOf: OriginOf): Decoded {
    const reader = new WireReader(bytes);
    const runs: OpenRun[] = [];
    const missed: Missed[] = [];
    let unknown = 0;
    try {
      for (const { from, to } of pieces) {
        const kind = this.#event(reader, from, to, runs, missed, originOf);
        if (kind === 'unknown') unknown++;
      }
    } finally {
      // What was begun of messages that are none is not the beginning of what comes.
      for (const rows of this.#types) rows?.close(originOf);
    }
    return {
      runs: runs.flatMap(({ open, from, to }) =>
        open.block === null ? [] : [{ block: open.block, from, to }],
      ),
      missed,
      unknown,
    };
  }

  #event(
    reader: WireReader,
    from: number,
    to: number,
    runs: OpenRun[],
    missed: Missed[],
    originOf: OriginOf,
  ): 'row' | 'loss' | 'unknown' {
    const common = this.#common;
    common.clear();
    reader.at = from;
    reader.end = to;
    let [own, ownFrom, ownTo] = [0, 0, 0];
    while (reader.at < to) {
      const tag = reader.varint();
      const [field, wire] = [tag >>> FIELD_SHIFT, tag & WIRE_BITS];
      if (field === 0 || reader.high !== 0) throw garbled();
      if (field <= COMMON_MAX) {
        if (TEXT_FIELDS.has(field) !== (wire === DELIMITED)) throw garbled();
        common.read(reader, field, wire);
      } else if (wire === DELIMITED) {
        ownTo = reader.delimited();
        [own, ownFrom] = [field, reader.at];
        reader.at = ownTo;
      } else reader.skip(wire);
    }
    if (own === LOSS_FIELD) {
      missed.push(lossOf(reader, ownFrom, ownTo));
      return 'loss';
    }
    const rows = this.#types[own];
    if (rows === undefined) return 'unknown';
    const open = this.#openFor(rows, originOf);
    const row = rows.add(common, reader, ownFrom, ownTo);
    const last = runs.at(-1);
    if (last?.open === open) last.to = row + 1;
    else runs.push({ open, from: row, to: row + 1 });
    return 'row';
  }

  /** The block of rows that are as far from their ktime as this one. */
  #openFor(rows: TypeRows, originOf: OriginOf): Open {
    const { low, high } = this.#common;
    const [seqLow, seqHigh] = [low[SEQ_FIELD] as number, high[SEQ_FIELD] as number];
    // Where they begin anew, so does another recording.
    if (seqHigh < this.#seqHigh || (seqHigh === this.#seqHigh && seqLow <= this.#seqLow)) {
      for (const one of this.#types) one?.close(originOf);
    }
    [this.#seqLow, this.#seqHigh] = [seqLow, seqHigh];
    const [tsLow, ktimeLow] = [low[TS_FIELD] as number, low[KTIME_FIELD] as number];
    const [tsHigh, ktimeHigh] = [high[TS_FIELD] as number, high[KTIME_FIELD] as number];
    const offsetLow = (tsLow - ktimeLow) >>> 0;
    const offsetHigh = (tsHigh - ktimeHigh - (tsLow < ktimeLow ? 1 : 0)) >>> 0;
    const { open } = rows;
    if (open !== null && open.tsLow === offsetLow && open.tsHigh === offsetHigh) return open;
    rows.close(originOf);
    rows.open = { block: null, tsLow: offsetLow, tsHigh: offsetHigh };
    return rows.open;
  }
}

const CAUSE = 1;
const COUNT = 2;

function lossOf(reader: WireReader, from: number, to: number): Missed {
  reader.at = from;
  reader.end = to;
  let [cause, count]: [string, bigint | null] = ['', null];
  while (reader.at < to) {
    const tag = reader.varint();
    const [field, wire] = [tag >>> FIELD_SHIFT, tag & WIRE_BITS];
    if (field === CAUSE && wire === DELIMITED) cause = reader.text(reader.delimited());
    else if (field === COUNT && wire === VARINT) {
      reader.varint();
      count = (BigInt(reader.high) << 32n) | BigInt(reader.low);
    } else reader.skip(wire);
  }
  return { cause, count };
}
