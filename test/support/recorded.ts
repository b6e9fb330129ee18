// Whole recordings of random rows, written as the recorder writes them: segments that follow one another,
// points whose counters add up, and every row beside them for comparison.

import { join } from 'node:path';
import { EVENT_TABLES, type EventType } from '../../schemas/arrow.ts';
import { EVENTS } from '../../schemas/events.ts';
import { type CommitPoint, noPoint } from '../../src/segment/commits.ts';
import { diskFiles } from '../../src/segment/files.ts';
import type { Value } from '../../src/segment/vectors.ts';
import { type SealedSegment, SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker, type MadeBatch } from './batches.ts';
import { append, HEADER, processRow } from './segments.ts';

/** A row as it was recorded, its cells in the order of its table. */
export interface RecordedRow {
  readonly type: EventType;
  readonly cells: readonly Value[];
}

/** Place of a column in a type's table. */
export function columnIndex(type: EventType, name: string): number {
  return EVENT_TABLES[type].columns.findIndex((column) => column.name === name);
}

/** Row counts by op id. */
export function countOps(rows: Iterable<RecordedRow>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { type, cells } of rows) {
    const ops: Readonly<Record<string, { readonly id: number }>> = EVENTS[type].ops;
    const id = ops[String(cells[columnIndex(type, 'op')])]?.id ?? 0;
    counts[id] = (counts[id] ?? 0) + 1;
  }
  return counts;
}

/** One recording, written into the `segments` directory of a store. */
export class MadeRecording {
  readonly recording: string;
  readonly tsOffset: bigint;
  /** By seq: what was committed. */
  readonly rows = new Map<bigint, RecordedRow>();
  /** By seq: what was appended, and no commit covers it. */
  readonly uncommitted = new Map<bigint, RecordedRow>();
  readonly #segments: string;
  readonly #maker: BatchMaker;
  #number: number;
  #writer: SegmentWriter | null = null;
  #point: CommitPoint | null = null;
  #ts: bigint;

  constructor(segments: string, recording: string, seed: number, firstNumber: number) {
    this.#segments = segments;
    this.recording = recording;
    this.#number = firstNumber;
    this.#ts = 1_795_000_000_000_000_000n + BigInt(firstNumber) * 1_000_000_000n;
    this.tsOffset = this.#ts - 77_000_000_000n;
    this.#maker = new BatchMaker(seed, this.#ts);
  }

  /** Where it stands. */
  get point(): CommitPoint {
    return this.#point ?? noPoint();
  }

  /** The segment that is open, begun where there is none. */
  get writer(): SegmentWriter {
    if (this.#writer !== null) return this.#writer;
    const time = new Date(Number(this.#ts / 1_000_000n)).toISOString().replaceAll(/[-:]/g, '');
    const name = `${time}-${String(this.#number++).padStart(7, '0')}`;
    const header = {
      ...HEADER,
      recording: this.recording,
      ts_offset: `${this.tsOffset}`,
      clocks: { realtime: `${this.#ts}`, monotonic: `${this.#number}`, boottime: '3' },
    };
    this.#maker.beginSegment();
    this.#writer = SegmentWriter.create(diskFiles, this.#segments, name, header, this.#point);
    return this.#writer;
  }

  /** Appends a batch that no commit covers yet. */
  append(type: EventType, count: number): MadeBatch {
    const { writer } = this;
    const batch = this.#maker.make(type, count);
    append(writer, batch);
    for (const cells of batch.rows) this.uncommitted.set(cells[0] as bigint, { type, cells });
    return batch;
  }

  /** Appends and commits a batch for each pair. */
  write(...batches: readonly (readonly [type: EventType, rows: number])[]): this {
    for (const [type, count] of batches) this.#commit(this.append(type, count));
    return this;
  }

  /** Adds a process, and a loss of `lost` rows of file.read; the next commit covers them. */
  tell(pid: number, comm: string, lost: bigint | null): this {
    const at = { first_ts: this.#ts, last_ts: this.#ts + 5n };
    this.writer.addProcesses([processRow(pid, comm)]);
    this.writer.addLosses([
      { stage: 'store', cause: 'damaged', type: 'file', op: 'read', cpu: 1, count: lost, ...at },
    ]);
    return this;
  }

  seal(): SealedSegment {
    const sealed = this.writer.seal();
    this.#writer = null;
    return sealed;
  }

  /** Ends as a recorder does that is killed; gives the directory that it leaves. */
  kill(): string {
    const { writer } = this;
    writer.abandon();
    this.#writer = null;
    return join(this.#segments, `.open-${writer.name}`);
  }

  #commit({ type, item, rows }: MadeBatch): void {
    const made = rows.map((cells) => ({ type, cells }));
    for (const [seq, row] of this.uncommitted) this.rows.set(seq, row);
    this.uncommitted.clear();
    const counts = { ...this.point.consumed[0] };
    for (const [id, count] of Object.entries(countOps(made))) {
      counts[id] = (counts[id] ?? 0) + count;
    }
    let { late } = this.point;
    for (const { type: of, cells } of made) {
      const ts = cells[columnIndex(of, 'ts')] as bigint;
      if (ts < this.#ts) late++;
      else this.#ts = ts;
    }
    this.#point = {
      ...noPoint(),
      through_seq: Number(item.lastSeq),
      at: Number(this.#ts / 1_000_000n),
      rings: this.recording,
      positions: [`${item.lastSeq * 128n}`, '18446744073709551615'],
      newest: `${this.#ts - this.tsOffset}`,
      late,
      emitted: [counts],
      consumed: [counts],
    };
    this.writer.commit(this.#point);
  }
}
