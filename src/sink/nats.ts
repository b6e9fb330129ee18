// Events to a JetStream of NATS. Acknowledgements come through one subscription of our own, to whose subject each message's
// number is added: a request of the library for each event takes most of the time otherwise.

import {
  createInbox,
  type Msg,
  type NatsConnection,
  type PermissionViolationError,
} from '@nats-io/transport-node';
import { verdictOf } from './nats-ack.ts';
import { NatsFrames } from './nats-frames.ts';
import { headerText } from './nats-headers.ts';
import { NatsLink, PING_MS } from './nats-link.ts';
import { type NatsOptions, natsOptions } from './nats-options.ts';
import { ACK_MS, prepareStream } from './nats-stream.ts';
import type { OnwardEvent, Outcomes, Sink } from './sink.ts';
import { UnderWay } from './under-way.ts';

/**
 * Most events that wait for their acknowledgement: some 200 ms of them at full speed. On a busy machine either side does
 * not run for a while now and then, and with fewer under way the other one soon waits as well.
 */
const WINDOW = 16_384;
/** How long close() waits for acknowledgements. */
const CLOSE_MS = 5000;
/** After this the stream is looked for again. */
const PREPARE_AGAIN_MS = 1000;
const NOT_YET = 'there is no connection to the server yet';
const LOST = 'the connection to the server is lost';
const CLOSED = 'the way to the server was closed';

/** Times that tests shorten. */
export interface NatsTimes {
  readonly ackMs: number;
  readonly closeMs: number;
  /** Between two pings; three that are not answered mean that nobody is there. */
  readonly pingMs: number;
}

/** A sink for `nats://` and `tls://` URLs. */
export async function makeNats(
  url: URL,
  outcomes: Outcomes,
  times: NatsTimes = { ackMs: ACK_MS, closeMs: CLOSE_MS, pingMs: PING_MS },
): Promise<Sink> {
  return new NatsSink(natsOptions(url), outcomes, times);
}

