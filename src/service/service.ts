// The only door to a recorder's rows for those who are not its user: whoever asks is looked up in the policy, what is asked is
// bound to it, and written down, before anything is read.

import { EVENT_TABLES } from '../../schemas/arrow.ts';
import { usage } from '../config/values.ts';
import { type EventRun, rowsIn } from '../event/stream.ts';
import { type FilePart, segmentParts } from '../export/segment-parts.ts';
import { missingFrom } from '../query/completeness.ts';
import { Reading } from '../query/reading.ts';
import {
  questionOf,
  type Span,
  type Summary,
  type SummaryQuestion,
  spanOf,
  summaryOf,
} from '../query/summary.ts';
import type { LiveDoor } from '../replay/door.ts';
import type { PlayOptions } from '../replay/player.ts';
import { isPace } from '../replay/schedule.ts';
import { openStore } from '../segment/store.ts';
import {
  Admission,
  type AdmissionOptions,
  type Admitted,
  type Caller,
  entryOf,
  nsOf,
} from './admission.ts';
import type { AuditedRead } from './audit.ts';
import type { ServiceCounters } from './counters.ts';
import { EventStream } from './event-stream.ts';
import type { Grant } from './grant.ts';
import { HeldStream, ReplayStream } from './held-stream.ts';
import { type HeldSegment, type Holding, holdingOf, segmentsIn } from './holdings.ts';
import { readPage } from './pages.ts';
import type { Usage } from './rate.ts';
import { fieldName } from './redact.ts';
import type { QueryMessage, ReplayMessage, StatsMessage, StreamMessage } from './request.ts';
import type { RowStream } from './row-stream.ts';
import { sampled, sampleOf } from './sample.ts';
import { readAgain, redacted, ServedStream, type StreamTerms } from './served-stream.ts';
import { tokenOf } from './token.ts';

export interface ServiceOptions extends AdmissionOptions {
  readonly store: string;
  /** What each identity is using. */
  readonly usage: Usage;
  readonly counters: ServiceCounters;
  /** Registers with the recorder. Throws TapioError('not_running') where there is none. */
  readonly connect: () => Promise<LiveDoor>;
  /** Has every row made durable that there is. */
  readonly flush: () => Promise<unknown>;
  /** Waits so many ms, or until the signal. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

export interface ServedPage {
  readonly runs: readonly EventRun[];
  readonly token: string;
  readonly incomplete: readonly string[];
}

export interface ServedSummary {
  readonly summary: Summary;
  readonly question: SummaryQuestion;
  readonly incomplete: readonly string[];
}

const PAGE_ROWS = 1000;
const PAGE_ROWS_MAX = 10_000;
/** Groups that fit into an answer. */
const GROUPS_MAX = 50_000;
const LOOPS_MAX = 1_000_000;
const NEVER = new AbortController().signal;

/** What an identity is told of what is missing: causes and counts may be of rows that it may not see. */
function toldTo(grant: Grant): StreamTerms['told'] {
  if (grant.isUnrestricted) {
    return { losses: (losses) => losses, lost: (lost) => lost, reasons: (reasons) => reasons };
  }
  const cause = 'some events are missing';
  return {
    losses: (losses) =>
      losses.filter(({ type, op }) => type === null || op === null || shows(grant, type, op)),
    lost: (lost) => ({ ...lost, cause, count: null }),
    reasons: (reasons) => (reasons.length === 0 ? [] : [`incomplete: ${cause}`]),
  };
}

const shows = (grant: Grant, type: string, op: string): boolean =>
  Object.hasOwn(EVENT_TABLES, type) && grant.shows(type as keyof typeof EVENT_TABLES, op);

export class EventService {
  readonly #options: ServiceOptions;
  readonly #admission: Admission;

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#admission = new Admission(options);
  }

