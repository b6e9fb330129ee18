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

/** What is read of a segment. */
export interface PlanPart {
  readonly segment: Segment;
  /** In order of their first seq. The index is looked at when somebody asks. */
  readonly batches: readonly PlannedBatch[];
}

export interface Plan extends Decision {
  /** Segments that may have rows, in order. */
  readonly parts: readonly PlanPart[];
  /** Those of all parts. */
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

function partOf(segment: Segment, find: () => readonly PlannedBatch[]): PlanPart {
  let found: readonly PlannedBatch[] | null = null;
  return {
    segment,
    get batches() {
      found ??= find();
      return found;
    },
  };
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

  get parts(): readonly PlanPart[] {
    return this.#partsOf(this.#files);
  }

  get batches(): readonly PlannedBatch[] {
    return this.parts.flatMap(({ batches }) => batches);
  }

  get counted(): Plan['counted'] {
    const whole = this.#files.filter((file) => file.whole);
    return {
      rows: whole.reduce((sum, { segment, type }) => sum + segment.rows(type), 0),
      batches: this.#partsOf(this.#files.filter((file) => !file.whole)).flatMap(
        ({ batches }) => batches,
      ),
    };
  }

  get skipped(): Plan['skipped'] {
    for (const file of this.#files) this.#batchesOf(file);
    return this.#skipped;
  }

  #partsOf(files: readonly PlannedFile[]): PlanPart[] {
    const bySegment = Map.groupBy(files, ({ segment }) => segment);
    return [...bySegment].map(([segment, own]) =>
      partOf(segment, () =>
        own
          .flatMap((file) => this.#batchesOf(file))
          .sort((a, b) => (a.info.firstSeq < b.info.firstSeq ? -1 : 1)),
      ),
    );
  }

  #batchesOf(file: PlannedFile): readonly PlannedBatch[] {
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
export function planOf(plan: Plan, isWanted: (batch: PlannedBatch) => boolean): Plan {
  const { selection, predicate } = plan;
  const own = plan.parts.map((part) => partOf(part.segment, () => part.batches.filter(isWanted)));
  const batches = (): PlannedBatch[] => own.flatMap((part) => part.batches);
  return {
    selection,
    predicate,
    parts: own,
    get batches() {
      return batches();
    },
    get counted() {
      return { rows: 0, batches: batches() };
    },
    get skipped() {
      return plan.skipped;
    },
  };
}
