// Rows as events that go onward.

import type { EventType } from '../../schemas/arrow.ts';
import type { EventBlock, EventRun, RowOrigin } from '../event/stream.ts';
import { Converter, columnsOf, type Rebase } from '../unified/convert.ts';
import { unifiedJson } from '../unified/event.ts';
import type { OnwardEvent } from './sink.ts';

/** Converts runs of rows, whatever recordings they are of. */
export class Onward {
  #rebase: Rebase | undefined;
  /** By origin, then by the distance of ts and ktime, which a clock that is set changes. */
  #converters = new WeakMap<RowOrigin, Map<bigint, Converter>>();
  /** Rows of ops that the mapping does not know, by type and op. */
  readonly unknown = new Map<string, number>();

  /** From here on rows are shifted, and their ids are others; undefined: they are as they were. */
  rebase(rebase: Rebase | undefined): void {
    this.#rebase = rebase;
    this.#converters = new WeakMap();
  }

  /** Columns that are wanted of a type. */
  columns(type: EventType): string[] {
    return columnsOf(type);
  }

  /** The events of these rows, in order. */
  events(runs: readonly EventRun[]): OnwardEvent[] {
    const events: OnwardEvent[] = [];
    for (const { block, from, to } of runs) {
      const { type, columns } = block;
      const converter = this.#converterOf(block);
      for (let row = from; row < to; row++) {
        const op = String(columns.get('op')?.get(row));
        const unified = converter.convert(type, columns, row);
        if (unified === null) {
          const name = `${type}.${op}`;
          this.unknown.set(name, (this.unknown.get(name) ?? 0) + 1);
          continue;
        }
        const seq = columns.get('seq')?.get(row) as bigint;
        const ts = columns.get('ts')?.get(row) as bigint;
        events.push({ seq, ts, type, op, unified, json: unifiedJson(unified) });
      }
    }
    return events;
  }

  #converterOf({ origin, tsOffset }: EventBlock): Converter {
    const known = this.#converters.get(origin) ?? new Map<bigint, Converter>();
    this.#converters.set(origin, known);
    let converter = known.get(tsOffset);
    if (converter === undefined) {
      const { recording, host, boot_id } = origin;
      const rebase = this.#rebase === undefined ? {} : { rebase: this.#rebase };
      converter = new Converter({ recording, host, boot_id, tsOffset }, rebase);
      known.set(tsOffset, converter);
    }
    return converter;
  }
}