  /**
   * Begins a stream, which the signal ends. Throws TapioError('not_permitted' or 'usage') with a sentence for the client; what
   * the audit throws where it cannot be written.
   */
  async stream(
    caller: Caller,
    method: string,
    message: StreamMessage,
    signal: AbortSignal,
  ): Promise<ServedStream> {
    const { store, connect, flush, now, sleep } = this.#options;
    const admitted = await this.#admission.rows(caller, method, message, message.resume_token);
    const { selection, columns } = admitted.bound;
    const window = { store, selection, from: admitted.from, columns, signal };
    return await this.#served(caller, method, message, admitted, signal, async () => {
      if (message.held !== true) {
        // What is looked at row by row needs columns.
        const isWhole = admitted.bound.redactor.needsNoTexts;
        const asMessages = isWhole && sampleOf(message.selection?.sample) === 1;
        return new EventStream({ ...window, asMessages, connect, flush, now, sleep });
      }
      await this.#flushed();
      return new HeldStream(window);
    });
  }

  /** Begins to give rows of the past when they are due; throws as stream() does. */
  async replay(caller: Caller, message: ReplayMessage, signal: AbortSignal): Promise<ServedStream> {
    const method = 'Replay';
    const { store } = this.#options;
    const admitted = await this.#admission.rows(caller, method, message);
    const play = playOf(message);
    const { selection, columns } = admitted.bound;
    return await this.#served(caller, method, message, admitted, signal, async () => {
      await this.#flushed();
      return new ReplayStream({ store, selection, columns, from: null, signal }, play);
    });
  }

  /** Reads a page, and encodes it; throws as stream() does. */
  async page(
    caller: Caller,
    message: QueryMessage,
    encode: (page: ServedPage) => Buffer,
  ): Promise<Buffer> {
    const method = 'QueryRawEvents';
    const admitted = await this.#admission.rows(caller, method, message, message.page_token);
    const size =
      message.page_size === undefined || message.page_size === 0 ? PAGE_ROWS : message.page_size;
    if (size > PAGE_ROWS_MAX) throw usage(`a page of ${size} events: at most ${PAGE_ROWS_MAX}`);
    const every = sampleOf(message.selection?.sample);
    const { bound, from, grant } = admitted;
    return await this.#answered(caller, method, message, admitted, async (count) => {
      const { selection, columns } = bound;
      const newest = message.newest === true;
      const page = await readPage(this.#options.store, { selection, columns, from, size, newest });
      const runs = redacted(sampled(page.runs, every), bound.redactor);
      count(rowsIn(runs));
      this.#options.counters.rows += rowsIn(runs);
      const token = page.next === null ? '' : tokenOf(page.next);
      return encode({ runs, token, incomplete: toldTo(grant).reasons(page.incomplete) });
    });
  }

  /** Sums over rows, and encodes what they come to; throws as stream() does. */
  async stats(
    caller: Caller,
    message: StatsMessage,
    encode: (sums: ServedSummary) => Buffer,
  ): Promise<Buffer> {
    const method = 'Stats';
    const { by = [], sums = [], of = '', top = 0 } = message;
    const measured = of === '' ? [] : [of];
    const measures = [...by, ...sums, ...measured];
    const admitted = await this.#admission.rows(caller, method, message, '', measures);
    const most = top === 0 ? GROUPS_MAX : Math.min(top, GROUPS_MAX);
    const question = questionOf(by, sums, measured, most);
    const over = spanIn(message);
    const { bound, grant } = admitted;
    return await this.#answered(caller, method, message, admitted, async (count) => {
      const opened = openStore(this.#options.store);
      try {
        const reading = Reading.of(opened, bound.selection);
        const span = over ?? (grant.isUnrestricted ? spanOf(reading) : this.#windowOf(admitted));
        const summary = await summaryOf(reading, withinGrant(question, grant), span);
        count(summary.groups.length);
        const incomplete = toldTo(grant).reasons(missingFrom(opened, bound.selection));
        return encode({ summary, question, incomplete });
      } finally {
        for (const segment of opened.segments) segment.close();
      }
    });
  }

  /** What the store holds, segment by segment; throws as stream() does. */
  async segments(
    caller: Caller,
    window: { readonly since?: string; readonly until?: string },
  ): Promise<{ readonly segments: readonly HeldSegment[]; readonly problems: readonly string[] }> {
    const [since, until] = [nsOf('since', window.since), nsOf('until', window.until)];
    const read = await this.#whole(caller, 'ListSegments', window);
    await this.#flushed();
    const found = segmentsIn(this.#options.store, since, until);
    read.end({ rows: 0, bytes: 0, result: 'ok' });
    return found;
  }

  /** The files of a segment, as far as they are committed; throws as stream() does, and where there is no such segment. */
  async *fetch(
    caller: Caller,
    message: { readonly name?: string },
    signal: AbortSignal,
  ): AsyncGenerator<FilePart> {
    const policy = this.#options.policy();
    const read = await this.#whole(caller, 'FetchSegment', message);
    let [bytes, result] = [0, 'ended by the client'];
    try {
      await this.#flushed();
      for await (const part of segmentParts(this.#options.store, message.name ?? '')) {
        if (signal.aborted) return;
        if (this.#options.policy() !== policy) {
          result = 'not_running';
          throw readAgain();
        }
        bytes += part.data.length;
        yield part;
      }
      result = 'ok';
    } finally {
      read.end({ rows: 0, bytes, result });
    }
  }

  /** Lets in who may see what is not rows, such as the recorder's own counters; what it holds, beside them. */
  async holding(caller: Caller, method: string): Promise<Holding> {
    const read = await this.#whole(caller, method, {});
    const found = holdingOf(this.#options.store);
    read.end({ rows: 0, bytes: 0, result: 'ok' });
    return found;
  }

  async #whole(caller: Caller, method: string, message: object): Promise<AuditedRead> {
    await this.#admission.whole(caller, method);
    return await this.#options.audit.begin(entryOf(caller, method, message));
  }

  /** Begins a stream on its caller's terms. */
  async #served(
    caller: Caller,
    method: string,
    message: StreamMessage | ReplayMessage,
    { policy, grant, bound }: Admitted,
    signal: AbortSignal,
    open: () => Promise<RowStream>,
  ): Promise<ServedStream> {
    const sample = sampleOf(message.selection?.sample);
    const { audit, counters, usage: used, sleep } = this.#options;
    const lease = used.open(caller.identity, grant.limits);
    try {
      const read = await audit.begin(entryOf(caller, method, message));
      const terms: StreamTerms = {
        redactor: bound.redactor,
        sample,
        told: toldTo(grant),
        take: (rows, bytes) => lease.take(rows, bytes),
        wait: (ms) => sleep(ms, signal),
        why: () => (this.#options.policy() === policy ? audit.failure : readAgain()),
        signal,
        counters,
        finish: (rows, bytes, result) => {
          lease.close();
          counters.open--;
          read.end({ rows, bytes, result });
        },
      };
      const stream = new ServedStream(await open(), terms);
      counters.open++;
      counters.streams++;
      return stream;
    } catch (error) {
      lease.close();
      throw error;
    }
  }

  /** Makes one message of all that is durable by now; `count` is told how many rows it gives. */
  async #answered(
    caller: Caller,
    method: string,
    message: object,
    { grant }: Admitted,
    answer: (count: (rows: number) => void) => Promise<Buffer>,
  ): Promise<Buffer> {
    const { audit, usage: used, sleep } = this.#options;
    const lease = used.open(caller.identity, grant.limits);
    try {
      const read = await audit.begin(entryOf(caller, method, message));
      let [rows, bytes, result] = [0, 0, 'internal'];
      try {
        await this.#flushed();
        const made = await answer((count) => {
          rows = count;
        });
        [bytes, result] = [made.length, 'ok'];
        const ms = lease.take(rows, bytes);
        if (ms > 0) await sleep(ms, NEVER);
        return made;
      } finally {
        read.end({ rows, bytes, result });
      }
    } finally {
      lease.close();
    }
  }

  /** A recorder that has ended has nothing to flush. */
  async #flushed(): Promise<void> {
    await this.#options.flush().catch(() => {});
  }

  /** The time that was asked about: when rows that may not be seen begin or end is told to nobody. */
  #windowOf({ bound: { selection } }: Admitted): Span | null {
    const { since, until } = selection;
    const to = until ?? this.#options.now();
    return since === null || since >= to ? null : { from: since, to };
  }
}

