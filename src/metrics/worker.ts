// The thread that answers Prometheus. It knows what it was last told: nobody is asked for it.

import type { Address } from '../config/values.ts';
import { giveUpCapabilities } from '../privileges.ts';
import { runSideThread, type SideTask } from '../side-thread.ts';
import type { Measured } from './measured.ts';
import { MetricsServer } from './server.ts';

export interface MetricsThreadData {
  readonly address: Address;
}

/** Where it answers. */
export interface MetricsStatus {
  readonly url: string;
}

/** What was last told, and when. */
interface Told {
  last: { readonly measured: Measured; readonly at: number } | null;
}

class Metrics implements SideTask<MetricsStatus> {
  readonly #server: MetricsServer;
  readonly #told: Told;
  readonly #ended = Promise.withResolvers<void>();

  private constructor(server: MetricsServer, told: Told) {
    this.#server = server;
    this.#told = told;
  }

  static async open({ address }: MetricsThreadData): Promise<Metrics> {
    const told: Told = { last: null };
    const measured = (): Measured | null => {
      if (told.last === null) return null;
      // Who tells nothing any more is as silent as the recording thread may be.
      const silentMs = told.last.measured.silentMs + performance.now() - told.last.at;
      return { ...told.last.measured, silentMs };
    };
    return new Metrics(await MetricsServer.open({ address, measured }), told);
  }

  hear(news: unknown): void {
    this.#told.last = { measured: news as Measured, at: performance.now() };
  }

  run(): Promise<void> {
    return this.#ended.promise;
  }

  finish(): void {
    this.#server.close();
    this.#ended.resolve();
  }

  status(): MetricsStatus {
    return { url: this.#server.url };
  }
}

await runSideThread((data: MetricsThreadData) => {
  giveUpCapabilities('metrics');
  return Metrics.open(data);
});
