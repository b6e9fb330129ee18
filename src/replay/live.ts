// Rows of the live ring as runs of a stream.

import { closeSync, constants, openSync } from 'node:fs';
import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { EVENTS } from '../../schemas/events.ts';
import { TapioError } from '../errors.ts';
import type { EventBlock, EventRun, RowOrigin } from '../event/stream.ts';
import { interleave } from '../query/order.ts';
import { windowed } from '../query/scanner.ts';
import { predicateOf, type Selection } from '../query/select.ts';
import { EncodedBlock } from '../raw/encoded.ts';
import { recordLayouts } from '../raw/encoder.ts';
import { Strings } from '../segment/strings.ts';
import { buffersIn, vectorsOf } from '../segment/vectors.ts';
import { liveNative } from '../source/binding.ts';
import type { LiveBlock, LiveChunk, NativeLiveReader } from '../source/live.ts';
import type { ScanTable } from '../source/scan.ts';

type Columns = (type: EventType) => readonly string[];

/** Matching rows that follow one another, and up to where the ring was read for them. */
export interface LiveRows {
  readonly through: bigint;
  /** See LiveChunk. */
  readonly gapUntil: bigint;
  readonly newest: bigint;
  readonly runs: readonly EventRun[];
}

/**
 * What a reader had before: where a recorder goes on behind it, rows come again under the same seq, or others
 * take their place.
 */
export interface Seen {
  readonly seq: bigint;
  readonly ktime: bigint;
}

const KTIME = { name: 'ktime', type: 'u64', nullable: false } as const;
const TYPES = new Map(EVENT_TYPES.map((type) => [EVENTS[type].id as number, type]));

function tableOf(type: EventType, selection: Selection, columns: Columns): ScanTable {
  const own = EVENT_TABLES[type].columns;
  const wanted = new Set(['seq', 'ts', ...columns(type)]);
  const { since, until } = selection;
  const predicate = predicateOf(selection, type, '');
  return {
    // In the files ktime is ts less an offset; a raw record has it.
    columns: [...own, KTIME],
    predicate: since === null && until === null ? predicate : windowed(selection, predicate),
    windowed: { kind: 'true' },
    output: own.flatMap(({ name }, i) => (wanted.has(name) ? [i] : [])),
    groups: null,
  };
}

/** Reads a ring from where it is as this is made. */
export class LiveRingReader {
  readonly #reader: NativeLiveReader;
  readonly #origin: RowOrigin;
  readonly #columns: Columns;

  /**
   * `path` and `origin` are what the recorder says. With `asMessages` rows come in blocks that have no columns, but are encoded
   * already. Throws TapioError where it cannot be read.
   */
  constructor(
    path: string,
    origin: RowOrigin,
    selection: Selection,
    columns: Columns,
    seen: Seen,
    asMessages = false,
  ) {
    this.#origin = origin;
    this.#columns = columns;
    const tables: (ScanTable | null)[] = [null];
    for (const type of EVENT_TYPES) {
      const wanted = selection.types.includes(type);
      tables[EVENTS[type].id] = wanted ? tableOf(type, selection, columns) : null;
    }
    let fd: number | null = null;
    try {
      fd = openSync(path, constants.O_RDONLY);
      const layouts = asMessages ? [recordLayouts(columns)] : [];
      this.#reader = new (liveNative().LiveReader)(fd, tables, seen.seq, seen.ktime, ...layouts);
    } catch (error) {
      throw new TapioError(
        'io',
        `the recorder’s live ring cannot be read (${(error as Error).message}): follow as root, with the same version`,
        { cause: error },
      );
    } finally {
      if (fd !== null) closeSync(fd);
    }
  }

  /** True once every row that gets its seq from then on will come. */
  get attached(): boolean {
    return this.#reader.attached();
  }

  /** Rows after a seq. */
  read(after: bigint): LiveRows {
    const chunk = this.#reader.read(after);
    const { through, gapUntil, newest, blocks } = chunk;
    if (chunk.messages !== undefined) {
      const block = new EncodedBlock(this.#origin, chunk.messages);
      const to = chunk.messages.ends.length;
      return { through, gapUntil, newest, runs: to === 0 ? [] : [{ block, from: 0, to }] };
    }
    const runs = interleave(blocks.map((block) => this.#blockOf(block, chunk)));
    return { through, gapUntil, newest, runs };
  }

  close(): void {
    this.#reader.close();
  }

  #blockOf({ type: id, rows, regions, strings, memory }: LiveBlock, chunk: LiveChunk): EventBlock {
    const type = TYPES.get(id) as EventType;
    const wanted = new Set(['seq', 'ts', ...this.#columns(type)]);
    const specs = EVENT_TABLES[type].columns.filter(({ name }) => wanted.has(name));
    const texts = new Map<string, Strings>();
    for (const [i, { name }] of specs.entries()) {
      const [offsetsAt = 0, offsetsBytes = 0, dataAt = 0, dataBytes = 0] = strings.subarray(i * 4);
      if (offsetsBytes === 0) continue;
      const offsets = new Int32Array(memory, offsetsAt, offsetsBytes >> 2);
      texts.set(name, new Strings({ offsets, data: new Uint8Array(memory, dataAt, dataBytes) }));
    }
    const columns = vectorsOf(specs, rows, buffersIn(specs, regions, memory), texts);
    return { type, origin: this.#origin, tsOffset: chunk.tsOffset, columns };
  }
}
