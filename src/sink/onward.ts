// Rows of stores as events that go onward.

import type { EventType } from '../../schemas/arrow.ts';
import type { EventBlock, EventRun } from '../event/stream.ts';
import type { Block } from '../query/scanner.ts';
import type { Segment } from '../segment/reader.ts';
import { processKey } from '../segment/small-tables.ts';
import { Converter, columnsOf, type ProcessContext, type Rebase } from '../unified/convert.ts';
import { unifiedJson } from '../unified/event.ts';
import type { OnwardEvent } from './sink.ts';

/** Where the processes of a segment are looked up. */
function processesOf(segment: Segment): (pid: number, pstart: bigint) => ProcessContext | null {
  let known: Map<string, ProcessContext> | null = null;
  const read = (): Map<string, ProcessContext> =>
    new Map(
      segment
        .processes(['pid', 'pstart', 'exe', 'cwd', 'cgroup', 'container_id'])
        .map((row) => [
          processKey({ pid: row.pid as number, pstart: row.pstart as bigint }),
          row as unknown as ProcessContext,
        ]),
    );
  return (pid, pstart) => {
    known ??= read();
    return known.get(processKey({ pid, pstart })) ?? null;
  };
}

/** Converts runs of stored rows, segment after segment. */
export class Onward {
  #rebase: Rebase | undefined;
  #converters = new WeakMap<Segment, Converter>();
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
        events.push({ seq, type, op, unified, json: unifiedJson(unified) });
      }
    }
    return events;
  }

  #converterOf(block: EventBlock): Converter {
    const { segment } = block as Partial<Block>;
    if (segment === undefined) throw new Error('rows of no segment have no origin');
    let converter = this.#converters.get(segment);
    if (converter === undefined) {
      const { recording, host, boot_id } = segment.header;
      const origin = { recording, host, boot_id, tsOffset: segment.tsOffset };
      const rebase = this.#rebase;
      const processOf = processesOf(segment);
      converter = new Converter(origin, { processOf, ...(rebase !== undefined && { rebase }) });
      this.#converters.set(segment, converter);
    }
    return converter;
  }
}
