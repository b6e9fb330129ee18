// Rows of a server as they come, after the last that it holds; across connections that are lost.

import { setTimeout } from 'node:timers/promises';
import type { EventType } from '../../schemas/arrow.ts';
import { TapioError } from '../errors.ts';
import { countText } from '../event/count-text.ts';
import { seqsOf } from '../query/order.ts';
import type { VectorRun } from '../query/row-source.ts';
import type { Selection } from '../query/select.ts';
import { eventAnswer } from './answers.ts';
import type { Connection } from './connection.ts';
import { type Missed, type OriginOf, RawEventDecoder } from './decoder.ts';
import { isPassing, shown } from './failure.ts';
import { selectionMessage, windowMessage } from './request.ts';

/** Between two tries to connect, ms: each is twice as long as the one before, and half of it is left to chance. */
const WAIT_MS_MIN = 200;
const WAIT_MS_MAX = 10_000;
const PAGE_ROWS = 1000;

export interface RemoteTailOptions {
  readonly connection: Connection;
  readonly selection: Selection;
  /** So many of the rows that are held come first; null: all of them, from the selection's beginning on. */
  readonly last: number | null;
  readonly columns: (type: EventType) => readonly string[];
  /** Told what the reader should know, in sentences. */
  readonly say: (text: string) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** The recording that a token is of: rows of another one are counted anew. */
const recordingOf = (token: string): string => token.slice(0, Math.max(0, token.lastIndexOf(':')));

/** Follows a server. */
export class RemoteTail {
  readonly #options: RemoteTailOptions;
  readonly #decoder: RawEventDecoder;
  readonly #request: object;
  /** Where a stream goes on. */
  #token = '';
  /** What was given last of the recording, and the largest ktime of it. */
  #seq = 0n;
  #ktime = 0n;
  /** A recorder that went back to a commit gives rows again. */
  #mayRepeat = false;

  constructor(options: RemoteTailOptions) {
    const { selection, columns } = options;
    this.#options = options;
    this.#decoder = new RawEventDecoder(columns);
    this.#request = { selection: selectionMessage(selection, columns) };
  }

  /** The rows, until it is ended. Throws TapioError where the server cannot be reached at first, or refuses. */
  async *events(): AsyncGenerator<readonly VectorRun[]> {
    const { connection, selection, say, signal } = this.#options;
    if (selection.types.length === 0) {
      throw new TapioError(
        'usage',
        'nothing can match: no row of any type makes the expression true',
      );
    }
    yield* this.#past();
    let wait = WAIT_MS_MIN;
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      let isConnected = false;
      try {
        for await (const message of this.#messages()) {
          if (!isConnected && !isFirst) say(`${connection.name} is back`);
          isConnected = true;
          wait = WAIT_MS_MIN;
          yield this.#taken(message);
        }
        if (signal.aborted) return;
        if (isFirst || isConnected)
          say(`${connection.name} has ended the stream: trying again (Ctrl-C ends this)`);
      } catch (error) {
        if (!isPassing(error) || (isFirst && !isConnected && this.#token === '')) throw error;
        if (isFirst || isConnected)
          say(`${(error as Error).message} Trying again (Ctrl-C ends this)`);
      }
      this.#mayRepeat = true;
      await setTimeout((wait * (1 + Math.random())) / 2, null, { signal }).catch(() => {});
      wait = Math.min(wait * 2, WAIT_MS_MAX);
      connection.renew();
    }
  }

  /** The rows that are held already. */
  async *#past(): AsyncGenerator<readonly VectorRun[]> {
    const { connection, selection, last } = this.#options;
    if (last === null || last === 0) return;
    const pages: (readonly VectorRun[])[] = [];
    let isNewest = true;
    for (let [left, token] = [last, '']; left > 0; isNewest = false) {
      const request = {
        ...this.#request,
        ...windowMessage(selection),
        ...{ newest: true, page_size: Math.min(left, PAGE_ROWS), page_token: token },
      };
      const answer = eventAnswer(await connection.askBytes('QueryRawEvents', request));
      const { runs } = this.#decoder.decode(answer.bytes, answer.events, UNKNOWN);
      pages.unshift(runs);
      left -= answer.events.length;
      token = answer.token;
      if (isNewest) this.#note(runs);
      // What comes behind the newest of them is asked for.
      if (isNewest && token !== '') this.#token = `${recordingOf(token)}:${this.#seq}`;
      if (token === '' || answer.events.length === 0) break;
    }
    yield pages.flat();
  }

  #messages(): AsyncGenerator<Buffer> {
    const { connection, selection, last, signal } = this.#options;
    // Nothing was there of which the last could be had: all that comes is wanted.
    const since = selection.since ?? (last === 0 ? null : 1n);
    const where =
      this.#token === '' ? windowMessage({ since, until: null }) : { resume_token: this.#token };
    return connection.messageBytes('StreamRawEventBatches', { ...this.#request, ...where }, signal);
  }

  /** The rows of a message that were not given before. */
  #taken(message: Buffer): readonly VectorRun[] {
    const { bytes, events, token } = eventAnswer(message);
    if (token !== '' && recordingOf(token) !== recordingOf(this.#token)) {
      if (this.#token !== '') this.#options.say('a new recording begins: seq starts anew');
      [this.#seq, this.#ktime, this.#mayRepeat] = [0n, 0n, false];
    }
    if (token !== '') this.#token = token;
    const { runs, missed } = this.#decoder.decode(bytes, events, UNKNOWN);
    for (const one of missed) this.#options.say(missedText(one));
    const fresh = this.#mayRepeat ? runs.flatMap((run) => this.#unseen(run)) : runs;
    this.#note(fresh);
    return fresh;
  }

  #note(runs: readonly VectorRun[]): void {
    for (const { block, from, to } of runs) {
      const ts = block.columns.get('ts');
      for (let row = from; row < to; row++) {
        const ktime = (ts?.get(row) as bigint) - block.tsOffset;
        if (ktime > this.#ktime) this.#ktime = ktime;
      }
      this.#seq = seqsOf(block)[to - 1] as bigint;
    }
  }

  /** As replay/follow.ts tells rows that come again from those that have their seqs now. */
  #unseen({ block, from, to }: VectorRun): VectorRun[] {
    const [seqs, ts] = [seqsOf(block), block.columns.get('ts')];
    const runs: VectorRun[] = [];
    for (let row = from; row < to; row++) {
      const ktime = (ts?.get(row) as bigint) - block.tsOffset;
      if ((seqs[row] as bigint) <= this.#seq && ktime <= this.#ktime) continue;
      runs.push({ block, from: row, to: row + 1 });
    }
    return runs;
  }
}

const UNKNOWN: OriginOf = () => ({ recording: '', host: '', boot_id: '' });

function missedText({ cause, count }: Missed): string {
  const events = count === null ? 'an unknown number of events' : `${countText(count)} events`;
  return `incomplete: ${events} lost (${shown(cause)})`;
}
