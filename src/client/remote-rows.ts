// Rows of a server: what it holds of a selection.

import type { EventType } from '../../schemas/arrow.ts';
import { TapioError } from '../errors.ts';
import { countText } from '../event/count-text.ts';
import type { HeldSpan } from '../query/held.ts';
import type { Limit } from '../query/reading.ts';
import { type RowSource, sinceOf, type VectorRun } from '../query/row-source.ts';
import type { Selection } from '../query/select.ts';
import { questionOf, type Span, type Summary, type SummaryQuestion } from '../query/summary.ts';
import { type EventAnswer, eventAnswer } from './answers.ts';
import type { Connection } from './connection.ts';
import { type OriginOf, RawEventDecoder } from './decoder.ts';
import { shown } from './failure.ts';
import { originsOf } from './origins.ts';
import { selectionMessage, windowMessage } from './request.ts';
import { type StatsAnswer, spanOfAnswer, statsMessage, summaryOfAnswer } from './stats.ts';

/** Rows of a page: of the largest rows, a page is still one message. */
const PAGE_ROWS = 1000;
/** How often it is looked whether an answer is still waited for, ms. */
const LOOK_MS = 100;
/** The question that costs least: every row has a weight, which sums need anyway. */
const SHORT = questionOf(['type'], [], ['weight'], 1);

type Columns = (type: EventType) => readonly string[];

/** What readings of one server have in common. */
class Told {
  readonly #connection: Connection;
  #origins: Promise<OriginOf> | null = null;
  readonly notes = new Set<string>();
  /** Whether the server has said what its answers lack. */
  isHeard = false;
  rows = 0;
  unknown = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get origins(): Promise<OriginOf> {
    this.#origins ??= originsOf(this.#connection);
    return this.#origins;
  }

  hear(reasons: readonly string[]): void {
    this.isHeard = true;
    for (const reason of reasons) this.notes.add(shown(reason));
  }
}

/** What a server holds. */
export class RemoteRows implements RowSource {
  readonly selection: Selection;
  readonly #connection: Connection;
  readonly #told: Told;

  constructor(connection: Connection, selection: Selection, told = new Told(connection)) {
    this.#connection = connection;
    this.selection = selection;
    this.#told = told;
  }

  get types(): readonly EventType[] {
    return this.selection.types;
  }

