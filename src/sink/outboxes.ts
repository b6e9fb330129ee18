// The sinks of a recorder, a thread each: one that is slow or fails is no matter of the others, nor of the recording.

import type { SinkSettings } from '../config/sinks.ts';
import { SideThread } from '../side-thread.ts';
import { afterSink, type SinkStatus, type SinkThreadData } from './protocol.ts';

interface Outgoing {
  readonly settings: SinkSettings;
  readonly thread: SideThread<SinkStatus>;
}

export class Outboxes {
  readonly #store: string;
  readonly #say: (text: string) => void;
  #all: readonly Outgoing[] = [];
  /** How sinks were in the end whose settings were changed, by name. */
  readonly #before = new Map<string, SinkStatus>();
  #isGoing = false;

  private constructor(store: string, say: (text: string) => void) {
    this.#store = store;
    this.#say = say;
  }

  /**
   * Makes the sinks of a store, which wait until they can go. Throws TapioError('usage') where one makes no sense, and
   * then there are none.
   */
  static async open(
    store: string,
    sinks: readonly SinkSettings[],
    say: (text: string) => void,
  ): Promise<Outboxes> {
    const self = new Outboxes(store, say);
    await self.configure(sinks);
    return self;
  }

  /** The recorder can be followed now. */
  go(): void {
    this.#isGoing = true;
    for (const { thread } of this.#all) thread.go();
  }

  /** How each is, as far as it has said. */
  get statuses(): SinkStatus[] {
    return this.#all.flatMap(({ thread: { status } }) =>
      status === null ? [] : [this.#counted(status)],
    );
  }

  /** Times that the thread of each sink failed, by its name. */
  get failures(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      this.#all.map(({ settings, thread }) => [settings.name, thread.failures]),
    );
  }

  /**
   * Puts others in their place: those whose settings stay go on. Throws TapioError('usage') where one makes no sense,
   * and then nothing has changed.
   */
  async configure(sinks: readonly SinkSettings[]): Promise<void> {
    const same = (a: SinkSettings, b: SinkSettings): boolean =>
      JSON.stringify(a) === JSON.stringify(b);
    const stay = this.#all.filter(({ settings }) => sinks.some((one) => same(one, settings)));
    const added = sinks
      .filter((one) => !stay.some(({ settings }) => same(one, settings)))
      .map((one) => this.#make(one));
    const started = await Promise.allSettled(added.map(({ thread }) => thread.start()));
    const failed = started.find((one) => one.status === 'rejected');
    if (failed !== undefined) {
      await Promise.all(added.map(({ thread }) => thread.finish(0)));
      throw failed.reason;
    }
    const gone = this.#all.filter((one) => !stay.includes(one));
    // Two threads must not write one checkpoint.
    await Promise.all(gone.map(({ thread }) => thread.finish(0)));
    for (const { thread } of gone) {
      if (thread.status !== null)
        this.#before.set(thread.status.name, this.#counted(thread.status));
    }
    this.#all = [...stay, ...added];
    if (this.#isGoing) for (const { thread } of added) thread.go();
  }

  /** The recording has ended: each is given so long to send what is left, ms. */
  async finish(ms: number): Promise<void> {
    await Promise.all(this.#all.map(({ thread }) => thread.finish(ms)));
  }

  /** With what was counted under its name before. */
  #counted(status: SinkStatus): SinkStatus {
    const before = this.#before.get(status.name);
    return before === undefined ? status : afterSink(before, status);
  }

  #make(settings: SinkSettings): Outgoing {
    const data: SinkThreadData = { store: this.#store, settings };
    const options = {
      source: 'sink/worker',
      bundled: 'sink-worker',
      data,
      name: `sink ${settings.name}`,
      say: this.#say,
    };
    const thread = new SideThread<SinkStatus>(options, afterSink);
    return { settings, thread };
  }
}
