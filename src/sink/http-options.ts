// What the URL of an HTTP sink says. All behind its `?` is the sink's; a query for the receiver is given by ?query=.

import { Agent as HttpAgent, validateHeaderName, validateHeaderValue } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { usage } from '../config/values.ts';
import { decodedPart, SinkOptions } from './options.ts';

const NAMES = [
  ...(['batch', 'bytes', 'linger', 'parallel', 'timeout', 'gzip'] as const),
  ...(['header', 'headers', 'query', 'ca', 'cert', 'key'] as const),
];
const EVENTS = 500;
const BYTES = 1024 ** 2;
const LINGER_MS = 20;
const PARALLEL = 4;
const TIMEOUT_MS = 10_000;

/** Set for each request by the sink itself. */
const OWN_HEADERS = ['content-length', 'content-type', 'content-encoding', 'transfer-encoding'];

export interface HttpOptions {
  /** Without secrets. */
  readonly place: string;
  /** Where requests go. */
  readonly target: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly agent: HttpAgent;
  readonly gzip: boolean;
  /** Most events and bytes of one request. */
  readonly batch: number;
  readonly bytes: number;
  /** How long events wait for others that come along, ms. */
  readonly lingerMs: number;
  /** Most requests at once. */
  readonly parallel: number;
  readonly timeoutMs: number;
}

/** Reads `http://` and `https://` URLs; throws TapioError('usage'). */
export function httpOptions(url: URL): HttpOptions {
  const options = new SinkOptions(url, NAMES, ['header']);
  const target = new URL(url);
  [target.username, target.password, target.hash] = ['', '', ''];
  target.search = '';
  const place = target.href;
  target.search = options.text('query') ?? '';
  const parallel = options.count('parallel', PARALLEL, 1);
  const timeoutMs = options.duration('timeout', TIMEOUT_MS);
  if (timeoutMs <= 0) throw usage('?timeout= is too little: write 10s');
  return {
    place,
    target,
    headers: headersOf(url, options),
    agent: agentOf(url, options, parallel),
    gzip: options.flag('gzip', false),
    batch: options.count('batch', EVENTS, 1),
    bytes: options.size('bytes', BYTES),
    lingerMs: options.duration('linger', LINGER_MS),
    parallel,
    timeoutMs,
  };
}

type Options = SinkOptions<(typeof NAMES)[number]>;

/** Headers of the options, of the file, and of the user in the URL; a line that makes no sense is not shown: it is a secret. */
function headersOf(url: URL, options: Options): Record<string, string> {
  const headers: Record<string, string> = {};
  const file = options.content('headers')?.toString('utf8').split('\n') ?? [];
  const lines = file.map((line) => line.trim()).filter((line) => line !== '' && line[0] !== '#');
  for (const line of [...lines, ...options.all('header')]) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch {
      throw usage('a header of ?header= or ?headers= cannot be sent: write Name: value');
    }
    if (OWN_HEADERS.includes(name)) throw usage(`the header ${name} is set by the sink itself`);
    headers[name] = value;
  }
  if (url.username !== '' || url.password !== '') {
    const user = `${decodedPart('user', url.username)}:${decodedPart('password', url.password)}`;
    headers.authorization = `Basic ${Buffer.from(user).toString('base64')}`;
  }
  return headers;
}

function agentOf(url: URL, options: Options, maxSockets: number): HttpAgent {
  const [ca, cert, key] = [options.content('ca'), options.content('cert'), options.content('key')];
  if ((cert === null) !== (key === null)) {
    throw usage('?cert= and ?key= go together: give both or none');
  }
  if (url.protocol === 'http:') {
    if (ca !== null || cert !== null) throw usage('?ca=, ?cert= and ?key= are for https:// only');
    return new HttpAgent({ keepAlive: true, maxSockets });
  }
  return new HttpsAgent({
    keepAlive: true,
    maxSockets,
    ...(ca === null ? {} : { ca }),
    ...(cert === null || key === null ? {} : { cert, key }),
  });
}
