// What play --to does: rows go to a receiver as UnifiedEvents, when they are due.

import { setTimeout } from 'node:timers/promises';
import { type EventRun, inParts, rowsIn } from '../src/event/stream.ts';
import type { Player } from '../src/replay/player.ts';
import { Delivery, type DeliveryCounts } from '../src/sink/delivery.ts';
import { Onward } from '../src/sink/onward.ts';
import type { MakeSink } from '../src/sink/sink.ts';
import { countText } from './format.ts';
import { say } from './reading.ts';

/** Rows that are converted at once. */
const ROWS_AT_ONCE = 512;
/** Reasons of refused events that are told one by one. */
const REASONS_TOLD = 3;

/** A way from a player to a receiver. */
export class PlayTo {
  readonly #delivery: Delivery;
  readonly #onward: Onward;
  readonly #isRebased: boolean;
  readonly #began = Date.now();
  /** Events that were not taken in the end. */
  #left = 0;

  private constructor(delivery: Delivery, onward: Onward, isRebased: boolean) {
    this.#delivery = delivery;
    this.#onward = onward;
    this.#isRebased = isRebased;
  }

  /** Throws TapioError('usage') for a URL that makes no sense. */
  static async open(url: URL, make: MakeSink, isRebased: boolean): Promise<PlayTo> {
    const told = new Set<string>();
    const delivery = await Delivery.open({
      make: (outcomes) => make(url, outcomes),
      settled: ({ seq }, refused) => {
        if (refused === null || told.size >= REASONS_TOLD || told.has(refused)) return;
        told.add(refused);
        say(`event ${seq} is refused: ${refused}`);
      },
      say,
      sleep: (ms, signal) => setTimeout(ms, undefined, { signal }).catch(() => {}),
      random: Math.random,
      now: () => performance.now(),
    });
    return new PlayTo(delivery, new Onward(), isRebased);
  }

  get onward(): Onward {
    return this.#onward;
  }

  get counts(): DeliveryCounts {
    return this.#delivery.counts;
  }

  /** True where everything is there. */
  get isComplete(): boolean {
    return this.#left === 0 && this.#delivery.counts.refused === 0;
  }

  /** Sends what the player gives, until end() at the latest; `show` is called as it goes. */
  async send(player: Player, show: () => void): Promise<void> {
    try {
      await this.#sendAll(player, show);
    } finally {
      this.#left = await this.#delivery.close();
    }
  }

  /** Gives up what has not been taken soon. */
  end(): void {
    void this.#delivery.close();
  }

  async #sendAll(player: Player, show: () => void): Promise<void> {
    let loop = 0;
    for await (const runs of player.events()) {
      if (this.#isRebased && player.loop !== loop && rowsIn(runs) > 0) {
        loop = player.loop;
        const [first] = runs as [EventRun, ...EventRun[]];
        const ts = first.block.columns.get('ts')?.get(first.from) as bigint;
        const shift = BigInt(Date.now()) * 1_000_000n - ts;
        this.#onward.rebase({ shift, salt: `${this.#began} ${loop}` });
      }
      for (const part of inParts(runs, ROWS_AT_ONCE)) {
        if (!(await this.#delivery.send(this.#onward.events(part)))) return;
        show();
      }
    }
    await this.#delivery.settle();
  }

  /** What came of it, in sentences. */
  summary(): string[] {
    const { taken, refused, returned } = this.#delivery.counts;
    const more = [
      refused > 0 && `${countText(refused)} were refused`,
      this.#left > 0 && `${countText(this.#left)} were not taken`,
      returned > 0 && `${countText(returned)} times one was sent again`,
    ].filter((part) => part !== false);
    const unknown = [...this.#onward.unknown].map(
      ([name, count]) => `${countText(count)} rows are of ${name}, which this version cannot map`,
    );
    return [
      [`${countText(taken)} events are at ${this.#delivery.place}`, ...more].join('; '),
      ...unknown,
    ];
  }
}
