// Who makes a call: whoever its token is of, and where it carries none, whoever is at the other end of its connection.

import type { Metadata } from '@grpc/grpc-js';
import { TapioError } from '../errors.ts';
import type { Caller } from '../service/admission.ts';
import { type Identity, shownName } from '../service/identity.ts';
import type { JwtVerifier } from '../service/jwt.ts';
import { type Denied, hostOf } from '../service/refusals.ts';
import { type Proof, Unproven } from '../service/standing.ts';
import type { Tokens } from '../service/tokens.ts';

/** One end of a connection. */
export interface Connection {
  /** As far as the connection itself tells it; null: its calls carry tokens. */
  readonly identity: Identity | null;
  /** For the audit, as unix:pid=1 or 10.0.0.1:4. */
  readonly address: string;
}

export interface CallersOptions {
  /** Null: no bearer tokens are taken. */
  readonly tokens: Pick<Tokens, 'prove'> | null;
  /** Null: no JSON Web Tokens are taken. */
  readonly jwt: Pick<JwtVerifier, 'prove'> | null;
  /** Whether a client's certificate tells who it is. */
  readonly takesCertificates: boolean;
  /** Notes durably who was refused. */
  readonly denied: (entry: Denied) => Promise<void>;
}

/** A call, as grpc-js has it. */
export interface Call {
  readonly metadata: Metadata;
  getPeer(): string;
  getPath(): string;
}

/** No header is longer, nor any token. */
const TOKEN_CHARS_MAX = 16 * 1024;
const BEARER = /^bearer +([A-Za-z0-9._~+/=-]+)$/i;
/** What tapio-record token makes begins with this, and no JSON Web Token does. */
const OWN = 'tapio_';

/** The method of a call, without its service. */
export const methodOf = (call: Pick<Call, 'getPath'>): string =>
  call.getPath().split('/').at(-1) ?? '';

export class Callers {
  readonly #options: CallersOptions;
  readonly #connections = new Map<string, Connection>();

  constructor(options: CallersOptions) {
    this.#options = options;
  }

  /** From now on calls whose peer has this name come over this connection. */
  add(name: string, connection: Connection): void {
    this.#connections.set(name, connection);
  }

  remove(name: string): void {
    this.#connections.delete(name);
  }

  /**
   * Who makes a call. Throws TapioError('unauthenticated') where nobody can be made sure of, or 'exhausted' where too many
   * try at once; the audit has it then.
   */
  async of(call: Call): Promise<Caller> {
    const peer = call.getPeer();
    const connection =
      this.#connections.get(peer) ?? this.#connections.get(peer.replace(/:\d+$/, ''));
    if (connection === undefined) throw new Unproven('the connection has no identity');
    const { address } = connection;
    try {
      const sent = call.metadata.get('authorization');
      if (sent.length > 0) return { address, ...(await this.#proofOf(sent, hostOf(address))) };
      if (connection.identity !== null) return { address, identity: connection.identity };
      throw new Unproven(this.#whatToSend());
    } catch (error) {
      if (!(error instanceof TapioError)) throw error;
      const claimed = error instanceof Unproven ? error.claimed : null;
      await this.#options.denied({
        identity: claimed === null ? null : shownName(claimed),
        peer: address,
        method: methodOf(call),
        request: {},
        reason: error.message,
      });
      throw error;
    }
  }

  #proofOf(sent: readonly (string | Buffer)[], host: string): Promise<Proof> {
    const { tokens, jwt } = this.#options;
    const [first = ''] = sent;
    const token = sent.length === 1 ? BEARER.exec(String(first))?.[1] : undefined;
    if (token === undefined || token.length > TOKEN_CHARS_MAX) {
      throw new Unproven('the metadata authorization is not one bearer token: send "Bearer TOKEN"');
    }
    const isOwn = token.startsWith(OWN) || jwt === null;
    if (isOwn && tokens !== null) return tokens.prove(token, host);
    if (!isOwn && jwt !== null) return jwt.prove(token, host);
    throw new Unproven('such tokens are not taken here: leave out the metadata authorization');
  }

  #whatToSend(): string {
    const certificate = this.#options.takesCertificates
      ? ', or connect with a client certificate'
      : '';
    return `nobody knows who makes this call: send a token as metadata "authorization: Bearer TOKEN"${certificate}`;
  }
}
