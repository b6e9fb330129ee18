// Rows as Arrow streams, with plain strings: of one type each, or, wide, all in one, where what only one type has
// is in a struct of that name.

import {
  type AnswerColumn,
  answerColumn,
  answerSchema,
  type ColumnSpec,
  EVENT_TABLES,
  EVENT_TYPES,
  type EventType,
} from '../../schemas/arrow.ts';
import { COMMON } from '../../schemas/events.ts';
import { COMMON_ORDER } from '../event/json.ts';
import type { Limit } from '../query/reading.ts';
import type { RowSource, VectorBlock, VectorRun } from '../query/row-source.ts';
import type { ColumnBuffers } from '../segment/arrow-file.ts';
import { streamBatch, streamEnd, streamSchema } from '../segment/arrow-stream.ts';
import { Strings } from '../segment/strings.ts';
import { DictionaryVector, nullVector, type Vector } from '../segment/vectors.ts';
import { type Gather, gatherOf, Presence } from './gather.ts';

/** A record batch ends with whichever comes first. */
const ROWS_MAX = 1 << 16;
const HEAP_MAX = 16 << 20;
/** So many rows are taken at once, for values of no fixed width may be long. */
const ROWS_STEP = 1 << 12;

/** What the rows of an answer have. */
export interface AnswerForm {
  /** Names of --fields; null: all. */
  readonly fields: readonly string[] | null;
  /** All types in one stream, in order of seq. */
  readonly wide: boolean;
}

/** Columns that no file has: they are made of the block. */
const MADE: Readonly<Record<string, ColumnSpec>> = {
  ktime: { name: 'ktime', type: 'u64', nullable: false },
  type: { name: 'type', type: 'utf8', nullable: false },
};

function commonColumn(name: string): AnswerColumn {
  const known = EVENT_TABLES[EVENT_TYPES[0] as EventType].columns.find((c) => c.name === name);
  return known === undefined ? (MADE[name] as ColumnSpec) : answerColumn(known);
}

const ownColumns = (type: EventType, wanted: (name: string) => boolean): ColumnSpec[] =>
  EVENT_TABLES[type].columns
    .filter(({ name }) => !(name in COMMON) && wanted(`${type}.${name}`))
    .map(answerColumn);

/** The columns of a stream: common ones as --fields orders them, then what types have of their own. */
function layoutOf(types: readonly EventType[], { fields, wide }: AnswerForm): AnswerColumn[] {
  const order: readonly string[] = COMMON_ORDER;
  const common = (fields ?? order).filter((name) => order.includes(name)).map(commonColumn);
  const wanted = (name: string): boolean => fields?.includes(name) ?? true;
  const own = types.map((type) => ({ type, columns: ownColumns(type, wanted) }));
  if (!wide) return [...common, ...own.flatMap(({ columns }) => columns)];
  const structs = own
    .filter(({ columns }) => columns.length > 0)
    .map(({ type, columns }) => ({ name: type, nullable: true, children: columns }));
  return [...common, ...structs];
}

const NO_BITMAP = new Uint8Array(0);

/** A column of a block, those that are made of it as well. */
function columnOfBlock({ type, tsOffset, columns, rows }: VectorBlock, name: string): Vector {
  if (name === 'ktime') {
    const ts = columns.get('ts');
    return { length: rows, get: (row) => ((ts?.get(row) ?? 0n) as bigint) - tsOffset };
  }
  if (name === 'type') {
    return new DictionaryVector(rows, NO_BITMAP, new Uint16Array(rows), Strings.of([type]));
  }
  return columns.get(name) ?? nullVector(rows);
}

/** A column of the stream that grows, and what it is gathered from. */
class Growing {
  readonly #column: AnswerColumn;
  readonly #presence = new Presence();
  readonly #gathers: readonly { readonly name: string; readonly gather: Gather }[];

