// The only door to a recorder's rows for those who are not its user: whoever asks is looked up in the policy, what is asked is
// bound to it, and written down, before anything is read.

import { usage } from '../config/values.ts';
import { TapioError } from '../errors.ts';
import { type EventBlock, type EventRun, inParts, rowsIn } from '../event/stream.ts';
import type { LiveDoor } from '../replay/door.ts';
import type { MissedRows } from '../replay/follow.ts';
import type { AuditEntry, AuditLog } from './audit.ts';
import { EventStream } from './event-stream.ts';
import type { Bound, Grant } from './grant.ts';
import { type Identity, shownName } from './identity.ts';
import { readPage } from './pages.ts';
import type { Policy } from './policy.ts';
import type { Usage } from './rate.ts';
import type { Redactor } from './redact.ts';
import { type SelectionMessage, selectionOf } from './request.ts';
import { type ResumePoint, resumePointOf, tokenOf } from './token.ts';

export interface ServiceOptions {
  readonly store: string;
  /** As it stands now. */
  readonly policy: () => Policy;
  /** What each identity is using. */
  readonly usage: Usage;
  readonly audit: Pick<AuditLog, 'begin' | 'denied'>;
  /** Registers with the recorder. Throws TapioError('not_running') where there is none. */
  readonly connect: () => Promise<LiveDoor>;
  /** Has every row made durable that there is. */
  readonly flush: () => Promise<unknown>;
  /** ns since 1970. */
  readonly now: () => bigint;
  /** Waits so many ms, or until the signal. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** Who asks, and from where. */
export interface Caller {
  readonly identity: Identity;
  /** For the audit, as unix:pid=1 or 10.0.0.1:4. */
  readonly address: string;
}

/** A request of schemas/recorder.proto; 64-bit numbers are decimal text. */
export interface StreamMessage {
  readonly selection?: SelectionMessage | null;
  readonly since?: string;
  readonly until?: string;
  readonly resume_token?: string;
}

export interface QueryMessage {
  readonly selection?: SelectionMessage | null;
  readonly since?: string;
  readonly until?: string;
  readonly page_size?: number;
  readonly page_token?: string;
}

/** A part of an answer; rows hold nothing but what may be seen. */
export type Part =
  | { readonly kind: 'rows'; readonly runs: readonly EventRun[] }
  | { readonly kind: 'missed'; readonly missed: MissedRows };

/** What a stream came to. */
export interface StreamEnd {
  readonly token: string;
  readonly incomplete: readonly string[];
}

export interface ServedPage {
  readonly runs: readonly EventRun[];
  readonly token: string;
  readonly incomplete: readonly string[];
}

/** Rows that are given out at once: rates are kept in steps of them. */
const ROWS_AT_ONCE = 1000;
const PAGE_ROWS = 1000;
const PAGE_ROWS_MAX = 10_000;
/** What a row is thought to take before it is encoded, bytes. */
const ROW_BYTES = 120;

function nsOf(name: string, value: string | undefined): bigint | null {
  if (value === undefined) return null;
  const ns = BigInt(value);
  if (ns >= 2n ** 63n) throw usage(`${name} is beyond the year 2262: it is in ns since 1970`);
  return ns;
}

/** On what terms a stream is served. */
interface StreamTerms {
  readonly redactor: Redactor;
  /** What may be told of what the answer lacks. */
  readonly told: (reasons: readonly string[]) => readonly string[];
  /** Waits until so many rows may go. */
  readonly take: (rows: number) => Promise<void>;
  /** False once another policy holds than the one that the stream was bound by. */
  readonly holds: () => boolean;
  readonly finish: (rows: number, result: string) => void;
}

/** One stream being served. */
export class ServedStream {
  readonly #stream: EventStream;
  readonly #terms: StreamTerms;
  #rows = 0;

  constructor(stream: EventStream, terms: StreamTerms) {
    this.#stream = stream;
    this.#terms = terms;
  }

  /** The parts of the answer; ends where the window or the stream does. */
  async *parts(): AsyncGenerator<Part> {
    let result = 'ended by the client';
    try {
      for await (const part of this.#stream.parts()) {
        if (part.kind === 'missed') yield part;
        else yield* this.#shown(part.runs);
      }
      result = 'ok';
    } catch (error) {
      result = error instanceof TapioError ? error.code : 'internal';
      throw error;
    } finally {
      this.#terms.finish(this.#rows, result);
    }
  }

