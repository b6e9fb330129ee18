// What a query will read, as a value: batches in order, and why the others are left out.

import type { EventType } from '../../schemas/arrow.ts';
import type { BatchInfo, Segment } from '../segment/reader.ts';
import type { Bool } from './predicate.ts';
import { bootKey } from './process-rows.ts';
import { canMatch, isCertain, type KnownZones } from './prune.ts';
import { predicateOf, type Selection } from './select.ts';

export interface PlannedBatch {
  readonly segment: Segment;
  readonly info: BatchInfo;
  /** All of its rows lie in the window. */
  readonly inWindow: boolean;
  /** All of its rows match, as far as its zones say: they need not be read to be counted. */
  readonly certain: boolean;
}

export type SkipReason = 'window' | 'type' | 'zone';

/** What is not read: whole files, of which nobody looks at the batches, and batches of others. */
export interface Skipped {
  files: number;
  batches: number;
  rows: number;
  bytes: number;
}

/** The rows of a type in a segment. */
interface PlannedFile {
  readonly segment: Segment;
  readonly type: EventType;
  /** Every row matches, as far as the commit lines say: to be counted they need not be looked for. */
  readonly whole: boolean;
}

/** What decides about rows. */
export interface Decision {
  readonly selection: Selection;
  /** The predicate of a type's rows in a segment, the window aside. */
  readonly predicate: (type: EventType, segment: Segment) => Bool;
}

export interface Plan extends Decision {
  /** In order of segments, then of their first seq. */
  readonly batches: readonly PlannedBatch[];
  /** How many rows are certain by their file, and the batches of all other files. */
  readonly counted: { readonly rows: number; readonly batches: readonly PlannedBatch[] };
  readonly skipped: Readonly<Record<SkipReason, Skipped>>;
}

/** Predicates of a selection, each made once: they differ by type, and by boot where processes are wanted. */
function predicatesOf(selection: Selection): Decision['predicate'] {
  const made = new Map<string, Bool>();
  return (type, segment) => {
    const boot = bootKey(segment);
    const key = `${type}\0${boot}`;
    const predicate = made.get(key) ?? predicateOf(selection, type, boot);
    made.set(key, predicate);
    return predicate;
  };
}

function zonesOf({ zones, firstTs, lastTs, firstSeq, lastSeq }: BatchInfo): KnownZones {
  return { ...zones, ts: { min: firstTs, max: lastTs }, seq: { min: firstSeq, max: lastSeq } };
}

/** What the commit lines of a segment decide about all rows of a type. */
function decideFile(
  segment: Segment,
  type: EventType,
  { selection, predicate: predicateFor }: Decision,
): SkipReason | PlannedFile {
  const { since, until, types } = selection;
  if (!types.includes(type)) return 'type';
  const { span } = segment;
  if (since !== null && span !== null && span.last < since) return 'window';
  if (until !== null && span !== null && span.first >= until) return 'window';
  const inWindow =
    (since === null || (span !== null && span.first >= since)) &&
    (until === null || (span !== null && span.last < until));
  const isSure = segment.commits !== null && predicateFor(type, segment).kind === 'true';
  return { segment, type, whole: inWindow && isSure };
}

function decide(
  segment: Segment,
  info: BatchInfo,
  { selection, predicate: predicateFor }: Decision,
): SkipReason | PlannedBatch {
  const { since, until } = selection;
  if (since !== null && info.lastTs < since) return 'window';
  if (until !== null && info.firstTs >= until) return 'window';
  const predicate = predicateFor(info.type, segment);
  const inWindow =
    (since === null || info.firstTs >= since) && (until === null || info.lastTs < until);
  if (predicate.kind === 'true') return { segment, info, inWindow, certain: inWindow };
  const zones = zonesOf(info);
  if (!canMatch(predicate, zones)) return 'zone';
  return { segment, info, inWindow, certain: inWindow && isCertain(predicate, zones) };
}

/** A plan that looks at the index of a segment only where somebody asks for its batches. */
class LazyPlan implements Plan {
  readonly selection: Selection;
  readonly predicate: Decision['predicate'];
  readonly #files: PlannedFile[] = [];
  readonly #skipped: Record<SkipReason, Skipped>;
  readonly #batches = new Map<PlannedFile, readonly PlannedBatch[]>();

  constructor(segments: readonly Segment[], selection: Selection) {
    this.selection = selection;
    this.predicate = predicatesOf(selection);
    const none = (): Skipped => ({ files: 0, batches: 0, rows: 0, bytes: 0 });
    this.#skipped = { window: none(), type: none(), zone: none() };
    for (const segment of segments) {
      for (const type of segment.types()) {
        const decided = decideFile(segment, type, this);
        if (typeof decided !== 'string') this.#files.push(decided);
        else this.#skip(decided, 'files', segment.rows(type), segment.fileBytes(type));
      }
    }
  }

  get batches(): readonly PlannedBatch[] {
    return this.#batchesOf(this.#files);
  }

  get counted(): Plan['counted'] {
    const whole = this.#files.filter((file) => file.whole);
    return {
      rows: whole.reduce((sum, { segment, type }) => sum + segment.rows(type), 0),
      batches: this.#batchesOf(this.#files.filter((file) => !file.whole)),
    };
  }

  get skipped(): Plan['skipped'] {
    this.#batchesOf(this.#files);
    return this.#skipped;
  }

  #batchesOf(files: readonly PlannedFile[]): PlannedBatch[] {
    const bySegment = Map.groupBy(files, ({ segment }) => segment);
    return [...bySegment.values()].flatMap((own) =>
      own
        .flatMap((file) => this.#batchesOfFile(file))
        .sort((a, b) => (a.info.firstSeq < b.info.firstSeq ? -1 : 1)),
    );
  }

  #batchesOfFile(file: PlannedFile): readonly PlannedBatch[] {
    const known = this.#batches.get(file);
    if (known !== undefined) return known;
    const { segment, type } = file;
    const batches: PlannedBatch[] = [];
    for (const info of segment.batches(type)) {
      const decided = decide(segment, info, this);
      if (typeof decided !== 'string') batches.push(decided);
      else this.#skip(decided, 'batches', info.rows, info.metadataLength + info.bodyLength);
    }
    this.#batches.set(file, batches);
    return batches;
  }

  #skip(reason: SkipReason, what: 'files' | 'batches', rows: number, bytes: number): void {
    const skipped = this.#skipped[reason];
    skipped[what]++;
    skipped.rows += rows;
    skipped.bytes += bytes;
  }
}

/** Plans a selection over segments, which are in time order. */
export function plan(segments: readonly Segment[], selection: Selection): Plan {
  return new LazyPlan(segments, selection);
}

/** A plan of which only some batches are wanted. */
export function planOf({ selection, predicate, skipped }: Plan, batches: Plan['batches']): Plan {
  return { selection, predicate, batches, counted: { rows: 0, batches }, skipped };
}
