// What JetStream answers to a message that was published.

import type { Msg } from '@nats-io/transport-node';

/** What became of an event. `reason` is one of few texts, so that each trouble is told once. */
export interface Verdict {
  readonly outcome: 'taken' | 'refused' | 'returned';
  readonly reason: string;
  /** No stream took the subject. */
  readonly noStream: boolean;
}

const TAKEN: Verdict = { outcome: 'taken', reason: '', noStream: false };
const NO_STREAM: Verdict = {
  outcome: 'returned',
  reason: 'no stream of the server takes the subject',
  noStream: true,
};

/** Error codes of the server that stay as they are for an event, however often it is sent. */
const FOR_EVER: ReadonlySet<number> = new Set([
  // Message larger than the stream's max_msg_size.
  10054,
  // Headers of over 64 KiB.
  10097,
]);

const NO_RESPONDERS = 503;
const OPEN = '{'.charCodeAt(0);
const QUOTE = '"'.charCodeAt(0);
const S_OF_STREAM = 's'.charCodeAt(0);

interface Answer {
  readonly stream?: string;
  readonly seq?: number;
  readonly error?: {
    readonly code?: number;
    readonly err_code?: number;
    readonly description?: string;
  };
}

/** Reads an answer; one that is none of JetStream's leaves the event to be sent again. */
export function verdictOf(message: Msg): Verdict {
  const { data } = message;
  // An error comes first where there is one: for all other answers the text need not be read.
  if (data[0] === OPEN && data[1] === QUOTE && data[2] === S_OF_STREAM) return TAKEN;
  if (data.length === 0 && message.headers?.code === NO_RESPONDERS) return NO_STREAM;
  let answer: Answer;
  try {
    answer = message.json<Answer>();
  } catch {
    return {
      outcome: 'returned',
      reason: 'something else than JetStream answers',
      noStream: false,
    };
  }
  const { error } = answer;
  if (error === undefined) return typeof answer.seq === 'number' ? TAKEN : NO_STREAM;
  const code = error.err_code ?? error.code ?? 0;
  return {
    outcome: FOR_EVER.has(code) ? 'refused' : 'returned',
    reason: `JetStream says: ${error.description ?? 'error'} (${code})`,
    noStream: false,
  };
}
