// Runs a plan on the addon's threads: of each planned batch the rows that match come back, with the columns
// that are wanted, in the order of the plan. What is damaged is left out, and its segment says so.

import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import type { EventBlock } from '../event/stream.ts';
import { damagedError, damageText } from '../segment/damage.ts';
import type { BatchInfo, ScanFile, Segment } from '../segment/reader.ts';
import { buffersIn, type Vector, vectorsOf } from '../segment/vectors.ts';
import { scanNative } from '../source/binding.ts';
import type {
  NativeScan,
  ScanBatch,
  ScanFileOptions,
  ScanGroups,
  ScanGroupsResult,
  ScanOptions,
  ScanResult,
  ScanTable,
} from '../source/scan.ts';
import type { Decision, PlannedBatch } from './plan.ts';
import { type Bool, fieldsIn } from './predicate.ts';
import { bootKey } from './process-rows.ts';
import type { Selection } from './select.ts';

/** Files that one native scan has open at most; a store may have far more. */
const FILES_MAX = 128;
/** So many rows come from a batch or two. */
const FEW = 1000;

/** The rows of one batch that match, in order of seq. */
export interface Block extends EventBlock {
  readonly segment: Segment;
  readonly info: BatchInfo;
  readonly rows: number;
  /** Only the matching rows. */
  readonly columns: ReadonlyMap<string, Vector>;
  /** What the columns are made of: buffers in Arrow's order. */
  readonly buffers: ReadonlyMap<string, readonly Uint8Array[]>;
}

/** Groups of the rows of one file. */
export interface FileGroups {
  readonly segment: Segment;
  readonly type: EventType;
  readonly groups: ScanGroupsResult;
}

/** What was really read. */
export interface ReadCounts {
  batches: number;
  buffers: number;
  /** Of files. */
  bytes: number;
  /** What these became. */
  unpacked: number;
}

/** What is asked of the rows of a type, beside its predicate. */
export interface Question {
  /** Columns that are wanted of rows that match. */
  readonly columns: (type: EventType) => readonly string[];
  /** Of each batch only the first (the last) so many rows that match; absent: all. */
  readonly first?: number;
  readonly last?: number;
  /** In place of rows, groups of them. */
  readonly groups?: (type: EventType) => ScanGroups;
}

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;

/** A predicate and the window. */
export function windowed({ since, until }: Selection, predicate: Bool): Bool {
  const ranges = [[since ?? MIN, until === null ? MAX : until - 1n] as const];
  const window: Bool = { kind: 'within', of: { kind: 'field', field: 'ts' }, ranges };
  return { kind: 'and', args: [window, predicate] };
}

/** The predicate with ktime, which no file has, written as ts − offset. */
function withKtime<T>(node: T, tsOffset: bigint): T {
  if (typeof node !== 'object' || node === null) return node;
  if (Array.isArray(node)) return node.map((one) => withKtime(one, tsOffset)) as T;
  const { kind, field } = node as { kind?: string; field?: string };
  if (kind === 'has' && field === 'ktime') return { kind: 'true' } as T;
  if (kind === 'field' && field === 'ktime') {
    const offset = { kind: 'int', value: tsOffset };
    return { kind: 'arith', op: '-', left: { kind: 'field', field: 'ts' }, right: offset } as T;
  }
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, withKtime(value, tsOffset)]),
  ) as T;
}

/** One native scan in the making: tables, files and batches by number. */
class Request {
  readonly tables: ScanTable[] = [];
  readonly files: ScanFileOptions[] = [];
  readonly batches: ScanBatch[] = [];
  readonly planned: PlannedBatch[] = [];
  readonly #decision: Decision;
  readonly #question: Question;
  readonly #tables = new Map<string, number>();
  readonly #files = new Map<string, number | null>();
  readonly sources: { readonly segment: Segment; readonly type: EventType }[] = [];

  constructor(decision: Decision, question: Question) {
    this.#decision = decision;
    this.#question = question;
  }

  /** Adds a batch; one whose file is damaged is left out. */
  add(planned: PlannedBatch): void {
    const { segment, info, inWindow } = planned;
    try {
      segment.checkUnindexed(info);
      const file = this.#file(segment, info.type);
      const { offset, metadataLength, bodyLength, rows, checksums } = info;
      const where = { file, offset, metadataLength, bodyLength, rows, checksums };
      this.batches.push({ ...where, windowed: !inWindow });
      this.planned.push(planned);
    } catch (error) {
      segment.leaveOut(info, error);
    }
  }

