// The thread that answers Prometheus, as the main thread has it.

import type { Address } from '../config/values.ts';
import { SideThread } from '../side-thread.ts';
import type { Measured } from './measured.ts';
import type { MetricsStatus, MetricsThreadData } from './worker.ts';

/** How often it is told what is known, ms. */
const TELL_MS = 500;

export interface TellingOptions {
  readonly address: Address;
  /** What is known; null until events flow. */
  readonly measured: () => Measured | null;
  readonly say: (text: string) => void;
}

/** A thread that is told again and again what is known. */
export class Telling {
  readonly #thread: SideThread<MetricsStatus>;
  readonly #timer: NodeJS.Timeout;

  private constructor(thread: SideThread<MetricsStatus>, timer: NodeJS.Timeout) {
    this.#thread = thread;
    this.#timer = timer;
  }

  /** Begins to answer. Throws TapioError('usage') where the address cannot be listened at. */
  static async begin({ address, measured, say }: TellingOptions): Promise<Telling> {
    const data: MetricsThreadData = { address };
    const where = { source: 'metrics/worker', bundled: 'metrics-worker', name: 'metrics' };
    const thread = new SideThread<MetricsStatus>({ ...where, data, say }, (_, own) => own);
    await thread.start();
    const tell = (): void => {
      const known = measured();
      if (known !== null) thread.tell(known);
    };
    tell();
    const timer = setInterval(tell, TELL_MS).unref();
    thread.go();
    return new Telling(thread, timer);
  }

  get url(): string {
    return this.#thread.status?.url ?? '';
  }

  /** Ends it; who is being answered is hung up on. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    await this.#thread.finish(0);
  }
}