  /** Where another stream goes on: what was given is durable up to there. */
  get token(): string {
    return tokenOf(this.#stream.resumePoint);
  }

  end(): StreamEnd {
    return { token: this.token, incomplete: this.#terms.told(this.#stream.incomplete()) };
  }

  async *#shown(runs: readonly EventRun[]): AsyncGenerator<Part> {
    for (const part of inParts(runs, ROWS_AT_ONCE)) {
      if (!this.#terms.holds()) {
        throw new TapioError(
          'not_running',
          'the policy was read again: begin anew, with the resume token where there is one',
        );
      }
      const rows = rowsIn(part);
      await this.#terms.take(rows);
      this.#rows += rows;
      yield { kind: 'rows', runs: redacted(part, this.#terms.redactor) };
    }
  }
}

/** What an identity is told of what is missing: causes and counts may be of rows that it may not see. */
function toldTo({ isUnrestricted }: Grant): StreamTerms['told'] {
  return (reasons) =>
    isUnrestricted || reasons.length === 0 ? reasons : ['incomplete: some events are missing'];
}

/** Runs with what may be seen of their blocks, each of which is gone through once. */
function redacted(runs: readonly EventRun[], redactor: Redactor): readonly EventRun[] {
  const blocks = new Map<EventBlock, EventBlock>();
  return runs.map((run) => {
    const shown = blocks.get(run.block) ?? redactor.block(run.block);
    blocks.set(run.block, shown);
    return shown === run.block ? run : { ...run, block: shown };
  });
}

export class EventService {
  readonly #options: ServiceOptions;

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  /**
   * Begins a stream. Throws TapioError('not_permitted' or 'usage') with a sentence for the client; what the audit throws
   * where it cannot be written.
   */
  async stream(
    caller: Caller,
    method: string,
    message: StreamMessage,
    signal: AbortSignal,
  ): Promise<ServedStream> {
    const { store, connect, flush, now, sleep, audit, usage: used } = this.#options;
    const policy = this.#options.policy();
    const { grant, bound, from } = await this.#admit(caller, method, message, message.resume_token);
    const lease = used.open(caller.identity, grant.limits);
    try {
      const read = await audit.begin(entryOf(caller, method, message));
      const { selection, columns, redactor } = bound;
      const window = { store, selection, from, columns };
      const stream = new EventStream({ ...window, connect, flush, signal, now, sleep });
      const take = async (rows: number): Promise<void> => {
        const ms = lease.take(rows, rows * ROW_BYTES);
        if (ms > 0) await sleep(ms, signal);
      };
      const holds = (): boolean => this.#options.policy() === policy;
      const told = toldTo(grant);
      const finish = (rows: number, result: string): void => {
        lease.close();
        read.end({ rows, bytes: rows * ROW_BYTES, result });
      };
      return new ServedStream(stream, { redactor, told, take, holds, finish });
    } catch (error) {
      lease.close();
      throw error;
    }
  }

  /** Reads a page; throws as stream() does. */
  async page(caller: Caller, message: QueryMessage): Promise<ServedPage> {
    const { store, flush, audit, usage: used } = this.#options;
    const method = 'QueryRawEvents';
    const size =
      message.page_size === undefined || message.page_size === 0 ? PAGE_ROWS : message.page_size;
    if (size > PAGE_ROWS_MAX) throw usage(`a page of ${size} events: at most ${PAGE_ROWS_MAX}`);
    const { grant, bound, from } = await this.#admit(caller, method, message, message.page_token);
    const lease = used.open(caller.identity, grant.limits);
    const read = await audit.begin(entryOf(caller, method, message));
    let [rows, result] = [0, 'internal'];
    try {
      // A recorder that has ended has nothing to flush.
      await flush().catch(() => {});
      const page = await readPage(store, bound.selection, from, size, bound.columns);
      rows = rowsIn(page.runs);
      result = 'ok';
      const runs = redacted(page.runs, bound.redactor);
      const token = page.next === null ? '' : tokenOf(page.next);
      return { runs, token, incomplete: toldTo(grant)(page.incomplete) };
    } finally {
      lease.close();
      read.end({ rows, bytes: rows * ROW_BYTES, result });
    }
  }

  /** Whether somebody may see what is not rows, such as the recorder's own counters. */
  async admitWhole(caller: Caller, method: string): Promise<void> {
    const grant = await this.#grant(caller, method);
    if (!grant.isUnrestricted)
      throw await this.#refuse(caller, method, 'the policy shows only rows to you');
    const read = await this.#options.audit.begin(entryOf(caller, method, {}));
    read.end({ rows: 0, bytes: 0, result: 'ok' });
  }

  async #admit(
    caller: Caller,
    method: string,
    message: StreamMessage | QueryMessage,
    token: string | undefined,
  ): Promise<{ grant: Grant; bound: Bound; from: ResumePoint | null }> {
    const grant = await this.#grant(caller, method);
    try {
      const [since, until] = [nsOf('since', message.since), nsOf('until', message.until)];
      const from = resumePointOf(token);
      const asked = message.selection ?? {};
      const selection = await selectionOf(asked, since, until);
      const fields = asked.fields === undefined || asked.fields.length === 0 ? null : asked.fields;
      const bound = grant.bind({ selection, fields }, this.#options.now());
      return { grant, bound, from };
    } catch (error) {
      if (!(error instanceof TapioError)) throw error;
      await this.#options.audit.denied({
        ...entryOf(caller, method, message),
        reason: error.message,
      });
      throw error;
    }
  }

  async #grant(caller: Caller, method: string): Promise<Grant> {
    const grant = this.#options.policy().grantFor(caller.identity);
    if (grant !== null) return grant;
    throw await this.#refuse(
      caller,
      method,
      `no policy lets ${shownName(caller.identity)} see anything: ask whoever keeps the recorder’s policy`,
    );
  }

  async #refuse(caller: Caller, method: string, reason: string): Promise<TapioError> {
    await this.#options.audit.denied({ ...entryOf(caller, method, {}), reason });
    return new TapioError('not_permitted', reason);
  }
}

const entryOf = ({ identity, address }: Caller, method: string, request: object): AuditEntry => ({
  identity: shownName(identity),
  peer: address,
  method,
  request: request as Readonly<Record<string, unknown>>,
});
