// Rows as events that go onward.

import type { EventType } from '../../schemas/arrow.ts';
import type { EventBlock, EventRun, RowOrigin } from '../event/stream.ts';
import { FRAME_BYTES, RawEventEncoder } from '../raw/encoder.ts';
import { Converter, columnsOf, type Rebase } from '../unified/convert.ts';
import { parseUnified, type Severity, type UnifiedEvent } from '../unified/event.ts';
import { meaningOf, TYPES } from '../unified/mapping.ts';
import { take, written } from '../unified/text.ts';
import type { EventHead, OnwardEvent } from './sink.ts';

/** What every event's text begins with: an id, and after it a time up to the next quote. */
const ID_AT = '{"id":"'.length;
const ID_END = ID_AT + 32;
const TIME_AT = ID_END + '","timestamp":"'.length;
const QUOTE = 0x22;

/** Few sinks want more of an event than its text: the rest is made of that when it is asked for. */
class OnwardRow implements OnwardEvent {
  readonly seq: bigint;
  readonly ts: bigint;
  readonly type: EventType;
  readonly op: string;
  readonly json: Buffer;
  readonly severity: Severity;
  #unified: UnifiedEvent | null = null;

  constructor({ seq, ts, type, op, severity }: Written, json: Buffer) {
    this.seq = seq;
    this.ts = ts;
    this.type = type;
    this.op = op;
    this.severity = severity;
    this.json = json;
  }

  get head(): EventHead {
    const { json, type, op, severity } = this;
    const { intent, category } = meaningOf(type, op) ?? {};
    return {
      id: json.toString('latin1', ID_AT, ID_END),
      timestamp: json.toString('latin1', TIME_AT, json.indexOf(QUOTE, TIME_AT)),
      type: TYPES[type],
      source: 'ebpf',
      severity,
      semantic: { intent, category },
    };
  }

  get unified(): UnifiedEvent {
    this.#unified ??= parseUnified(this.json.toString());
    return this.#unified;
  }
}

/** An event that is written but not taken yet. */
interface Written {
  readonly seq: bigint;
  readonly ts: bigint;
  readonly type: EventType;
  readonly op: string;
  readonly severity: Severity;
  readonly from: number;
  readonly to: number;
}

export interface OnwardOptions {
  /** Whether events hold their rows as well, as RawEvent messages; absent: they do not. */
  readonly raw?: boolean;
}

/** Converts runs of rows, whatever recordings they are of. */
export class Onward {
  readonly #raw: RawEventEncoder | null;
  #rebase: Rebase | undefined;
  /** By origin, then by the distance of ts and ktime, which a clock that is set changes. */
  #converters = new WeakMap<RowOrigin, Map<bigint, Converter>>();
  /** Rows of ops that the mapping does not know, by type and op. */
  readonly unknown = new Map<string, number>();

  constructor({ raw = false }: OnwardOptions = {}) {
    this.#raw = raw ? new RawEventEncoder() : null;
  }

  /**
   * From here on rows are shifted, and their ids are others; undefined: they are as they were. The row that an event holds
   * stays as it was.
   */
  rebase(rebase: Rebase | undefined): void {
    this.#rebase = rebase;
    this.#converters = new WeakMap();
  }

  /** Columns that are wanted of a type. */
  columns(type: EventType): string[] {
    return [...new Set([...columnsOf(type), ...(this.#raw?.columns(type) ?? [])])];
  }

  /** The events of these rows, in order. */
  events(runs: readonly EventRun[]): OnwardEvent[] {
    const events: Written[] = [];
    const raw = this.#raw?.encode(runs);
    let [number, rawFrom] = [0, 0];
    for (const { block, from, to } of runs) {
      const { type, columns } = block;
      const converter = this.#converterOf(block);
      const [seqs, times, ops] = ['seq', 'ts', 'op'].map((name) => columns.get(name));
      for (let row = from; row < to; row++) {
        const op = String(ops?.get(row));
        const begun = written();
        const severity = converter.write(type, columns, row);
        const rawTo = raw?.ends[number++] ?? 0;
        const message = rawFrom + FRAME_BYTES;
        rawFrom = rawTo;
        if (severity === null) {
          const name = `${type}.${op}`;
          this.unknown.set(name, (this.unknown.get(name) ?? 0) + 1);
          continue;
        }
        if (raw !== undefined) converter.addRaw(raw.bytes, message, rawTo);
        const seq = seqs?.get(row) as bigint;
        const ts = times?.get(row) as bigint;
        events.push({ seq, ts, type, op, severity, from: begun, to: written() });
      }
    }
    const texts = take();
    return events.map((event) => new OnwardRow(event, texts.subarray(event.from, event.to)));
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
