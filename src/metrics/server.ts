// The port that Prometheus asks: /metrics, /healthz and /readyz. Nobody may cost the recorder anything by it: what is told is made
// once a second at most, and who is slow or comes too often is hung up on.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Address } from '../config/values.ts';
import { systemCode, TapioError } from '../errors.ts';
import { type Exposition, exposition, wantsOpenMetrics } from './exposition.ts';
import { whyNotReady, whyUnhealthy } from './health.ts';
import type { Measured } from './measured.ts';

/** Connections at once: the oldest gives way to one more. */
export const CONNECTIONS_MAX = 64;
const HEADER_BYTES_MAX = 8192;
/** How long a request may take to come, and an answer to be taken, ms. */
export const PATIENCE_MS = 5000;
const LOOK_MS = 1000;
/** Longer than the usual time between two scrapes, ms. */
const KEEP_ALIVE_MS = 75_000;
/** What is known changes so often, ms. */
const FRESH_MS = 1000;

export interface MetricsOptions {
  readonly address: Address;
  /** What is known; null until events flow. */
  readonly measured: () => Measured | null;
}

interface Made {
  readonly at: number;
  readonly text: Promise<Exposition>;
}

const TEXT = 'text/plain; charset=utf-8';

export class MetricsServer {
  readonly #options: MetricsOptions;
  readonly #server: Server;
  /** Oldest first. */
  readonly #sockets = new Set<Socket>();
  /** What was last made, by whether it is OpenMetrics. */
  readonly #made = new Map<boolean, Made>();

  private constructor(options: MetricsOptions) {
    this.#options = options;
    this.#server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: PATIENCE_MS,
        requestTimeout: PATIENCE_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: LOOK_MS,
      },
      (request, response) => {
        // What went wrong with an answer is no matter of the recording.
        this.#answer(request, response).catch(() => response.destroy());
      },
    );
    this.#server.timeout = KEEP_ALIVE_MS;
    this.#server.on('connection', (socket) => this.#hold(socket));
  }

  /** Listens. Throws TapioError('usage') where that cannot be. */
  static async open(options: MetricsOptions): Promise<MetricsServer> {
    const self = new MetricsServer(options);
    const { host, port } = options.address;
    const listening = Promise.withResolvers<void>();
    self.#server.once('error', listening.reject);
    self.#server.listen(port, host, listening.resolve);
    try {
      await listening.promise;
    } catch (error) {
      const why = systemCode(error) ?? (error as Error).message;
      throw new TapioError(
        'usage',
        `--metrics ${host}:${port} cannot be listened at (${why}): name another address`,
      );
    }
    self.#server.on('error', () => {});
    return self;
  }

  /** Where it answers. */
  get url(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}/metrics`;
  }

  /** Ends it; who is being answered is hung up on. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #hold(socket: Socket): void {
    for (const oldest of this.#sockets) {
      if (this.#sockets.size < CONNECTIONS_MAX) break;
      this.#sockets.delete(oldest);
      oldest.destroy();
    }
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const say = (code: number, text: string, type = TEXT): void => {
      response.writeHead(code, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
      response.end(text);
    };
    // A body that is never read would keep what follows it from being heard.
    request.resume();
    const [path = ''] = (request.url ?? '').split('?');
    const measured = this.#options.measured();
    const tell = (trouble: string | null): void =>
      say(trouble === null ? 200 : 503, `${trouble ?? 'ok'}\n`);
    const pages: Readonly<Record<string, () => unknown>> = {
      '/metrics': async () => {
        if (measured === null) return tell(whyNotReady(measured));
        const { text, contentType } = await this.#text(measured, request.headers.accept);
        say(200, text, contentType);
      },
      '/healthz': () => tell(whyUnhealthy(measured)),
      '/readyz': () => tell(whyNotReady(measured)),
    };
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    if (page === undefined) {
      say(404, `nothing is at that path: ${Object.keys(pages).join(', ')}\n`);
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      say(405, 'only GET is answered here\n');
    } else await page();
  }

  #text(measured: Measured, accept: string | undefined): Promise<Exposition> {
    const openMetrics = wantsOpenMetrics(accept);
    const [now, made] = [performance.now(), this.#made.get(openMetrics)];
    if (made !== undefined && now - made.at < FRESH_MS) return made.text;
    const text = exposition(measured, openMetrics);
    this.#made.set(openMetrics, { at: now, text });
    return text;
  }
}
