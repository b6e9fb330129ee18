// One stream being served: what may be seen of it, as fast as may be, for as long as the policy stays.

import { TapioError } from '../errors.ts';
import { type EventBlock, type EventRun, inParts, rowsIn } from '../event/stream.ts';
import type { LossRow } from '../segment/reader.ts';
import type { ServiceCounters } from './counters.ts';
import type { Redactor } from './redact.ts';
import { type Lost, lostOf, lostRows, type RowStream } from './row-stream.ts';
import { sampled } from './sample.ts';
import { type ResumePoint, tokenOf } from './token.ts';

/** A part of an answer; rows hold nothing but what may be seen. */
export type Part =
  | { readonly kind: 'rows'; readonly runs: readonly EventRun[] }
  | { readonly kind: 'lost'; readonly lost: Lost };

/** What a stream came to. */
export interface StreamEnd {
  /** Empty where no other can go on. */
  readonly token: string;
  readonly incomplete: readonly string[];
}

/** On what terms a stream is served. */
export interface StreamTerms {
  readonly redactor: Redactor;
  /** One row of so many. */
  readonly sample: number;
  /** What may be told of losses, and of rows that are missing. */
  readonly told: {
    readonly losses: (losses: readonly LossRow[]) => readonly LossRow[];
    readonly lost: (lost: Lost) => Lost;
    readonly reasons: (reasons: readonly string[]) => readonly string[];
  };
  /** Takes what is sent from what may be, and gives how many ms to wait before more is. */
  readonly take: (rows: number, bytes: number) => number;
  readonly wait: (ms: number) => Promise<unknown>;
  /** Why it may not go on: another policy holds than the one that it was bound by, or the audit cannot be written. */
  readonly why: () => TapioError | null;
  /** Ends it; its reason is a TapioError where its caller is nobody any more. */
  readonly signal: AbortSignal;
  readonly counters: Pick<ServiceCounters, 'rows' | 'missed'>;
  readonly finish: (rows: number, bytes: number, result: string) => void;
}

/** Rows that are given out at once: rates are kept in steps of them. */
const ROWS_AT_ONCE = 1000;

/** The error of what was begun under another policy. */
export function readAgain(): TapioError {
  return new TapioError(
    'not_running',
    'the policy was read again: begin anew, with the resume token where there is one',
  );
}

/** Runs with what may be seen of their blocks, each of which is gone through once. */
export function redacted(runs: readonly EventRun[], redactor: Redactor): readonly EventRun[] {
  if (redactor.isIdle) return runs;
  const blocks = new Map<EventBlock, EventBlock>();
  return runs.map((run) => {
    const shown = blocks.get(run.block) ?? redactor.block(run.block);
    blocks.set(run.block, shown);
    return shown === run.block ? run : { ...run, block: shown };
  });
}

const resultOf = ({ reason }: AbortSignal): string =>
  reason instanceof TapioError ? reason.code : 'ended by the client';

export class ServedStream {
  readonly #stream: RowStream;
  readonly #terms: StreamTerms;
  #rows = 0;
  #bytes = 0;
  /** Before the next rows go, ms. */
  #waitMs = 0;
  /** Where it stood when all was given that came of the stream until then. */
  #behind: ResumePoint | null = null;
  /** Something came of the stream that is not given yet. */
  #isMidway = false;

  constructor(stream: RowStream, terms: StreamTerms) {
    this.#stream = stream;
    this.#terms = terms;
  }

  /** The parts of the answer; ends where the window or the stream does. */
  async *parts(): AsyncGenerator<Part> {
    const { told, counters, signal } = this.#terms;
    let result = 'ended by the client';
    try {
      for await (const part of this.#stream.parts()) {
        this.#isMidway = true;
        if (part.kind === 'rows') {
          yield* this.#shown(part.runs);
          if (this.#isMidway) break;
          this.#behind = this.#stream.resumePoint;
        } else {
          // The rows that it came before are still to be given.
          if (part.kind === 'missed') counters.missed += Number(part.missed.rows);
          const all =
            part.kind === 'missed' ? [lostRows(part.missed)] : lostOf(told.losses(part.losses));
          for (const lost of all) yield { kind: 'lost', lost: told.lost(lost) };
        }
      }
      if (signal.aborted) result = resultOf(signal);
      else {
        this.#isMidway = false;
        result = 'ok';
      }
    } catch (error) {
      result = error instanceof TapioError ? error.code : 'internal';
      throw error;
    } finally {
      this.#terms.finish(this.#rows, this.#bytes, result);
    }
  }

  /** To be told of what the rows of each part took, bytes: how many that is shows when they are encoded. */
  sent(bytes: number): void {
    this.#bytes += bytes;
    this.#waitMs = Math.max(this.#waitMs, this.#terms.take(0, bytes));
  }

  /** Where another stream goes on: what was given is durable up to there. Empty where none can. */
  get token(): string {
    const resumePoint = this.#isMidway ? this.#behind : this.#stream.resumePoint;
    return resumePoint === null ? '' : tokenOf(resumePoint);
  }

  end(): StreamEnd {
    return { token: this.token, incomplete: this.#terms.told.reasons(this.#stream.incomplete()) };
  }

  /** What may be seen of these; it is midway behind them only where it is to end. */
  async *#shown(runs: readonly EventRun[]): AsyncGenerator<Part> {
    const { redactor, sample, signal } = this.#terms;
    const parts = [...inParts(sampled(runs, sample), ROWS_AT_ONCE)];
    this.#isMidway = parts.length > 0;
    for (const [i, part] of parts.entries()) {
      const rows = rowsIn(part);
      const ms = Math.max(this.#waitMs, this.#terms.take(rows, 0));
      if (ms > 0) await this.#terms.wait(ms);
      this.#waitMs = 0;
      if (signal.aborted) return;
      const why = this.#terms.why();
      if (why !== null) throw why;
      this.#rows += rows;
      this.#terms.counters.rows += rows;
      this.#isMidway = i < parts.length - 1;
      yield { kind: 'rows', runs: redacted(part, redactor) };
    }
  }
}
