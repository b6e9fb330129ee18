// An export in Arrow: a store of its own. Segments of which everything is wanted are copied, of others an
// excerpt is written, and those without a row that is wanted are left out.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { touches } from '../query/completeness.ts';
import { recordingKey } from '../query/merge.ts';
import type { Plan, PlannedBatch } from '../query/plan.ts';
import type { Reading } from '../query/reading.ts';
import { committedFiles } from '../segment/damage.ts';
import {
  INDEX_FILE,
  LOGS,
  LOSSES_FILE,
  PROCESSES_FILE,
  SOCKETS_FILE,
} from '../segment/file-names.ts';
import type { BatchInfo, Segment } from '../segment/reader.ts';
import { beginOf, endOf } from '../segment/repair.ts';
import { lossCells } from '../segment/small-tables.ts';
import { segmentsOf } from '../segment/store.ts';
import { writeStoreFile } from '../segment/store-file.ts';
import { copySegment } from './copy.ts';
import { Excerpt } from './excerpt.ts';
import { LeftOutCount } from './left-out.ts';
import { bytesOf, type Exported, type ExportOptions, makeWhole, pause } from './target.ts';

const allColumns = (type: EventType): string[] => EVENT_TABLES[type].columns.map((c) => c.name);

const batchesOf = (segment: Segment): BatchInfo[] =>
  segment.types().flatMap((type) => segment.batches(type));

/** True where no row, process or loss of a segment is to be left out. */
function isWanted(segment: Segment, { selection, predicate }: Plan): boolean {
  const all = EVENT_TYPES.every(
    (type) => selection.types.includes(type) && predicate(type, segment).kind === 'true',
  );
  if (!all) return false;
  const { since, until } = selection;
  if (since === null && until === null) return true;
  const [batches, losses] = [batchesOf(segment), segment.losses()];
  const within = batches.every(
    ({ firstTs, lastTs }) =>
      (since === null || firstTs >= since) && (until === null || lastTs < until),
  );
  return (
    within && batches.length + losses.length > 0 && losses.every((loss) => touches(loss, selection))
  );
}

/** True where the second begins where the first ends. */
function follows(before: Segment, after: Segment): boolean {
  const end = endOf(before, batchesOf(before)).through_seq;
  return end === (beginOf(after)?.through_seq ?? 0);
}

/** Segments in runs that have no gap. */
function runsOf(segments: readonly Segment[]): Segment[][] {
  const runs: Segment[][] = [];
  for (const segment of segments) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    if (run !== undefined && last !== undefined && follows(last, segment)) run.push(segment);
    else runs.push([segment]);
  }
  return runs;
}

/** Writes the segments of a store, one after the other. */
class SegmentExport {
  readonly #options: ExportOptions;
  readonly #segments: string;
  readonly #query: Reading;
  readonly #batches: ReadonlyMap<Segment, readonly PlannedBatch[]>;
  readonly #names = new Set<string>();
  #recording = '';
  /** Segments of this recording that were left out since the last that was not. */
  #skipped: Segment[] | null = null;
  /** Planned batches that are through. */
  #done = 0;
  readonly rows: Record<string, number> = {};
  readonly notes: string[] = [];
  copied = 0;
  written = 0;

  constructor(options: ExportOptions, segments: string, query: Reading) {
    this.#options = options;
    this.#segments = segments;
    this.#query = query;
    this.#batches = Map.groupBy(query.plan.batches, ({ segment }) => segment);
  }

