// What a store holds, as a stream that ends with it: as it is, or when its rows are due.

import { setImmediate } from 'node:timers/promises';
import type { EventType } from '../../schemas/arrow.ts';
import type { EventRun } from '../event/stream.ts';
import { missingFrom, touches } from '../query/completeness.ts';
import type { Selection } from '../query/select.ts';
import { pacedClock } from '../replay/clock.ts';
import { Player, type PlayOptions } from '../replay/player.ts';
import { StoredEvents } from '../replay/stored.ts';
import { type OpenedStore, openStore } from '../segment/store.ts';
import { lastOf, rowsBehind, segmentsBehind } from './held-rows.ts';
import type { RowStream, StreamPart } from './row-stream.ts';
import type { ResumePoint } from './token.ts';

export interface HeldStreamOptions {
  readonly store: string;
  readonly selection: Selection;
  readonly columns: (type: EventType) => readonly string[];
  /** Behind which row it begins; null: with the first. */
  readonly from: ResumePoint | null;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** Rows of a store, which is opened with the first part and closed with the last. */
abstract class StoreStream implements RowStream {
  protected readonly options: HeldStreamOptions;
  #missing: readonly string[] = [];

  constructor(options: HeldStreamOptions) {
    this.options = options;
  }

  abstract readonly resumePoint: ResumePoint | null;

  protected abstract rows(opened: OpenedStore): AsyncGenerator<readonly EventRun[]>;

  async *parts(): AsyncGenerator<StreamPart> {
    const { store, selection, from, signal } = this.options;
    const opened = openStore(store);
    try {
      const losses = segmentsBehind(opened.segments, from)
        .flatMap((segment) => segment.losses())
        .filter((loss) => loss.stage !== 'clock' && touches(loss, selection));
      if (losses.length > 0) yield { kind: 'losses', losses };
      for await (const runs of this.rows(opened)) {
        if (signal.aborted) return;
        yield { kind: 'rows', runs };
      }
    } finally {
      this.#missing = missingFrom(opened, selection);
      for (const segment of opened.segments) segment.close();
    }
  }

  incomplete(): readonly string[] {
    return this.#missing;
  }
}

/** Rows as fast as they are taken. */
export class HeldStream extends StoreStream {
  #given: ResumePoint | null = null;

  /** With a part it is behind all of it. */
  get resumePoint(): ResumePoint | null {
    return this.#given ?? this.options.from;
  }

  protected async *rows({ segments }: OpenedStore): AsyncGenerator<readonly EventRun[]> {
    const { selection, columns, from } = this.options;
    for await (const runs of rowsBehind(segments, selection, columns, from, null)) {
      this.#given = lastOf(runs) ?? this.#given;
      yield runs;
      // Others on this thread have rows to give.
      await setImmediate();
    }
  }
}

/** Rows when they are due. */
export class ReplayStream extends StoreStream {
  readonly resumePoint = null;
  readonly #play: Omit<PlayOptions, 'clock' | 'stepping'>;

  constructor(options: HeldStreamOptions, play: Omit<PlayOptions, 'clock' | 'stepping'>) {
    super(options);
    this.#play = play;
  }

  protected async *rows({ segments }: OpenedStore): AsyncGenerator<readonly EventRun[]> {
    const { selection, columns, signal } = this.options;
    const wanted = (type: EventType): readonly string[] => ['seq', 'ts', ...columns(type)];
    const stored = new StoredEvents(segments, selection, wanted);
    const clock = pacedClock();
    const player = new Player(stored, { ...this.#play, clock, stepping: false });
    const stop = (): void => player.stop();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      yield* player.events();
    } finally {
      signal.removeEventListener('abort', stop);
      clock.close();
    }
  }
}
