// How many calls are served at once: an answer is made in memory, and a stream holds what its client does not read.

import { type ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';

/** Streams of rows or files at once, over all clients. */
export const STREAMS_AT_ONCE = 64;
/** Answers that are made at once: each scans on all cores anyhow. */
export const ANSWERS_AT_ONCE = 4;
/** Answers that are made and not taken yet. */
export const ANSWERS_UNREAD_MAX = 64;
/** Calls that wait for their turn. */
export const WAITING_MAX = 1000;
/** Health and reflection are answered whoever holds up what. */
const COUNTED = '/tapio.';

type Call = Parameters<ServerInterceptor>[1];

/** Lets so many in, has others wait, and refuses what is beyond. */
export class Capacity {
  #streams = 0;
  #answering = 0;
  #unread = 0;
  readonly #waiting: (() => void)[] = [];

  readonly interceptor: ServerInterceptor = (method, call) => {
    if (method.path.startsWith(COUNTED)) {
      if (method.responseStream) this.#countStream(call);
      else this.#countAnswer(call);
    }
    return call as ServerInterceptingCall;
  };

  #countStream(call: Call): void {
    let isCounted = false;
    this.#watch(call, {
      begin: (go) => {
        if (this.#streams >= STREAMS_AT_ONCE) {
          refuse(
            call,
            `${this.#streams} streams are served, as many as there may be: end one first`,
          );
          return;
        }
        this.#streams++;
        isCounted = true;
        go();
      },
      end: () => {
        if (isCounted) this.#streams--;
      },
    });
  }

  #countAnswer(call: Call): void {
    let [isAnswering, isUnread, hasEnded] = [false, false, false];
    const answered = (): void => {
      if (!isAnswering) return;
      isAnswering = false;
      this.#answering--;
      this.#waiting.shift()?.();
    };
    const taken = (): void => {
      if (isUnread) this.#unread--;
      isUnread = false;
    };
    const sendMessage = call.sendMessage.bind(call);
    call.sendMessage = (message, callback) => {
      answered();
      if (!hasEnded) {
        isUnread = true;
        this.#unread++;
      }
      sendMessage(message, () => {
        taken();
        callback();
      });
    };
    const sendStatus = call.sendStatus.bind(call);
    call.sendStatus = (said) => {
      // At its deadline a call ends for its client; what it asked for is still being made.
      if (said.code !== status.DEADLINE_EXCEEDED) answered();
      sendStatus(said);
    };
    this.#watch(call, {
      begin: (go) => {
        const turn = (): void => {
          if (hasEnded) {
            this.#waiting.shift()?.();
            return;
          }
          isAnswering = true;
          this.#answering++;
          go();
        };
        if (this.#unread >= ANSWERS_UNREAD_MAX || this.#waiting.length >= WAITING_MAX) {
          refuse(call, 'too many calls are being answered: read the answers, and ask again later');
        } else if (this.#answering >= ANSWERS_AT_ONCE) this.#waiting.push(turn);
        else turn();
      },
      end: () => {
        hasEnded = true;
        taken();
      },
    });
  }

  /** `begin` is told when all of the request is there, and `end` once when the call is over. */
  #watch(
    call: Call,
    { begin, end }: { readonly begin: (go: () => void) => void; readonly end: () => void },
  ): void {
    const start = call.start.bind(call);
    call.start = (listener) =>
      start({
        onReceiveMetadata: (metadata) => listener.onReceiveMetadata(metadata),
        onReceiveMessage: (message) => listener.onReceiveMessage(message),
        onReceiveHalfClose: () => begin(() => listener.onReceiveHalfClose()),
        onCancel: () => {
          end();
          listener.onCancel();
        },
      });
  }
}

function refuse(call: Call, details: string): void {
  call.sendStatus({ code: status.RESOURCE_EXHAUSTED, details });
}