/** How long things took is told where the policy hides no part of it. */
function withinGrant(question: SummaryQuestion, { redactions }: Grant): SummaryQuestion {
  return {
    ...question,
    distribution: (type) => {
      const field = question.distribution(type);
      const name = field === null || field.includes('.') ? field : fieldName(type, field);
      return name === null || redactions.hidden.has(name) ? null : field;
    },
  };
}

function spanIn({ over_since, over_until }: StatsMessage): Span | null {
  const [from, to] = [nsOf('over_since', over_since), nsOf('over_until', over_until)];
  if (from === null && to === null) return null;
  if (from === null || to === null || from >= to) {
    throw usage('over_since and over_until go together, and the first comes first');
  }
  return { from, to };
}

/** How it is to be played. Throws TapioError('usage') for what cannot be. */
function playOf(message: ReplayMessage): Omit<PlayOptions, 'clock' | 'stepping'> {
  const { speed = 0, rate = 0, unpaced = false, loops = 0, rebase = false } = message;
  const maxGap = BigInt(message.max_gap_ns ?? 0);
  const isGiven = [speed !== 0, rate !== 0, unpaced].filter(Boolean).length;
  if (isGiven > 1) throw usage('speed, rate and unpaced contradict each other: give one of them');
  if (![speed, rate].every((one) => one === 0 || isPace(one))) {
    throw usage('speed and rate are numbers from 0.000001 to 1000000000');
  }
  if (loops > LOOPS_MAX) throw usage(`${loops} loops: at most ${LOOPS_MAX}`);
  return {
    pace: unpaced ? 'max' : rate > 0 ? { rate } : { speed: speed === 0 ? 1 : speed },
    maxGapNs: maxGap === 0n ? Number.POSITIVE_INFINITY : Number(maxGap),
    loops: Math.max(1, loops),
    rebase,
  };
}