  constructor(column: AnswerColumn) {
    this.#column = column;
    this.#gathers = ('children' in column ? column.children : [column]).map((spec) => ({
      name: spec.name,
      gather: gatherOf(spec),
    }));
  }

  get heap(): number {
    return this.#gathers.reduce((sum, { gather }) => sum + gather.heap, 0);
  }

  take({ block, from, to }: VectorRun, at: number, vector: (name: string) => Vector): void {
    if ('children' in this.#column) {
      if (block.type !== this.#column.name) return;
      for (let row = 0; row < to - from; row++) this.#presence.add(at + row);
    }
    for (const { name: own, gather } of this.#gathers) gather.take(vector(own), from, to, at);
  }

  buffers(rows: number): ColumnBuffers {
    const parts = this.#gathers.map(({ gather }) => gather.buffers(rows));
    if (!('children' in this.#column)) return parts[0] as ColumnBuffers;
    const { node, validity } = this.#presence.of(rows);
    return {
      nodes: [node, ...parts.flatMap(({ nodes }) => nodes)],
      buffers: [validity, ...parts.flatMap(({ buffers }) => buffers)],
    };
  }
}

/** One stream: rows go in, bytes come out. */
class Stream {
  readonly #layout: readonly AnswerColumn[];
  readonly #name: string;
  /** Vectors of a block, made once: its rows come in many runs. */
  readonly #vectors = new WeakMap<VectorBlock, Map<string, Vector>>();
  #columns: Growing[];
  #rows = 0;

  constructor(layout: readonly AnswerColumn[], name: string) {
    this.#layout = layout;
    this.#name = name;
    this.#columns = layout.map((column) => new Growing(column));
  }

  begin(): Uint8Array[] {
    return streamSchema(answerSchema(this.#layout, new Map([['tapio.type', this.#name]])));
  }

  /** Adds rows; gives the batches that they fill. */
  *add({ block, from, to }: VectorRun): Generator<Uint8Array[]> {
    for (let row = from; row < to; ) {
      const end = Math.min(to, row + ROWS_STEP, row + ROWS_MAX - this.#rows);
      const vector = (name: string): Vector => this.#vector(block, name);
      for (const column of this.#columns)
        column.take({ block, from: row, to: end }, this.#rows, vector);
      this.#rows += end - row;
      row = end;
      const heap = this.#columns.reduce((sum, column) => sum + column.heap, 0);
      if (this.#rows >= ROWS_MAX || heap >= HEAP_MAX) yield this.flush();
    }
  }

  /** The batch that is begun; nothing where there is none. */
  flush(): Uint8Array[] {
    const rows = this.#rows;
    if (rows === 0) return [];
    const batch = streamBatch(
      rows,
      this.#columns.map((column) => column.buffers(rows)),
    );
    this.#columns = this.#layout.map((column) => new Growing(column));
    this.#rows = 0;
    return batch;
  }

  #vector(block: VectorBlock, name: string): Vector {
    const made = this.#vectors.get(block) ?? new Map<string, Vector>();
    this.#vectors.set(block, made);
    const vector = made.get(name) ?? columnOfBlock(block, name);
    made.set(name, vector);
    return vector;
  }
}

/** What is asked for rows. */
export type ArrowSource = Pick<RowSource, 'types' | 'rows'> & {
  ofType(type: EventType): ArrowSource;
};

/** The rows of a query as one Arrow stream, or one of each type that has rows, one after another. */
export class ArrowRows {
  readonly #query: ArrowSource;
  readonly #form: AnswerForm;
  /** Rows that were given, by type. */
  readonly rows: Record<string, number> = {};
  /** What each stream that was begun holds. */
  readonly streams: string[] = [];

  constructor(query: ArrowSource, form: AnswerForm) {
    this.#query = query;
    this.#form = form;
  }

  /** The bytes, in pieces. Where `isEnded` becomes true, the stream ends well with what was given so far. */
  async *pieces(limit: Limit, isEnded: () => boolean): AsyncGenerator<Uint8Array> {
    const { types } = this.#query;
    if (this.#form.wide) yield* this.#stream(this.#query, types, limit, isEnded);
    const single = this.#form.wide ? [] : types;
    for (const type of single) {
      if (isEnded()) break;
      // Which rows are the first or last so many, the other types decide as well.
      const all = limit.first === null && limit.last === null;
      const query = all ? this.#query.ofType(type) : this.#query;
      yield* this.#stream(query, [type], limit, isEnded);
    }
    if (this.streams.length > 0) return;
    // An answer without rows is a stream as well.
    const none = this.#form.wide ? types : types.slice(0, 1);
    yield* new Stream(layoutOf(none, this.#form), nameOf(none)).begin();
    yield streamEnd();
  }

  async *#stream(
    query: ArrowSource,
    types: readonly EventType[],
    limit: Limit,
    isEnded: () => boolean,
  ): AsyncGenerator<Uint8Array> {
    const layout = layoutOf(types, this.#form);
    const stream = new Stream(layout, nameOf(types));
    const wanted = (type: EventType): string[] =>
      types.includes(type)
        ? layout.flatMap((column) => {
            if (!('children' in column)) return column.name in MADE ? [] : [column.name];
            return column.name === type ? column.children.map(({ name }) => name) : [];
          })
        : [];
    let isBegun = false;
    for await (const run of query.rows(limit, wanted)) {
      const { type } = run.block;
      if (!types.includes(type)) continue;
      if (!isBegun) yield* stream.begin();
      if (!isBegun) this.streams.push(nameOf(types));
      isBegun = true;
      for (const batch of stream.add(run)) yield* batch;
      this.rows[type] = (this.rows[type] ?? 0) + run.to - run.from;
      if (isEnded()) break;
    }
    if (!isBegun) return;
    yield* stream.flush();
    yield streamEnd();
  }
}

const nameOf = (types: readonly EventType[]): string => types.join(',');