  #file(segment: Segment, type: EventType): number {
    const key = `${segment.directory}/${type}`;
    const known = this.#files.get(key);
    if (known !== undefined && known !== null) return known;
    const table = this.#table(segment, type);
    const file = segment.scanFile(type, this.#needed(segment, type));
    const number = this.files.push(fileOptions(file, table, type)) - 1;
    this.sources.push({ segment, type });
    this.#files.set(key, number);
    return number;
  }

  /** Columns whose strings are needed. */
  #needed(segment: Segment, type: EventType): string[] {
    const { columns } = EVENT_TABLES[type];
    const keys = this.#question
      .groups?.(type)
      .keys.map(({ column }) => columns[column]?.name ?? '');
    const fields = fieldsIn(this.#decision.predicate(type, segment));
    return [...new Set([...fields, ...this.#question.columns(type), ...(keys ?? [])])];
  }

  #table(segment: Segment, type: EventType): number {
    const predicate = this.#decision.predicate(type, segment);
    const { tsOffset } = segment;
    const hasKtime = fieldsIn(predicate).has('ktime');
    const key = [type, bootKey(segment), hasKtime ? tsOffset : ''].join('\0');
    const known = this.#tables.get(key);
    if (known !== undefined) return known;
    const own = hasKtime ? withKtime(predicate, tsOffset) : predicate;
    const { columns } = EVENT_TABLES[type];
    const wanted = new Set(this.#question.columns(type));
    const output = columns.flatMap(({ name }, i) => (wanted.has(name) ? [i] : []));
    const groups = this.#question.groups?.(type) ?? null;
    const table = {
      columns,
      predicate: own,
      windowed: windowed(this.#decision.selection, own),
      output,
      groups,
    };
    const number = this.tables.push(table) - 1;
    this.#tables.set(key, number);
    return number;
  }
}

function fileOptions(file: ScanFile, table: number, type: EventType): ScanFileOptions {
  const { fd, size, nodes, buffers } = file;
  const { columns } = EVENT_TABLES[type];
  const places = new Int32Array(columns.length * 2).fill(-1);
  columns.forEach(({ name, type: wanted }, i) => {
    const place = file.places.get(name);
    // A column that changed its type is not that of the table.
    if (place === undefined || place.type !== wanted) return;
    places[2 * i] = place.nodes.first;
    places[2 * i + 1] = place.buffers.first;
  });
  const dictionaries = columns.map(({ name }) => file.strings.get(name)?.buffers ?? null);
  return { fd, size, table, nodes, buffers, places, dictionaries };
}

/** A scan whose results can be waited for. */
class Run {
  readonly #scan: NativeScan;
  #ready: () => void = () => {};

  constructor(options: ScanOptions) {
    this.#scan = new (scanNative().Scan)(options, () => this.#ready());
  }

  async next(): Promise<ScanResult | null> {
    for (;;) {
      const result = this.#scan.take();
      if (result !== undefined) {
        // Signals are heard and memory is given back only when the event loop has its turn.
        await setImmediate();
        return result;
      }
      await new Promise<void>((resolve) => {
        this.#ready = resolve;
      });
    }
  }

  groups(): ScanGroupsResult[] {
    return this.#scan.groups();
  }

  cancel(): void {
    this.#scan.cancel();
  }

  /** Ends it, and adds what it read. */
  close(counts: ReadCounts): void {
    const read = this.#scan.counts();
    for (const key of ['batches', 'buffers', 'bytes', 'unpacked'] as const)
      counts[key] += read[key];
    this.#scan.close();
  }
}

/**
 * Planned batches in runs whose files can be open at once. Where rows are wanted the first runs are short: the
 * strings of a file are read before its rows, and somebody waits for the first.
 */
function* chunks(batches: Iterable<PlannedBatch>, rows: boolean): Generator<PlannedBatch[]> {
  let most = rows ? EVENT_TYPES.length : FILES_MAX;
  let chunk: PlannedBatch[] = [];
  const files = new Set<string>();
  for (const planned of batches) {
    files.add(`${planned.segment.directory}/${planned.info.type}`);
    if (files.size > most) {
      yield chunk;
      most = Math.min(FILES_MAX, most * 2);
      chunk = [];
      files.clear();
      files.add(`${planned.segment.directory}/${planned.info.type}`);
    }
    chunk.push(planned);
  }
  if (chunk.length > 0) yield chunk;
}

export class Scanner {
  readonly counts: ReadCounts = { batches: 0, buffers: 0, bytes: 0, unpacked: 0 };
  /** Planned batches that are through. */
  done = 0;
  readonly #decision: Decision;
  readonly #threads: number;

  constructor(decision: Decision, threads = availableParallelism()) {
    this.#decision = decision;
    this.#threads = threads;
  }

  /**
   * The rows of each batch that match, in the order given; batches without one come as well, so that the
   * reader knows how far it is.
   */
  async *blocks(batches: Iterable<PlannedBatch>, question: Question): AsyncGenerator<Block> {
    for (const chunk of chunks(
      batches,
      EVENT_TYPES.some((type) => question.columns(type).length > 0),
    )) {
      const request = this.#request(chunk, question);
      const run = this.#run(request, false, question);
      try {
        for (let result = await run.next(); result !== null; result = await run.next()) {
          this.done++;
          const { segment, info } = request.planned[result.batch] as PlannedBatch;
          if (leftOut(segment, info, result)) continue;
          yield blockOf(segment, info, result, question);
        }
      } finally {
        run.close(this.counts);
      }
    }
  }

  /**
   * Groups of the rows that match, by file. `onBatch` is told as each batch is through; false ends the
   * reading with what there is so far.
   */
  async *groups(
    batches: readonly PlannedBatch[],
    question: Question,
    onBatch: () => boolean = () => true,
  ): AsyncGenerator<FileGroups> {
    let ended = false;
    for (const chunk of chunks(batches, false)) {
      if (ended) return;
      const request = this.#request(chunk, question);
      const run = this.#run(request, true, question);
      try {
        for (let result = await run.next(); result !== null; result = await run.next()) {
          this.done++;
          const { segment, info } = request.planned[result.batch] as PlannedBatch;
          leftOut(segment, info, result);
          if (!onBatch()) {
            ended = true;
            run.cancel();
          }
        }
        for (const groups of run.groups()) {
          const source = request.sources[groups.file];
          if (source !== undefined) yield { ...source, groups };
        }
      } finally {
        run.close(this.counts);
      }
    }
  }

  #request(chunk: readonly PlannedBatch[], question: Question): Request {
    const request = new Request(this.#decision, question);
    for (const planned of chunk) request.add(planned);
    return request;
  }

  #run(
    { tables, files, batches }: Request,
    grouped: boolean,
    { first = 0, last = 0 }: Question,
  ): Run {
    const threads = this.#threads;
    // As many are ahead as the threads and the types of a segment want; few where few rows are the end.
    const few = (first > 0 && first <= FEW) || (last > 0 && last <= FEW);
    const window = few ? threads : threads * 2 + EVENT_TYPES.length;
    return new Run({ threads, window, grouped, first, last, tables, files, batches });
  }
}

function leftOut(segment: Segment, info: BatchInfo, { damage }: ScanResult): boolean {
  if (damage === null) return false;
  const { text, from, to } = damage;
  const file = `${info.type}.arrow`;
  const what = text ?? damageText({ file, from, to, reason: 'checksum' });
  segment.leaveOut(info, damagedError(`${segment.directory}/${file}`, what));
  return true;
}

function blockOf(
  segment: Segment,
  info: BatchInfo,
  { rows, regions, memory }: ScanResult,
  question: Question,
): Block {
  const { type } = info;
  const { tsOffset, header } = segment;
  const place = { type, origin: header, tsOffset, segment, info };
  const none = new Map();
  if (rows === 0 || regions.length === 0) return { ...place, rows, columns: none, buffers: none };
  const wanted = new Set(question.columns(type));
  const specs = EVENT_TABLES[type].columns.filter(({ name }) => wanted.has(name));
  const names = specs.map(({ name }) => name);
  const buffers = buffersIn(specs, regions, memory);
  const columns = vectorsOf(specs, rows, buffers, segment.strings(type, names));
  return { ...place, rows, columns, buffers };
}
