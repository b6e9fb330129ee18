// A segment that holds some rows of another: what is gathered of its batches goes in as it comes, column by
// column, with the strings and processes that these rows name.

import { EVENT_TABLES, type EventType } from '../../schemas/arrow.ts';
import { FORMAT_VERSION } from '../../schemas/events.ts';
import { SCHEMA_FINGERPRINT } from '../../schemas/generated/fingerprint.ts';
import type { NewValues } from '../event/batch.ts';
import { ProcessSet } from '../query/process-set.ts';
import type { Block } from '../query/scanner.ts';
import type { ColumnBuffers } from '../segment/arrow-file.ts';
import { columnOf, type SmallRow } from '../segment/columns.ts';
import { type CommitPoint, isLasting, type LeftOut, pointOf } from '../segment/commits.ts';
import type { StoreFiles } from '../segment/files.ts';
import type { Segment } from '../segment/reader.ts';
import { beginOf, type Counts, countOps, endOf } from '../segment/repair.ts';
import type { ProcessRow, SocketRow } from '../segment/small-tables.ts';
import { DictionaryVector, NumberVector } from '../segment/vectors.ts';
import { SegmentWriter } from '../segment/writer.ts';
import { Interner } from './interner.ts';

/** What an excerpt holds beside its rows. */
export interface ExcerptEnd {
  /** All processes and sockets of the segment; else those that rows name, and no sockets. */
  readonly whole: boolean;
  readonly losses: readonly SmallRow[];
  /** Null where nothing was left out. */
  readonly leftOut: LeftOut | null;
}

/** Points that say what the last one does not, of segments one behind the other. */
function lastingPoints(sources: readonly Segment[]): CommitPoint[] {
  const last = sources.at(-1)?.commits?.lines.at(-1);
  return sources
    .flatMap(({ commits }) => commits?.lines ?? [])
    .filter((line) => isLasting(line) && line !== last)
    .map((line) => {
      const { left_out: _leftOut, ...point } = pointOf(line);
      return line.clocks === undefined ? point : { ...point, clocks: line.clocks };
    });
}

function rangeOf({ info, rows, columns }: Block): { firstTs: bigint; lastTs: bigint } {
  const ts = columns.get('ts');
  if (rows === info.rows || !(ts instanceof NumberVector)) return info;
  const times = ts.values as BigInt64Array;
  let firstTs = times[0] as bigint;
  let lastTs = firstTs;
  for (const time of times) {
    if (time < firstTs) firstTs = time;
    else if (time > lastTs) lastTs = time;
  }
  return { firstTs, lastTs };
}

/** An excerpt that is being written. */
export class Excerpt {
  readonly sources: readonly Segment[];
  readonly #segment: Segment;
  readonly #writer: SegmentWriter;
  readonly #interners = new Map<string, Interner>();
  readonly #named = new ProcessSet();
  /** Rows that it holds. */
  readonly kept: Counts = new Map();

  /**
   * Begins one under `segments`, of the last of `sources`; the others, which have no row that is wanted, lie
   * before it without a gap, and what became of their rows is told in its account.
   */
  constructor(files: StoreFiles, segments: string, name: string, sources: readonly Segment[]) {
    const [first, segment] = [sources[0] as Segment, sources.at(-1) as Segment];
    this.sources = sources;
    this.#segment = segment;
    const header = {
      ...segment.header,
      format: FORMAT_VERSION,
      // Its files are of this version's table: what they lacked is null.
      fingerprint: SCHEMA_FINGERPRINT,
    };
    this.#writer = SegmentWriter.create(files, segments, name, header, beginOf(first));
    try {
      for (const point of lastingPoints(sources)) this.#writer.commit(point, true);
    } catch (error) {
      this.#writer.abandon();
      throw error;
    }
  }

  /** Adds the rows of a block, which have all columns. */
  append(block: Block): void {
    const { info, rows, columns, buffers } = block;
    const news: NewValues[] = [];
    const written = EVENT_TABLES[info.type].columns.map(({ name }, column): ColumnBuffers => {
      const [vector, parts = []] = [columns.get(name), buffers.get(name)];
      if (!(vector instanceof DictionaryVector)) return columnOf(rows, parts);
      const taken = this.#interner(`${info.type}.${name}`, vector).take(
        vector,
        parts[0] ?? new Uint8Array(),
      );
      if (taken.values.length > 0) news.push({ column, values: taken.values });
      return taken.column;
    });
    const seqs = (columns.get('seq') as NumberVector).values as BigUint64Array;
    this.#writer.appendColumns(info.type, written, news, {
      rows,
      firstSeq: seqs[0] as bigint,
      lastSeq: seqs[rows - 1] as bigint,
      ...rangeOf(block),
    });
    const ops = columns.get('op');
    if (ops instanceof DictionaryVector) countOps(info.type, ops, this.kept);
    this.#nameProcesses(block);
  }

  /** Ends it as a sealed segment. */
  seal({ whole, losses, leftOut }: ExcerptEnd): void {
    const segment = this.#segment;
    const rows = segment.processes() as unknown as ProcessRow[];
    const isNamed = ({ pid, pstart }: ProcessRow): boolean => this.#named.has(pid, pstart);
    this.#writer.addProcesses(whole ? rows : rows.filter(isNamed));
    // Others would tell of connections whose rows were left out, and know too little without these.
    const sockets = whole ? segment.sockets() : null;
    if (sockets !== null) this.#writer.addSockets(sockets as unknown as SocketRow[]);
    this.#writer.addLosses(losses);
    const batches = segment.types().flatMap((type) => segment.batches(type));
    const { left_out: _before, ...end } = endOf(segment, batches);
    const clocks = segment.commits?.last?.clocks;
    const point = {
      ...end,
      ...(clocks !== undefined && { clocks }),
      ...(leftOut !== null && { left_out: leftOut }),
    };
    this.#writer.commit(point, true);
    this.#writer.seal();
  }

  /** Lets go of its files as they are. */
  abandon(): void {
    this.#writer.abandon();
  }

  #interner(key: string, { dictionary }: DictionaryVector): Interner {
    const interner = this.#interners.get(key) ?? new Interner(dictionary.length);
    this.#interners.set(key, interner);
    return interner;
  }

  // A process is named by pid and start: rows are about one, and a fork names another. A ppid or target_pid
  // alone names none.
  #nameProcesses({ info, rows, columns }: Block): void {
    const [pids, starts] = [numbers(columns, 'pid'), numbers(columns, 'pstart')];
    let [pid, start]: (number | bigint | undefined)[] = [undefined, undefined];
    for (let row = 0; row < rows; row++) {
      // Neighbours are often of the same process.
      if (pids[row] === pid && starts[row] === start) continue;
      [pid, start] = [pids[row] as number, starts[row] as bigint];
      this.#named.add(pid, start, 0);
    }
    if (info.type !== ('process' satisfies EventType)) return;
    const [children, born] = [columns.get('child_pid'), columns.get('child_pstart')];
    for (let row = 0; row < rows; row++) {
      const child = children?.get(row) ?? null;
      if (child !== null) this.#named.add(child as number, (born?.get(row) ?? 0n) as bigint, 0);
    }
  }
}

function numbers(columns: Block['columns'], name: string): NumberVector['values'] {
  return (columns.get(name) as NumberVector).values;
}
