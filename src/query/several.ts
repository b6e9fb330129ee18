// Several sources of rows as one, merged by clock as the recordings of a store are.

import type { EventType } from '../../schemas/arrow.ts';
import type { HeldSpan } from './held.ts';
import { mergeRecordings, type Ordered, recordingKey } from './merge.ts';
import { seqsOf } from './order.ts';
import type { Limit } from './reading.ts';
import type { RowSource, VectorRun } from './row-source.ts';
import type { Selection } from './select.ts';
import { groupName, type StatsGroup } from './stats.ts';
import { ordered, type Span, type Summary, type SummaryQuestion, totalOf } from './summary.ts';

interface MergedRow extends Ordered {
  readonly run: VectorRun;
}

async function* singleRows(runs: AsyncIterable<VectorRun>): AsyncGenerator<MergedRow> {
  for await (const { block, from, to } of runs) {
    const [seqs, ts, key] = [seqsOf(block), block.columns.get('ts'), recordingKey(block.origin)];
    for (let row = from; row < to; row++) {
      const run = { block, from: row, to: row + 1 };
      yield { ts: ts?.get(row) as bigint, seq: seqs[row] as bigint, key, run };
    }
  }
}

/** Merged rows, each once: a store and a server of it have the same ones. */
async function* merged(streams: readonly AsyncIterable<VectorRun>[]): AsyncGenerator<VectorRun> {
  let last: Ordered | null = null;
  for await (const row of mergeRecordings(streams.map(singleRows))) {
    if (last === null || row.seq !== last.seq || row.key !== last.key) yield row.run;
    last = row;
  }
}

/** The groups of several answers to one question, added up. */
function addedUp(answers: readonly Summary[]): StatsGroup[] {
  const found = new Map<string, StatsGroup>();
  for (const group of answers.flatMap(({ groups }) => groups)) {
    const name = groupName(group.keys);
    const there = found.get(name);
    if (there === undefined) {
      const { buckets, largest } = group.distribution;
      const distribution = { buckets: new Map(buckets), largest };
      found.set(name, { ...group, sums: [...group.sums], distribution });
      continue;
    }
    there.rows += group.rows;
    there.events += group.events;
    group.sums.forEach((sum, i) => {
      there.sums[i] = (there.sums[i] ?? 0n) + sum;
    });
    const { buckets, largest } = group.distribution;
    for (const [low, events] of buckets) {
      there.distribution.buckets.set(low, (there.distribution.buckets.get(low) ?? 0) + events);
    }
    if (largest > there.distribution.largest) there.distribution.largest = largest;
  }
  return [...found.values()];
}

const smallest = (numbers: readonly bigint[]): bigint => numbers.reduce((a, b) => (b < a ? b : a));
const greatest = (numbers: readonly bigint[]): bigint => numbers.reduce((a, b) => (b > a ? b : a));

/** Of these the rows of all. */
export class SeveralRows implements RowSource {
  readonly selection: Selection;
  readonly #sources: readonly RowSource[];

  /** At least one; all of the same selection. */
  constructor(sources: readonly [RowSource, ...RowSource[]]) {
    this.#sources = sources;
    this.selection = sources[0].selection;
  }

  get types(): readonly EventType[] {
    return this.selection.types;
  }

  get progress(): RowSource['progress'] {
    const all = this.#sources.map(({ progress }) => progress);
    const totals = all.map(({ total }) => total);
    const isKnown = totals.every((total) => total !== null);
    return {
      done: all.reduce((sum, { done }) => sum + done, 0),
      total: isKnown ? totals.reduce((sum, total) => sum + total, 0) : null,
    };
  }

  ofType(type: EventType): SeveralRows {
    return this.#each((source) => source.ofType(type));
  }

  since(ts: bigint): SeveralRows {
    return this.#each((source) => source.since(ts));
  }

  async *rows(
    limit: Limit,
    columns: (type: EventType) => readonly string[],
  ): AsyncGenerator<VectorRun> {
    const rows = merged(this.#sources.map((source) => source.rows(limit, columns)));
    if (limit.last === null) {
      let left = limit.first ?? Number.POSITIVE_INFINITY;
      if (left === 0) return;
      for await (const run of rows) {
        yield run;
        if (--left === 0) return;
      }
      return;
    }
    const runs: VectorRun[] = [];
    for await (const run of rows) runs.push(run);
    yield* runs.slice(Math.max(0, runs.length - limit.last));
  }

  async *pieces(
    columns: (type: EventType) => readonly string[],
  ): AsyncGenerator<readonly VectorRun[]> {
    for await (const run of this.rows({ first: null, last: null }, columns)) yield [run];
  }

  async count(goOn: () => boolean): Promise<number> {
    let total = 0;
    for (const source of this.#sources) total += await source.count(goOn);
    return total;
  }

  async span(): Promise<Span | null> {
    const spans = await Promise.all(this.#sources.map((source) => source.span()));
    const held = spans.filter((span) => span !== null);
    if (held.length === 0) return null;
    return {
      from: smallest(held.map(({ from }) => from)),
      to: greatest(held.map(({ to }) => to)),
    };
  }

  async summary(
    question: SummaryQuestion,
    over: Span | null | undefined,
    goOn: () => boolean,
  ): Promise<Summary> {
    const span = over === undefined ? await this.span() : over;
    const all = { ...question, top: Number.POSITIVE_INFINITY };
    const answers: Summary[] = [];
    for (const source of this.#sources) answers.push(await source.summary(all, span, goOn));
    const [first] = answers as [Summary];
    const overTime = first.overTime.map((_, i) =>
      answers.reduce((sum, answer) => sum + (answer.overTime[i] ?? 0n), 0n),
    );
    const { bucketNs } = first;
    return { ...totalOf(ordered(addedUp(answers), question), question), span, overTime, bucketNs };
  }

  async notes(): Promise<readonly string[]> {
    const notes = await Promise.all(this.#sources.map((source) => source.notes()));
    return [...new Set(notes.flat())];
  }

  async held(): Promise<HeldSpan | null | undefined> {
    const spans = await Promise.all(this.#sources.map((source) => source.held()));
    if (spans.includes(undefined)) return undefined;
    const held = spans.filter((span) => span !== null && span !== undefined);
    if (held.length === 0) return null;
    return {
      first: smallest(held.map(({ first }) => first)),
      last: greatest(held.map(({ last }) => last)),
    };
  }

  get isRuledOut(): boolean {
    return this.#sources.every(({ isRuledOut }) => isRuledOut);
  }

  #each(of: (source: RowSource) => RowSource): SeveralRows {
    return new SeveralRows(this.#sources.map(of) as [RowSource, ...RowSource[]]);
  }
}
