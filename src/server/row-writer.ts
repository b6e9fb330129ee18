// Rows as answers of EBPFExport: message by message, many in one, or a page.

import type { ServerWritableStream } from '@grpc/grpc-js';
import { messageAt, RawEventEncoder } from '../raw/encoder.ts';
import type { Lost } from '../service/row-stream.ts';
import type { ServedStream } from '../service/served-stream.ts';
import type { ServedPage } from '../service/service.ts';
import { asField } from './frames.ts';
import { http2StreamOf } from './http2-stream.ts';
import { drained, write } from './writing.ts';

/** Events of one message of a batch stream. */
const BATCH_EVENTS = 1000;

/** Encodes a message that is not of rows. */
export type Encode = (message: object) => Buffer;

type Call = ServerWritableStream<unknown, Buffer>;

function lossOf({ cause, count, firstSeq, lastSeq, firstTs, lastTs }: Lost): object {
  const seqs = { first_seq: String(firstSeq), last_seq: String(lastSeq) };
  const times = { first_ts: String(firstTs), last_ts: String(lastTs) };
  return { loss: { cause, ...(count !== null && { count: String(count) }), ...seqs, ...times } };
}

/** Writes rows to calls. */
export class RowWriter {
  readonly #encoder = new RawEventEncoder();
  readonly #encodeEvent: Encode;
  readonly #encodeBatch: Encode;
  readonly #encodePage: Encode;

  /** What encodes RawEvent, RawEventBatch and QueryResponse. */
  constructor(event: Encode, batch: Encode, page: Encode) {
    this.#encodeEvent = event;
    this.#encodeBatch = batch;
    this.#encodePage = page;
  }

  /** A QueryResponse, encoded. */
  page({ runs, token, incomplete }: ServedPage): Buffer {
    const tail = this.#encodePage({
      next_page_token: token,
      complete: incomplete.length === 0,
      incomplete_reasons: incomplete,
    });
    const messages = this.#encoder.encode(runs);
    return asField(messages, 0, messages.ends.length, tail);
  }

  /** A message for each event. */
  async events(call: Call, stream: ServedStream, signal: AbortSignal): Promise<void> {
    const direct = http2StreamOf(call);
    for await (const part of stream.parts()) {
      if (part.kind === 'lost') {
        await write(call, this.#encodeEvent(lossOf(part.lost)), signal);
        continue;
      }
      const messages = this.#encoder.encode(part.runs);
      stream.sent(messages.bytes.length);
      if (direct === null) {
        for (let i = 0; i < messages.ends.length; i++)
          await write(call, messageAt(messages, i), signal);
      } else if (!direct.write(messages.bytes)) {
        await drained(direct, signal);
      }
      if (signal.aborted) return;
    }
  }

  /** Up to 1,000 events a message. */
  async batches(call: Call, stream: ServedStream, signal: AbortSignal): Promise<void> {
    for await (const part of stream.parts()) {
      if (part.kind === 'lost') {
        const events = [lossOf(part.lost)];
        await write(call, this.#encodeBatch({ events, resume_token: stream.token }), signal);
        continue;
      }
      const messages = this.#encoder.encode(part.runs);
      stream.sent(messages.bytes.length);
      const { length } = messages.ends;
      for (let from = 0; from < length; from += BATCH_EVENTS) {
        const to = Math.min(length, from + BATCH_EVENTS);
        // What is behind a token was given: only the last message has all of it before it.
        const resume_token = to === length ? stream.token : '';
        const batch = asField(messages, from, to, this.#encodeBatch({ resume_token }));
        await write(call, batch, signal);
        if (signal.aborted) return;
      }
    }
  }
}
