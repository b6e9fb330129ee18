// Events to Tapio's own server of the summer of 2025: tapio.v1.TapioService/StreamEvents, one event a message, for of what comes
// in batches it correlates nothing. It has a queue of 1000 events for each stream and drops silently what comes beyond, so
// that fewer than that are under way; what it does not acknowledge in time is sent again, and it knows repeats by their id.

import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { fromJSON, type ServiceDefinition } from '@grpc/proto-loader';
import { usage } from '../config/values.ts';
import { SinkOptions } from './options.ts';
import type { OnwardEvent, Outcomes, Sink } from './sink.ts';
import { tapioEvent } from './tapio-event.ts';
import { TAPIO_V1 } from './tapio-proto.ts';
import { UnderWay } from './under-way.ts';

const NAMES = ['window', 'tls', 'ca', 'cert', 'key', 'name'] as const;
const PORT_DEFAULT = '9090';
/** Under the queue that the server has for a stream. */
const WINDOW = 500;
/** Largest message that the server takes, bytes. */
const MESSAGE_MAX = 1 << 20;
/** How long an acknowledgement is waited for, and for how long close() waits, ms. */
const ACK_MS = 30_000;
const CLOSE_MS = 5000;
/** Between two attempts, and how much of it is left to chance, ms. */
const WAIT_MS = 250;
const JITTER_MS = 1000;
const COLLECTOR = 'tapio-record';
const CLOSED = 'the way to the server was closed';
const NOT_YET = 'there is no connection to the server yet';

interface Response {
  readonly ack?: {
    readonly event_id?: string;
    readonly status?: string;
    readonly message?: string;
  };
  readonly error?: { readonly code?: string; readonly message?: string };
}

const { StreamEvents } = fromJSON(TAPIO_V1 as never, { keepCase: true, longs: Number })[
  'tapio.v1.TapioService'
] as ServiceDefinition;
if (StreamEvents === undefined) throw new Error('the service has its method');
const { path, requestSerialize, responseDeserialize } = StreamEvents;

/** Times that tests shorten. */
export interface TapioTimes {
  readonly ackMs: number;
  readonly closeMs: number;
}

/** A sink for `tapio://` URLs. */
export async function makeTapio(
  url: URL,
  outcomes: Outcomes,
  times: TapioTimes = { ackMs: ACK_MS, closeMs: CLOSE_MS },
): Promise<Sink> {
  const options = new SinkOptions(url, NAMES);
  if (url.hostname === '') throw usage('tapio:// has no host: write tapio://localhost:9090');
  if (url.pathname !== '' && url.pathname !== '/') {
    throw usage(`${url.pathname} in the URL means nothing: leave it out`);
  }
  const window = options.count('window', WINDOW, 1);
  const host = `${url.hostname}:${url.port === '' ? PORT_DEFAULT : url.port}`;
  return new TapioSink(host, security(url.hostname, options), window, outcomes, times);
}

interface Security {
  readonly credentials: () => ChannelCredentials;
  /** Whom the certificate must be of; null: the host. */
  readonly name: string | null;
}

function security(host: string, options: SinkOptions<(typeof NAMES)[number]>): Security {
  const [ca, key, cert] = [options.file('ca'), options.file('key'), options.file('cert')];
  if ((key === null) !== (cert === null)) {
    throw usage('?cert= and ?key= go together: give both or none');
  }
  const name = options.text('name');
  const isSecure = options.flag('tls', (ca ?? cert ?? name) !== null);
  if (!isSecure) return { credentials: () => credentials.createInsecure(), name: null };
  // Node refuses an address where TLS names the server that is meant.
  if (isIP(host.replace(/^\[|\]$/g, '')) !== 0 && name === null) {
    throw usage(`TLS wants a name, and ${host} is an address: add ?name= as in the certificate`);
  }
  // Read at each connection: certificates are renewed while a recorder runs.
  const read = (file: string | null): Buffer | null => (file === null ? null : readFileSync(file));
  return { credentials: () => credentials.createSsl(read(ca), read(key), read(cert)), name };
}

type Stream = ClientDuplexStream<Buffer, Response>;

class TapioSink implements Sink {
  readonly place: string;
  readonly window: number;
  readonly #host: string;
  readonly #security: Security;
  readonly #outcomes: Outcomes;
  readonly #times: TapioTimes;
  readonly #timer: NodeJS.Timeout;
  /** By id. */
  readonly #underWay = new UnderWay<string>();
  #client: Client | null = null;
  #stream: Stream | null = null;
  #again: NodeJS.Timeout | undefined;
  /** Why nothing can be sent now; null where it can. */
  #obstacle: string | null = NOT_YET;
  /** What the server said last that is about no event. */
  #complaint = '';
  #isClosed = false;