  /** Exports what is wanted of the next segment. */
  async add(segment: Segment): Promise<void> {
    await pause(this.#options.signal);
    const recording = recordingKey(segment.header);
    if (recording !== this.#recording) this.#skipped = null;
    this.#recording = recording;
    const wanted = isWanted(segment, this.#query.plan);
    if (wanted && segment.sealed && (await this.#copy(segment))) this.#skipped = [];
    else if (await this.#write(segment, wanted)) this.#skipped = [];
    // What lies before the first segment of a recording that is exported is none of its account.
    else this.#skipped?.push(segment);
  }

  async #copy(segment: Segment): Promise<boolean> {
    await this.#fill(runsOf(this.#skipped ?? []));
    if (this.#skipped !== null) this.#skipped = [];
    const name = this.#freeName(segment);
    if (!copySegment(this.#options.files, segment, join(this.#segments, name))) return false;
    this.#names.add(name);
    for (const type of segment.types()) this.#count(type, segment.rows(type));
    this.copied++;
    this.#through(this.#batches.get(segment)?.length ?? 0);
    return true;
  }

  /** False where no row of it is wanted, and no loss. */
  async #write(segment: Segment, whole: boolean): Promise<boolean> {
    const { scanner, plan } = this.#query;
    const planned = this.#batches.get(segment) ?? [];
    const damaged = new Set(planned.map(({ info }) => info));
    let excerpt: Excerpt | null = null;
    try {
      for await (const block of scanner.blocks(planned, { columns: allColumns })) {
        await pause(this.#options.signal);
        this.#through(1);
        damaged.delete(block.info);
        if (block.rows === 0) continue;
        excerpt ??= await this.#begin(segment, whole);
        excerpt.append(block);
        this.#count(block.info.type, block.rows);
      }
      this.#through(damaged.size);
      const isLost = segment
        .losses()
        .some((loss) => loss.stage !== 'clock' && touches(loss, plan.selection));
      if (excerpt === null && damaged.size === 0 && !isLost && !whole) return false;
      excerpt ??= await this.#begin(segment, whole);
      await this.#end(excerpt, whole, damaged);
      return true;
    } catch (error) {
      excerpt?.abandon();
      throw error;
    }
  }

  /** Begins the excerpt of a segment, with those skipped before it from which no gap divides it. */
  async #begin(segment: Segment, whole: boolean): Promise<Excerpt> {
    const skipped = this.#skipped ?? [];
    // One of which all is wanted is as it was: it begins where it did.
    const runs = whole ? [...runsOf(skipped), [segment]] : runsOf([...skipped, segment]);
    await this.#fill(runs.slice(0, -1));
    return this.#excerptOf(runs.at(-1) ?? [segment]);
  }

  #excerptOf(sources: readonly Segment[]): Excerpt {
    const name = this.#freeName(sources.at(-1) as Segment);
    this.#names.add(name);
    return new Excerpt(this.#options.files, this.#segments, name, sources);
  }

  async #end(excerpt: Excerpt, whole: boolean, damaged: ReadonlySet<BatchInfo>): Promise<void> {
    const { sources, kept } = excerpt;
    const segment = sources.at(-1) as Segment;
    const count = new LeftOutCount(this.#query.plan.selection);
    for (const skipped of sources.slice(0, -1)) await count.take(skipped);
    const losses = await count.take(segment, kept, damaged);
    excerpt.seal({
      whole,
      losses: losses.map(lossCells),
      leftOut: whole && count.isNothing ? null : count.total,
    });
    this.notes.push(...unknownIn(segment));
    this.written++;
  }

  /** Segments without a row that is wanted, where nothing else would tell that they are no gap. */
  async #fill(runs: readonly (readonly Segment[])[]): Promise<void> {
    for (const run of runs) {
      const excerpt = this.#excerptOf(run);
      try {
        await this.#end(excerpt, false, new Set());
      } catch (error) {
        excerpt.abandon();
        throw error;
      }
    }
  }

  /** Its own name, but where a segment of another store has that. */
  #freeName({ name }: Segment): string {
    const own = name.replace(/^\.+/, '');
    const [, stem = `${own}-`, digits = '0000000'] = /^(.*-)(\d{7,})$/.exec(own) ?? [];
    for (let free = own, number = Number(digits); ; free = `${stem}${numberText(++number)}`) {
      if (!this.#names.has(free)) return free;
    }
  }

  #count(type: EventType, rows: number): void {
    if (rows > 0) this.rows[type] = (this.rows[type] ?? 0) + rows;
  }

  #through(batches: number): void {
    this.#done += batches;
    this.#options.onBatch(this.#done);
  }
}

const numberText = (number: number): string => String(number).padStart(7, '0');

const KNOWN_FILES = new Set([
  ...EVENT_TYPES.map((type) => `${type}.arrow`),
  ...[LOSSES_FILE, PROCESSES_FILE, SOCKETS_FILE, INDEX_FILE, ...LOGS],
]);

/** What a later version wrote and an excerpt of this one does not have. */
function unknownIn(segment: Segment): string[] {
  const files = segment.commits === null ? [] : committedFiles(segment.commits);
  return files
    .filter((file) => !KNOWN_FILES.has(file))
    .map((file) => `${segment.name}: ${file} is left out: this version does not know it`);
}

/**
 * Exports what a query chooses as a store of its own. A segment of which all is wanted is copied byte for
 * byte; of others, of open and of damaged ones an excerpt is written. Throws TapioError where that fails, and
 * then nothing is left.
 */
export async function exportStore(query: Reading, options: ExportOptions): Promise<Exported> {
  const { files } = options;
  return makeWhole(options, async (directory) => {
    const segments = segmentsOf(directory);
    files.makeDirectory(directory);
    files.makeDirectory(segments);
    writeStoreFile(files, directory, randomUUID(), null);
    const exporting = new SegmentExport(options, segments, query);
    for (const segment of query.segments) await exporting.add(segment);
    files.syncDirectory(segments);
    const { rows, copied, written, notes } = exporting;
    return { rows, copied, written, notes, bytes: bytesOf(directory) };
  });
}