  get progress(): RowSource['progress'] {
    return { done: this.#told.rows, total: null };
  }

  ofType(type: EventType): RemoteRows {
    const types = this.types.filter((one) => one === type);
    return new RemoteRows(this.#connection, { ...this.selection, types }, this.#told);
  }

  since(ts: bigint): RemoteRows {
    const selection = { ...this.selection, since: sinceOf(this.selection, ts) };
    return new RemoteRows(this.#connection, selection, this.#told);
  }

  async *rows({ first, last }: Limit, columns: Columns): AsyncGenerator<VectorRun> {
    if (first === 0 || last === 0) return;
    let left = first ?? Number.POSITIVE_INFINITY;
    const answers = last === null ? this.#first(left, columns) : this.#last(last, columns);
    for await (const runs of this.#decoded(answers, columns)) {
      for (const run of runs) {
        const rows = Math.min(left, run.to - run.from);
        yield { ...run, to: run.from + rows };
        left -= rows;
        if (left === 0) return;
      }
    }
  }

  pieces(columns: Columns): AsyncGenerator<readonly VectorRun[]> {
    return this.#decoded(this.#held(columns), columns);
  }

  async count(goOn: () => boolean): Promise<number> {
    if (this.types.length === 0) return 0;
    const { rows } = await this.#stats(statsMessage(SHORT, null), goOn);
    return Number(rows ?? 0);
  }

  async span(): Promise<Span | null> {
    return spanOfAnswer(await this.#stats(statsMessage(SHORT, null), () => true));
  }

  async summary(
    question: SummaryQuestion,
    over: Span | null | undefined,
    goOn: () => boolean,
  ): Promise<Summary> {
    return summaryOfAnswer(await this.#stats(statsMessage(question, over), goOn), question, over);
  }

  async notes(): Promise<readonly string[]> {
    const { unknown } = this.#told;
    if (!this.#told.isHeard && this.types.length > 0) await this.#page({ page_size: 1 }, () => []);
    const more =
      unknown === 0
        ? []
        : [`${countText(unknown)} rows are of types that this version does not know: update it`];
    return [...this.#told.notes, ...more];
  }

  async held(): Promise<HeldSpan | null | undefined> {
    try {
      const { held_since: first, held_until: last } = await this.#connection.ask<{
        readonly held_since?: string;
        readonly held_until?: string;
      }>('GetStatus', {});
      return first === undefined || last === undefined
        ? null
        : { first: BigInt(first), last: BigInt(last) };
    } catch (error) {
      // Not all who may see rows may see what is held.
      if (error instanceof TapioError) return undefined;
      throw error;
    }
  }

  get isRuledOut(): boolean {
    return this.types.length === 0;
  }

  async *#decoded(
    answers: AsyncIterable<EventAnswer>,
    columns: Columns,
  ): AsyncGenerator<readonly VectorRun[]> {
    if (this.types.length === 0) return;
    const decoder = new RawEventDecoder(columns);
    const originOf = await this.#told.origins;
    for await (const { bytes, events } of answers) {
      const { runs, unknown } = decoder.decode(bytes, events, originOf);
      this.#told.rows += events.length;
      this.#told.unknown += unknown;
      yield runs;
    }
  }

  /** Pages of the last rows, in order: they come the newest first. */
  async *#last(rows: number, columns: Columns): AsyncGenerator<EventAnswer> {
    const pages: EventAnswer[] = [];
    for (let [left, token] = [rows, '']; left > 0; ) {
      const page = { page_size: Math.min(left, PAGE_ROWS), newest: true, page_token: token };
      const answer = await this.#page(page, columns);
      pages.unshift(answer);
      left -= answer.events.length;
      token = answer.token;
      if (token === '' || answer.events.length === 0) break;
    }
    yield* pages;
  }

  /** The first rows, or more: in one answer where they are few. */
  async *#first(rows: number, columns: Columns): AsyncGenerator<EventAnswer> {
    if (rows <= PAGE_ROWS) yield await this.#page({ page_size: rows }, columns);
    else yield* this.#held(columns);
  }

  /** All rows. */
  async *#held(columns: Columns): AsyncGenerator<EventAnswer> {
    const request = { ...this.#request(columns), held: true };
    const messages = this.#connection.messageBytes(
      'StreamRawEventBatches',
      request,
      undefined,
      (reasons) => this.#told.hear(reasons),
    );
    for await (const message of messages) yield eventAnswer(message);
  }

  async #page(more: object, columns: Columns): Promise<EventAnswer> {
    const request = { ...this.#request(columns), ...more };
    const answer = eventAnswer(await this.#connection.askBytes('QueryRawEvents', request));
    this.#told.hear(answer.reasons);
    return answer;
  }

  #request(columns?: Columns): object {
    return {
      selection: selectionMessage(this.selection, columns),
      ...windowMessage(this.selection),
    };
  }

  /** Asks for sums; `goOn` is called as they are waited for. */
  async #stats(message: object, goOn: () => boolean): Promise<StatsAnswer> {
    if (this.types.length === 0) return {};
    const over = new AbortController();
    const timer = setInterval(() => {
      if (!goOn()) over.abort();
    }, LOOK_MS);
    try {
      const request = { ...this.#request(), ...message };
      const answer = await this.#connection.ask<StatsAnswer>('Stats', request, over.signal);
      this.#told.hear(answer.incomplete_reasons ?? []);
      return answer;
    } catch (error) {
      if (!over.signal.aborted) throw error;
      throw new TapioError('io', 'interrupted: the server’s answer was not waited for');
    } finally {
      clearInterval(timer);
    }
  }
}
