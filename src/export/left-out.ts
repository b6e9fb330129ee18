// What an excerpt lacks of the segments that it was made from, so that its account comes out: rows by op,
// and losses outside of what was wanted.

import { EVENT_TABLES } from '../../schemas/arrow.ts';
import { EVENTS, type TypeSpec } from '../../schemas/events.ts';
import { touches } from '../query/completeness.ts';
import { plan } from '../query/plan.ts';
import { Scanner } from '../query/scanner.ts';
import { type Selection, select } from '../query/select.ts';
import type { LeftOut, LossCount } from '../segment/commits.ts';
import type { BatchInfo, LossRow, Segment } from '../segment/reader.ts';
import { type Counts, damagedRows, missingRows } from '../segment/repair.ts';
import { lossOf } from '../segment/small-tables.ts';

const ALL = select({ since: null, until: null, types: [], ops: [], pids: [], comms: [] });

const add = (counts: Counts, key: string, count: number): unknown =>
  counts.set(key, (counts.get(key) ?? 0) + count);

/** Rows of a segment by op, those of some batches aside; what cannot be read is left out. */
async function countRows(segment: Segment, aside: ReadonlySet<BatchInfo>): Promise<Counts> {
  const counts: Counts = new Map();
  const all = plan([segment], ALL);
  const batches = all.batches.filter(({ info }) => !aside.has(info));
  const question = {
    columns: () => [],
    groups: (type: keyof typeof EVENT_TABLES) => {
      const column = EVENT_TABLES[type].columns.findIndex(({ name }) => name === 'op');
      const keys = [{ column, origin: 0n, width: 0n }];
      return { keys, sums: [], distribution: -1, weight: -1 };
    },
  };
  for await (const { type, groups } of new Scanner(all).groups(batches, question)) {
    const ops = segment.strings(type, ['op']).get('op');
    groups.keys.forEach((op, i) => {
      add(counts, `${type}.${ops?.at(Number(op))}`, Number(groups.rows[i]));
    });
  }
  return counts;
}

/** Id of an op `type.op`; 0 of one that this version does not know. */
function opId(key: string): number {
  const [type = '', op = ''] = key.split('.');
  return (EVENTS as Readonly<Record<string, TypeSpec>>)[type]?.ops[op]?.id ?? 0;
}

/** Adds up what segments lack in an excerpt. */
export class LeftOutCount {
  readonly #rows = new Map<number, number>();
  readonly #losses = new Map<string, LossCount>();
  readonly #selection: Selection;

  constructor(selection: Selection) {
    this.#selection = selection;
  }

  /**
   * Takes a segment of which `kept` rows are in the excerpt, and `damaged` batches would be if they could be
   * read. Gives the losses that belong to what was wanted.
   */
  async take(
    segment: Segment,
    kept: Counts = new Map(),
    damaged: ReadonlySet<BatchInfo> = new Set(),
  ): Promise<LossRow[]> {
    const stored = await countRows(segment, damaged);
    for (const [key, count] of stored) this.#add(opId(key), count - (kept.get(key) ?? 0));
    const before = segment.commits?.last?.left_out;
    for (const [id, count] of Object.entries(before?.rows ?? {})) this.#add(Number(id), count);
    for (const loss of before?.losses ?? []) this.#lose(loss);
    const losses = segment.losses();
    if (segment.problems.length > 0) losses.push(...missing(segment, stored));
    const wanted = losses.filter((loss) => touches(loss, this.#selection));
    for (const loss of losses) {
      if (loss.stage === 'clock' || wanted.includes(loss)) continue;
      const { stage, cause, type, op, count } = loss;
      this.#lose({ stage, cause, type, op, count: count === null ? null : Number(count) });
    }
    return wanted;
  }

  get isNothing(): boolean {
    return this.#rows.size + this.#losses.size === 0;
  }

  get total(): LeftOut {
    return { rows: Object.fromEntries(this.#rows), losses: [...this.#losses.values()] };
  }

  #add(id: number, count: number): void {
    if (count > 0) this.#rows.set(id, (this.#rows.get(id) ?? 0) + count);
  }

  #lose(loss: LossCount): void {
    const { stage, cause, type, op, count } = loss;
    const key = [stage, cause, type, op, count === null].join('\0');
    const known = this.#losses.get(key)?.count ?? 0;
    this.#losses.set(key, count === null ? loss : { ...loss, count: known + count });
  }
}

/** Rows that cannot be read, as losses. */
function missing(segment: Segment, stored: Counts): LossRow[] {
  const whole = segment.types().flatMap((type) => segment.batches(type));
  return damagedRows(segment, missingRows(segment, stored), whole).map((row) =>
    lossOf(row as Parameters<typeof lossOf>[0]),
  );
}
