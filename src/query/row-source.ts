// Where the rows of a question come from: opened stores, a server, or several of these, to the reader all the same.

import type { EventType } from '../../schemas/arrow.ts';
import { formatTs } from '../event/clock.ts';
import type { EventBlock } from '../event/stream.ts';
import type { OpenedStore } from '../segment/store.ts';
import type { Vector } from '../segment/vectors.ts';
import { missingFrom } from './completeness.ts';
import { type HeldSpan, heldSpan } from './held.ts';
import { piecesInOrder } from './order.ts';
import { type Limit, Reading } from './reading.ts';
import type { Selection } from './select.ts';
import { type Span, type Summary, type SummaryQuestion, spanOf, summaryOf } from './summary.ts';

/** Rows of one type that lie together, as columns. */
export interface VectorBlock extends EventBlock {
  readonly rows: number;
  readonly columns: ReadonlyMap<string, Vector>;
}

/** Rows `from` to `to` (exclusive) of a block, which follow one another. */
export interface VectorRun {
  readonly block: VectorBlock;
  readonly from: number;
  readonly to: number;
}

/** The rows that a selection chooses. */
export interface RowSource {
  readonly selection: Selection;
  /** Types that can match. */
  readonly types: readonly EventType[];
  /** How far the reading is, and what it will come to; null: nobody knows, and `done` is in rows. */
  readonly progress: { readonly done: number; readonly total: number | null };
  /** Of these the rows of one type; what it reads is counted here as well. */
  ofType(type: EventType): RowSource;
  /** Of these the rows from a time on, ns since 1970. */
  since(ts: bigint): RowSource;
  /** In order, with the columns that are wanted of each type; seq and ts are always among them. */
  rows(limit: Limit, columns: (type: EventType) => readonly string[]): AsyncIterable<VectorRun>;
  /** All of them, many at once: to whom each run is dear. */
  pieces(columns: (type: EventType) => readonly string[]): AsyncIterable<readonly VectorRun[]>;
  /** How many there are; `goOn` is called as it counts, and ends it by false. */
  count(goOn: () => boolean): Promise<number>;
  /** What is summed where nobody says it; null where nothing is held of it. */
  span(): Promise<Span | null>;
  /** Sums, with its events told over a span; `undefined`: its own. `goOn` as in count(). */
  summary(
    question: SummaryQuestion,
    over: Span | null | undefined,
    goOn: () => boolean,
  ): Promise<Summary>;
  /** Of what was read: what was found out, and what the answer lacks, in sentences. */
  notes(): Promise<readonly string[]>;
  /** Of which time anything is held; null where nothing is, undefined where that is not told. */
  held(): Promise<HeldSpan | null | undefined>;
  /** True where it is known without reading that no row matches. */
  readonly isRuledOut: boolean;
}

/** The later of a selection's beginning and a time. */
export function sinceOf({ since }: Selection, ts: bigint): bigint {
  return since !== null && since > ts ? since : ts;
}

/** Rows of opened stores. */
export class StoredRows implements RowSource {
  readonly selection: Selection;
  readonly opened: OpenedStore;
  readonly reading: Reading;
  /** Batches that are gone through, however often. */
  #batches: () => number;

  constructor(opened: OpenedStore, selection: Selection, reading?: Reading) {
    this.opened = opened;
    this.selection = selection;
    this.reading = reading ?? Reading.of(opened, selection);
    this.#batches = () => this.reading.plan.batches.length;
  }

  get types(): readonly EventType[] {
    return this.selection.types;
  }

  get progress(): RowSource['progress'] {
    return { done: this.reading.scanner.done, total: this.#batches() };
  }

  ofType(type: EventType): StoredRows {
    return new StoredRows(this.opened, this.selection, this.reading.ofType(type));
  }

  since(ts: bigint): StoredRows {
    return new StoredRows(this.opened, {
      ...this.selection,
      since: sinceOf(this.selection, ts),
    });
  }

  rows(limit: Limit, columns: (type: EventType) => readonly string[]): AsyncGenerator<VectorRun> {
    return this.reading.rows(limit, columns);
  }

  pieces(columns: (type: EventType) => readonly string[]): AsyncGenerator<readonly VectorRun[]> {
    const { scanner, plan } = this.reading;
    return piecesInOrder(scanner, plan, columns);
  }

  count(goOn: () => boolean): Promise<number> {
    this.#batches = () => this.reading.plan.counted.batches.length;
    return this.reading.count(goOn);
  }

  span(): Promise<Span | null> {
    return Promise.resolve(spanOf(this.reading));
  }

  summary(
    question: SummaryQuestion,
    over: Span | null | undefined,
    goOn: () => boolean,
  ): Promise<Summary> {
    // By groups, and over time.
    this.#batches = () => this.reading.plan.batches.length * 2;
    const span = over === undefined ? spanOf(this.reading) : over;
    return summaryOf(this.reading, question, span, goOn);
  }

  notes(): Promise<readonly string[]> {
    const { opened, selection } = this;
    const notes = opened.segments.flatMap((segment) => segment.notes);
    return Promise.resolve([...notes, ...missingFrom(opened, selection)]);
  }

  held(): Promise<HeldSpan | null> {
    const { segments } = this.opened;
    const types = new Set(segments.flatMap((segment) => segment.types()));
    return Promise.resolve(heldSpan(segments, [...types]));
  }

  get isRuledOut(): boolean {
    return this.reading.plan.batches.length === 0;
  }
}

/** Why a source had no row: what is held instead. */
export async function whyEmpty(source: RowSource): Promise<string> {
  const { since, until, types } = source.selection;
  const held = await source.held();
  if (held === undefined) return 'nothing matched';
  if (held === null) return 'nothing is recorded yet';
  const { first, last } = held;
  const window = `held is ${formatTs(first)} to ${formatTs(last)}`;
  if (since !== null && since > last)
    return `nothing matched: the window begins after what is held; ${window}`;
  if (until !== null && until <= first)
    return `nothing matched: the window ends before what is held; ${window}`;
  if (types.length === 0) return 'nothing can match: no row of any type makes the expression true';
  if (source.isRuledOut) return `nothing matched: the index rules all of it out; ${window}`;
  return `nothing matched; ${window}`;
}