class NatsSink implements Sink {
  readonly place: string;
  readonly window = WINDOW;
  readonly #options: NatsOptions;
  readonly #outcomes: Outcomes;
  readonly #times: NatsTimes;
  readonly #link: NatsLink;
  readonly #timer: NodeJS.Timeout;
  readonly #inbox = createInbox();
  /** By number. */
  readonly #underWay = new UnderWay<number>();
  #next = 0;
  #connection: NatsConnection | null = null;
  /** Of the connection; what was put in before it broke is gone with it. */
  #frames: NatsFrames | null = null;
  /** Why nothing can be sent now; null where it can. */
  #obstacle: string | null = NOT_YET;
  #isPreparing = false;
  #inboxIsDenied = false;
  #prepareTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: NatsOptions, outcomes: Outcomes, times: NatsTimes) {
    this.place = options.place;
    this.#options = options;
    this.#outcomes = outcomes;
    this.#times = times;
    this.#timer = setInterval(() => this.#giveUpLate(), Math.min(1000, times.ackMs / 4));
    this.#link = new NatsLink(
      { ...options.connection, pingInterval: times.pingMs },
      {
        up: (connection, isNew) => this.#up(connection, isNew),
        down: (reason) => this.#down(reason),
        denied: (error) => this.#denied(error),
      },
    );
  }

  send(events: readonly OnwardEvent[]): void {
    const due = performance.now() + this.#times.ackMs;
    for (const event of events) {
      // It may change while events are sent: an outcome may bring about more of them.
      if (this.#obstacle === null && this.#frames !== null) {
        this.#add(this.#frames, event, due);
      } else {
        this.#outcomes.returned(event, this.#obstacle ?? NOT_YET);
      }
    }
    try {
      this.#frames?.flush();
    } catch {
      // The connection was closed under our hands, which its status tells in a moment.
      this.#returnAll(LOST);
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#obstacle = CLOSED;
    await this.#underWay.settle(this.#times.closeMs);
    clearInterval(this.#timer);
    clearTimeout(this.#prepareTimer);
    await this.#link.close();
    this.#returnAll(CLOSED);
  }

  #add(frames: NatsFrames, event: OnwardEvent, due: number): void {
    const number = this.#next++;
    const { head, json } = event;
    const reply = `${this.#inbox}.${number}`;
    if (frames.add(this.#options.subject.of(event), reply, headerText(head), json)) {
      this.#underWay.add(number, event, due);
      return;
    }
    const reason = `larger than the server's max_payload of ${frames.maxPayload} bytes`;
    this.#outcomes.refused(event, reason);
  }

  #answered(message: Msg): void {
    const number = Number(message.subject.slice(this.#inbox.length + 1));
    const event = this.#underWay.take(number);
    // One that comes too late: its event was returned, and is a duplicate to the stream when it is sent again.
    if (event === undefined) return;
    const { outcome, reason, noStream } = verdictOf(message);
    if (outcome === 'taken') this.#outcomes.taken(event);
    else this.#outcomes[outcome](event, reason);
    if (noStream && this.#options.create) void this.#prepare();
  }

  #up(connection: NatsConnection, isNew: boolean): void {
    this.#connection = connection;
    this.#frames = new NatsFrames(connection);
    // One that the server did not permit is gone; it may permit it now.
    if (isNew || this.#inboxIsDenied) {
      this.#inboxIsDenied = false;
      connection.subscribe(`${this.#inbox}.*`, {
        callback: (error, message) => {
          if (error === null) this.#answered(message);
        },
      });
    }
    if (this.#isClosed) return;
    if (this.#options.create) void this.#prepare();
    else this.#obstacle = null;
  }

  #down(reason: string): void {
    this.#connection = null;
    this.#frames = null;
    if (!this.#isClosed) this.#obstacle = reason;
    this.#returnAll(reason);
  }

  /** A server tells of what it does not permit, and then acknowledges nothing. */
  #denied({ operation, subject }: PermissionViolationError): void {
    if (operation === 'subscription') {
      if (!subject.startsWith(this.#inbox)) return;
      // Without acknowledgements nothing is known to arrive: nothing is sent before the next connection.
      this.#inboxIsDenied = true;
      this.#obstacle = 'the server does not permit to subscribe to _INBOX.>';
      this.#returnAll(this.#obstacle);
      return;
    }
    // No subject in the reason: there may be as many as events.
    const reason = 'the server does not permit to publish to the subject';
    const { subject: template } = this.#options;
    const denied = this.#underWay.takeWhere((event) => template.of(event) === subject);
    for (const event of denied) this.#outcomes.returned(event, reason);
  }

  /** Sees that there is a stream; nothing is sent before. */
  async #prepare(): Promise<void> {
    const connection = this.#connection;
    if (this.#isPreparing || this.#isClosed || connection === null) return;
    this.#isPreparing = true;
    this.#obstacle ??= 'the stream is looked for';
    clearTimeout(this.#prepareTimer);
    const wrong = await prepareStream(connection, this.#options);
    this.#isPreparing = false;
    if (this.#isClosed) return;
    if (this.#inboxIsDenied) return;
    if (this.#connection !== null && wrong === null) this.#obstacle = null;
    else if (this.#connection !== null) {
      this.#obstacle = wrong;
      this.#prepareTimer = setTimeout(() => void this.#prepare(), PREPARE_AGAIN_MS);
    }
  }

  /** Returns what waits for its acknowledgement for too long. */
  #giveUpLate(): void {
    const reason = `the server acknowledges nothing within ${this.#times.ackMs / 1000} s`;
    const late = this.#underWay.takeLate();
    for (const event of late) this.#outcomes.returned(event, reason);
    if (late.length > 0) void this.#awaitAnswer(reason);
  }

  /** Sends no more to a server that does not even answer a ping: all of it would pile up in memory. */
  async #awaitAnswer(reason: string): Promise<void> {
    const connection = this.#connection;
    if (connection === null || this.#obstacle !== null) return;
    this.#obstacle = reason;
    // Where the connection breaks meanwhile, its status tells why.
    const answers = await connection.flush().then(
      () => true,
      () => false,
    );
    if (answers && this.#obstacle === reason) this.#obstacle = null;
  }

  #returnAll(reason: string): void {
    for (const event of this.#underWay.takeWhere(() => true)) {
      this.#outcomes.returned(event, reason);
    }
  }
}
