// A connection to a NATS server that is made again for ever. The client library reconnects one that was there; the first
// one, and one that the library gives up, are made here, so that it is known why there is none.

import { setTimeout as sleep } from 'node:timers/promises';
import {
  AuthorizationError,
  connect,
  type NatsConnection,
  type NodeConnectionOptions,
  PermissionViolationError,
  UserAuthenticationExpiredError,
} from '@nats-io/transport-node';

const DIAL_MS = 5000;
/** Between two attempts, and how much of it is left to chance: many recorders must not come back at once. */
const WAIT_MS = 250;
const JITTER_MS = 1000;
/** A server that answers no ping for three of these is not there, though its connection is. */
export const PING_MS = 10_000;
const PINGS_MAX = 3;
const DRAIN_MS = 2000;

const CONNECTION: NodeConnectionOptions = {
  name: 'tapio-record',
  timeout: DIAL_MS,
  maxReconnectAttempts: -1,
  reconnectTimeWait: WAIT_MS,
  reconnectJitter: JITTER_MS,
  reconnectJitterTLS: JITTER_MS,
  maxPingOut: PINGS_MAX,
  // A password that is wrong now may be right again: the server's, or ours after a change of both.
  ignoreAuthErrorAbort: true,
  // The answers to what we publish ourselves are not asked for.
  noAsyncTraces: true,
} as NodeConnectionOptions;

export interface LinkEvents {
  /** There is a connection, the first or the next; `isNew` where its subscriptions are yet to be made. */
  up(connection: NatsConnection, isNew: boolean): void;
  /** There is none; `reason` is a sentence. */
  down(reason: string): void;
  /** The server does not permit something. */
  denied(error: PermissionViolationError): void;
}

/** Why there is no connection, in a sentence that is the same for the same trouble. */
export function reasonOf(error: unknown): string {
  if (error instanceof AuthorizationError || error instanceof UserAuthenticationExpiredError) {
    return `the server refuses who we say we are (${error.message})`;
  }
  if (!(error instanceof Error)) return 'the server cannot be reached';
  const cause = error.cause instanceof Error ? error.cause : error;
  const { code } = cause as NodeJS.ErrnoException;
  if (code !== undefined && /CERT|SIGNATURE|ISSUER/.test(code)) {
    return `the server's certificate cannot be trusted (${code})`;
  }
  return `the server cannot be reached (${code ?? cause.message})`;
}

export class NatsLink {
  readonly #options: NodeConnectionOptions;
  readonly #events: LinkEvents;
  readonly #ended = new AbortController();
  #connection: NatsConnection | null = null;

  /** Begins to connect. */
  constructor(options: NodeConnectionOptions, events: LinkEvents) {
    this.#options = { ...CONNECTION, ...options };
    this.#events = events;
    void this.#keep();
  }

  /** Sends what was published, and lets go. */
  async close(): Promise<void> {
    this.#ended.abort();
    const connection = this.#connection;
    if (connection === null) return;
    const waiting = new AbortController();
    const { signal } = waiting;
    await Promise.race([
      connection.drain().catch(() => {}),
      // A server that does not answer would hold it up for ever.
      sleep(DRAIN_MS, null, { signal }).catch(() => {}),
    ]);
    waiting.abort();
    await connection.close().catch(() => {});
  }

  async #keep(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        const connection = await connect(this.#options);
        if (signal.aborted) {
          await connection.close();
          return;
        }
        this.#connection = connection;
        this.#events.up(connection, true);
        await this.#watch(connection);
      } catch (error) {
        this.#events.down(reasonOf(error));
      }
      this.#connection = null;
      const ms = WAIT_MS + JITTER_MS * Math.random();
      await sleep(ms, null, { signal }).catch(() => {});
    }
  }

  /** Tells what becomes of a connection until it is closed. */
  async #watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (this.#ended.signal.aborted) continue;
      if (status.type === 'reconnect') this.#events.up(connection, false);
      if (status.type === 'disconnect') this.#events.down('the connection to the server is lost');
      if (status.type === 'error') {
        const { error } = status;
        if (error instanceof PermissionViolationError) this.#events.denied(error);
        else this.#events.down(reasonOf(error));
      }
      if (status.type === 'staleConnection') {
        this.#events.down('the server does not answer');
        // The library would wait for a last write, which a server that does not read holds up.
        void connection.close();
      }
    }
    const why = await connection.closed();
    this.#events.down(
      why instanceof Error ? reasonOf(why) : 'the connection to the server is lost',
    );
  }
}
