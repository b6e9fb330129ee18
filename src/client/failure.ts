// What went wrong with a call, in one sentence that names the remedy.

import { type ServiceError, status } from '@grpc/grpc-js';
import { type ErrorCode, TapioError } from '../errors.ts';
import { escapeControls } from '../escape.ts';

/** What grpc-js says itself; everything else is the server's own sentence. */
const LOCAL =
  /^(No connection established|Connection dropped|Connection closed|Stream refused|Name resolution failed|Call cancelled|The server is closing|read E|write E|Protocol error)|ECONN|EPIPE/;
const CERTIFICATE =
  /self[- ]signed|certificate|unable to (verify|get)|CERT_|altnames|Hostname\/IP|wrong version number|alert|SSL|TLS/i;
const SYSTEM = /\b(E[A-Z]{4,})\b/;
const TEXT_MAX = 1000;

/** A server's sentence, as it may be shown. */
export function shown(text: string): string {
  return escapeControls(text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text);
}

function unreachable(server: string, details: string): TapioError {
  const last = /Last error: (?:Error: )?(.*)/s.exec(details)?.[1] ?? details;
  if (CERTIFICATE.test(last)) {
    return new TapioError(
      'io',
      `${server} cannot be reached over TLS (${shown(last)}): name who vouches for it with --tls-ca, and whom its certificate is of with --tls-name; a certificate of your own with --tls-cert and --tls-key`,
    );
  }
  const code = SYSTEM.exec(last)?.[1];
  if (code === 'EACCES' || code === 'EPERM') {
    return new TapioError(
      'not_permitted',
      `${server} is not open to you: be root or the user that records, or ask for a policy that names you`,
    );
  }
  if (
    code === 'ECONNRESET' ||
    /Failed to connect|socket hang up|Connection (closed|dropped)/.test(last)
  ) {
    return new TapioError(
      'not_running',
      `${server} hung up: does it want a certificate of yours (--tls-cert and --tls-key), or is what serves there no recorder, or one that ended?`,
    );
  }
  return new TapioError(
    'not_running',
    `${server} cannot be reached (${code ?? shown(last)}): is a recorder serving there, and its --listen the same?`,
  );
}

const CODES: Readonly<Partial<Record<status, ErrorCode>>> = {
  [status.INVALID_ARGUMENT]: 'usage',
  [status.OUT_OF_RANGE]: 'usage',
  [status.PERMISSION_DENIED]: 'not_permitted',
  [status.NOT_FOUND]: 'store_missing',
  [status.UNAVAILABLE]: 'not_running',
};

/** The error of a call that failed; what is no error of gRPC is given back. */
export function failureOf(server: string, error: unknown): unknown {
  const { code, details } = error as Partial<ServiceError>;
  if (error instanceof TapioError || code === undefined || details === undefined) return error;
  const said = shown(details);
  switch (code) {
    case status.UNAVAILABLE:
      if (LOCAL.test(details)) return unreachable(server, details);
      break;
    case status.UNAUTHENTICATED:
      return new TapioError(
        'not_permitted',
        `${server} does not know you (${said}): show who you are with --token-file, or --tls-cert and --tls-key`,
      );
    case status.UNIMPLEMENTED:
      return new TapioError(
        'io',
        `${server} is an older recorder, or none, which cannot answer that (${said}): ask it for rows with query, or run the command on its host`,
      );
    case status.RESOURCE_EXHAUSTED:
      return new TapioError(
        'exhausted',
        `${server} has no room for that now (${said}): ask for less, or later`,
      );
    case status.INTERNAL:
    case status.CANCELLED:
    case status.UNKNOWN:
      if (LOCAL.test(details)) return unreachable(server, details);
      break;
    default:
  }
  return new TapioError(CODES[code] ?? 'io', `${server}: ${said}`);
}

/** Whether it is worth to try again later. */
export function isPassing(error: unknown): boolean {
  return error instanceof TapioError && error.code === 'not_running';
}
