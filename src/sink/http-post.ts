// One request to a receiver, and what came of it.

import { request as httpRequest, type IncomingMessage, STATUS_CODES } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { HttpOptions } from './http-options.ts';

/** No receiver may hold a recorder back for longer. */
const RETRY_AFTER_MS_MAX = 3_600_000;

/** Statuses that tell of what was sent, not of the receiver. */
const OF_WHAT_WAS_SENT: ReadonlySet<number> = new Set([400, 413, 422]);

export interface Answer {
  /** `unfit`: something in the batch is not taken, however often it is sent. */
  readonly kind: 'taken' | 'unfit' | 'later';
  /** A sentence; the same for the same trouble. */
  readonly reason: string;
  /** For so long the receiver wants to hear nothing. */
  readonly holdMs: number;
}

const zipped = promisify(gzip);

/** Sends a batch; what goes wrong is an answer as well. `signal` ends it. */
export async function post(
  options: HttpOptions,
  lines: Buffer,
  signal: AbortSignal,
): Promise<Answer> {
  const body = options.gzip ? await zipped(lines) : lines;
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const ended = AbortSignal.any([signal, timeout]);
  try {
    let sent = await exchange(options, body, ended);
    // A connection that was kept and had just been closed: no trouble, and nothing was received.
    if (sent === 'stale') sent = await exchange(options, body, ended);
    if (sent === 'stale') return later('the receiver closes the connection');
    return answerOf(sent);
  } catch (error) {
    if (timeout.aborted && !signal.aborted) {
      return later(`the receiver does not answer within ${options.timeoutMs / 1000} s`);
    }
    const { code, message } = error as NodeJS.ErrnoException;
    const isTls = code !== undefined && /CERT|SIGNATURE|ISSUER/.test(code);
    return later(
      isTls
        ? `the receiver's certificate cannot be trusted (${code})`
        : `the receiver cannot be reached (${code ?? message})`,
    );
  }
}

const later = (reason: string): Answer => ({ kind: 'later', reason, holdMs: 0 });

function exchange(
  options: HttpOptions,
  body: Buffer,
  signal: AbortSignal,
): Promise<IncomingMessage | 'stale'> {
  const { target, agent, headers } = options;
  const request = (target.protocol === 'https:' ? httpsRequest : httpRequest)(target, {
    method: 'POST',
    agent,
    signal,
    headers: {
      ...headers,
      'content-type': 'application/x-ndjson',
      'content-length': body.length,
      ...(options.gzip ? { 'content-encoding': 'gzip' } : {}),
    },
  });
  return new Promise((resolve, reject) => {
    request.on('response', (response) => {
      // The status says it all, and may come while the batch is still being sent.
      response.on('error', () => {});
      response.resume();
      resolve(response);
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')) {
        resolve('stale');
      } else reject(error);
    });
    request.end(body);
  });
}

function answerOf({ statusCode: status = 0, headers }: IncomingMessage): Answer {
  const name = STATUS_CODES[status];
  const reason = `the receiver answers ${status}${name === undefined ? '' : ` (${name})`}`;
  if (status >= 200 && status < 300) return { kind: 'taken', reason, holdMs: 0 };
  if (OF_WHAT_WAS_SENT.has(status)) return { kind: 'unfit', reason, holdMs: 0 };
  return { kind: 'later', reason, holdMs: retryAfterMs(headers['retry-after']) };
}

/** Seconds or a date. */
function retryAfterMs(value: string | undefined): number {
  if (value === undefined) return 0;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? 0 : Math.min(RETRY_AFTER_MS_MAX, Math.max(0, ms));
}