  constructor(
    host: string,
    security: Security,
    window: number,
    outcomes: Outcomes,
    times: TapioTimes,
  ) {
    this.place = `tapio://${host}`;
    this.window = window;
    this.#host = host;
    this.#security = security;
    this.#outcomes = outcomes;
    this.#times = times;
    this.#timer = setInterval(() => this.#giveUpLate(), Math.min(1000, times.ackMs / 4));
    this.#connect();
  }

  send(events: readonly OnwardEvent[]): void {
    const due = performance.now() + this.#times.ackMs;
    for (const event of events) {
      // It may change while events are sent: an outcome may bring about more of them.
      const stream = this.#stream;
      if (this.#obstacle !== null || stream === null) {
        this.#outcomes.returned(event, this.#obstacle ?? NOT_YET);
        continue;
      }
      // An acknowledgement names the id alone: of two it could be either.
      if (this.#underWay.has(event.unified.id)) {
        this.#outcomes.returned(event, 'an event of the same id is under way');
        continue;
      }
      const message = requestSerialize({ event: tapioEvent(event.unified, COLLECTOR) });
      if (message.length > MESSAGE_MAX) {
        this.#outcomes.refused(event, `larger than the ${MESSAGE_MAX} bytes that the server takes`);
        continue;
      }
      this.#underWay.add(event.unified.id, event, due);
      stream.write(message);
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#obstacle = CLOSED;
    await this.#underWay.settle(this.#times.closeMs);
    clearInterval(this.#timer);
    clearTimeout(this.#again);
    this.#stream?.cancel();
    this.#client?.close();
    this.#returnAll(CLOSED);
  }

  #connect(): void {
    const { name } = this.#security;
    let security: ChannelCredentials;
    try {
      security = this.#security.credentials();
    } catch (error) {
      this.#down(`the certificates cannot be read (${(error as Error).message})`);
      return;
    }
    const client = new Client(this.#host, security, {
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
      // A shared one would wait for longer after each attempt, up to two minutes, whoever asks.
      'grpc.use_local_subchannel_pool': 1,
      ...(name !== null && {
        'grpc.ssl_target_name_override': name,
        'grpc.default_authority': name,
      }),
    });
    this.#client = client;
    const same = (message: Buffer): Buffer => message;
    const stream = client.makeBidiStreamRequest(
      path,
      same,
      responseDeserialize as (bytes: Buffer) => Response,
    );
    this.#stream = stream;
    // The server sends its headers with its first answer: that the channel is there must do.
    client.waitForReady(Date.now() + CLOSE_MS, (error) => {
      if (error === undefined && this.#stream === stream && !this.#isClosed) this.#obstacle = null;
    });
    stream.on('data', (response) => this.#answered(response));
    stream.on('error', (error: ServiceError) => {
      if (this.#stream === stream) this.#down(reasonOf(error));
    });
    stream.on('end', () => {
      if (this.#stream === stream) this.#down('the server has ended the stream');
    });
  }

  #answered({ ack, error }: Response): void {
    if (error !== undefined && error !== null) {
      this.#complaint = `; it says ${error.code ?? ''} ${error.message ?? ''}`.trimEnd();
    }
    const event = this.#underWay.take(ack?.event_id ?? '');
    // One that comes too late: its event was returned, and is known by its id when it is sent again.
    if (event === undefined) return;
    if (ack?.status === 'processed') this.#outcomes.taken(event);
    else
      this.#outcomes.refused(event, `${ack?.status || 'no status'} ${ack?.message ?? ''}`.trim());
  }

  /** There is no way now; another one is tried after a while. */
  #down(reason: string): void {
    const client = this.#client;
    this.#stream = null;
    this.#client = null;
    client?.close();
    if (!this.#isClosed) this.#obstacle = reason;
    this.#returnAll(reason);
    if (this.#isClosed) return;
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#connect(), WAIT_MS + JITTER_MS * Math.random());
  }

  /** Returns what waits for its acknowledgement for too long: the server may have dropped it. */
  #giveUpLate(): void {
    const reason = `the server acknowledges nothing within ${this.#times.ackMs / 1000} s${this.#complaint}`;
    for (const event of this.#underWay.takeLate()) this.#outcomes.returned(event, reason);
  }

  #returnAll(reason: string): void {
    for (const event of this.#underWay.takeWhere(() => true)) {
      this.#outcomes.returned(event, reason);
    }
  }
}

/** In a sentence that is the same for the same trouble. */
function reasonOf({ code, details }: ServiceError): string {
  if (code === status.UNAVAILABLE) {
    const why = /ECONN\w+|EHOSTUNREACH|ENOTFOUND|certificate[^.;]*|CERT_\w+|self-signed[^.;]*/.exec(
      details,
    );
    return `the server cannot be reached (${why?.[0] ?? details})`;
  }
  return `the server ended the stream: ${status[code] ?? code} ${details}`;
}
