// What is stored, here or at a server, as a stream of events.

import { setImmediate } from 'node:timers/promises';
import type { EventType } from '../../schemas/arrow.ts';
import { type EventRun, type EventSource, rowsIn } from '../event/stream.ts';
import { piecesInOrder } from '../query/order.ts';
import { plan } from '../query/plan.ts';
import type { RowSource } from '../query/row-source.ts';
import { Scanner } from '../query/scanner.ts';
import type { Selection } from '../query/select.ts';
import type { Segment } from '../segment/reader.ts';

/** Rows given at a time: enough to cost little, few enough that nobody waits for them. */
const ROWS_AT_A_TIME = 2048;

/** Matching rows of segments, in the order of a query. What is damaged is left out, and its segment says so. */
export class StoredEvents implements EventSource {
  readonly #segments: readonly Segment[];
  readonly #selection: Selection;
  readonly #columns: (type: EventType) => readonly string[];

  /** `columns`: those that are wanted of each type. */
  constructor(
    segments: readonly Segment[],
    selection: Selection,
    columns: (type: EventType) => readonly string[],
  ) {
    this.#segments = segments;
    this.#selection = selection;
    this.#columns = columns;
  }

  async *events(from: bigint | null = null): AsyncGenerator<readonly EventRun[]> {
    const { since } = this.#selection;
    const selection =
      from === null || (since !== null && since > from)
        ? this.#selection
        : { ...this.#selection, since: from };
    const made = plan(this.#segments, selection);
    yield* gathered(piecesInOrder(new Scanner(made), made, this.#columns));
  }
}

/** The rows of a source, wherever they come from. */
export class SourceEvents implements EventSource {
  readonly #source: RowSource;
  readonly #columns: (type: EventType) => readonly string[];

  /** `columns`: those that are wanted of each type. */
  constructor(source: RowSource, columns: (type: EventType) => readonly string[]) {
    this.#source = source;
    this.#columns = columns;
  }

  async *events(from: bigint | null = null): AsyncGenerator<readonly EventRun[]> {
    const source = from === null ? this.#source : this.#source.since(from);
    yield* gathered(source.pieces(this.#columns));
  }
}

/** Rows as many at a time as it takes. */
async function* gathered(
  pieces: AsyncIterable<readonly EventRun[]>,
): AsyncGenerator<readonly EventRun[]> {
  let runs: EventRun[] = [];
  let rows = 0;
  for await (const piece of pieces) {
    runs.push(...piece);
    rows += rowsIn(piece);
    if (rows < ROWS_AT_A_TIME) continue;
    yield runs;
    runs = [];
    rows = 0;
    // What has been read comes without a pause: others on this thread have rows that are due.
    await setImmediate();
  }
  if (runs.length > 0) yield runs;
}
