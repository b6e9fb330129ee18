// A store as large as a question is worth asking: segments of full batches of file events, with values as various
// as those of a host, made column by column.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { EVENT_TABLES } from '../../schemas/arrow.ts';
import type { ColumnBuffers } from '../../src/segment/arrow-file.ts';
import { columnOf } from '../../src/segment/columns.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { random } from './batches.ts';
import { HEADER, pointAt } from './segments.ts';

/** Rows of a full batch. */
export const FULL_ROWS = 65_536;
const TS0 = 1_795_000_000_000_000_000n;
/** Between two rows, ns; less than that is by chance. */
const STEP = 10_000n;
const PROCESSES = 300;
/** Different paths of a batch, and how many of them no batch before has. */
const PATHS = 3_000;
const NEW_PATHS = 1_500;
const COMMS = [
  'nginx',
  'postgres',
  'python3',
  'node',
  'sshd',
  'cc1',
  'make',
  'bash',
  'git',
  'etcd',
];
const OPS = ['open', 'read', 'write'];

export interface LargeStoreOptions {
  readonly segments: number;
  /** Of each segment. */
  readonly batches: number;
  readonly seed: number;
}

type Values = Uint16Array | Uint32Array | Int32Array | BigUint64Array | BigInt64Array;

const bytesOf = ({ buffer, byteOffset, byteLength }: Values): Uint8Array =>
  new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);

const filled = (value: number): Uint32Array => new Uint32Array(FULL_ROWS).fill(value);

/** Numbers of 64 bits from those of 32. */
function wide(values: (row: number) => number): BigUint64Array {
  const out = new BigUint64Array(FULL_ROWS);
  const halves = new Uint32Array(out.buffer);
  for (let row = 0; row < FULL_ROWS; row++) halves[2 * row] = values(row);
  return out;
}

/** The path of a number. */
export const pathOf = (number: number): string =>
  `/srv/${number % 37}/data/${((number * 0x9e3779b1) >>> 0).toString(16)}/file-${number}.log`;

export class LargeStore {
  readonly store: string;
  readonly rows: number;
  readonly #options: LargeStoreOptions;
  readonly #random: () => number;
  /** By the index of their column, for one segment: the strings that it has already. */
  readonly #dictionaries = new Map<number, Map<string, number>>();

  /** Writes it into `directory`. Rows of `marked` have this path, and no others have. */
  constructor(
    directory: string,
    options: LargeStoreOptions,
    marked: { readonly path: string; readonly rows: readonly number[] },
  ) {
    this.store = join(directory, 'store');
    this.rows = options.segments * options.batches * FULL_ROWS;
    this.#options = options;
    this.#random = random(options.seed);
    this.#write(marked);
  }

  /** The time of a row: rows are numbered from 0, and a row's seq is one more. */
  tsOf(row: number): bigint {
    // A scattered part of less than a step, from the number alone.
    return TS0 + BigInt(row) * STEP + BigInt(((row * 0x85ebca6b) >>> 0) % Number(STEP));
  }

  #write(marked: { readonly path: string; readonly rows: readonly number[] }): void {
    const directory = join(this.store, 'segments');
    mkdirSync(directory, { recursive: true });
    let before: ReturnType<typeof pointAt> | null = null;
    for (let segment = 0; segment < this.#options.segments; segment++) {
      const name = `20261118T000000.000Z-${String(segment + 1).padStart(7, '0')}`;
      const writer = SegmentWriter.create(diskFiles, directory, name, HEADER, before);
      this.#dictionaries.clear();
      for (let i = 0; i < this.#options.batches; i++) {
        const batch = segment * this.#options.batches + i;
        const first = batch * FULL_ROWS;
        const paths = this.#paths(batch);
        for (const row of marked.rows) {
          if (row >= first && row < first + FULL_ROWS) paths[row - first] = marked.path;
        }
        this.#append(writer, first, paths);
        before = pointAt(BigInt(first + FULL_ROWS));
        writer.commit(before);
      }
      writer.seal();
    }
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  /** Small numbers far more often than large ones. */
  #skewed(limit: number): number {
    return Math.floor(limit ** this.#random()) - 1;
  }

  #paths(batch: number): string[] {
    const known = Array.from({ length: PATHS }, (_, i) => pathOf(batch * NEW_PATHS + i));
    return Array.from({ length: FULL_ROWS }, () => known[this.#below(PATHS)] as string);
  }

  #append(writer: SegmentWriter, first: number, paths: readonly string[]): void {
    const processes = Uint32Array.from({ length: FULL_ROWS }, () => this.#skewed(PROCESSES));
    const process = (row: number): number => processes[row] as number;
    const latency = wide(() => 500 + this.#skewed(5_000_000));
    const moved = wide(() => this.#skewed(65_536));
    const news: { column: number; values: string[] }[] = [];
    const dictionary = (name: string, text: (row: number) => string): Uint16Array | Int32Array => {
      const { known, fresh } = this.#interned(name, text);
      if (fresh.length > 0) news.push({ column: columnIndexOf(name), values: fresh });
      return known;
    };
    const values: Readonly<Record<string, Values>> = {
      seq: BigUint64Array.from({ length: FULL_ROWS }, (_, row) => BigInt(first + row + 1)),
      ts: BigInt64Array.from({ length: FULL_ROWS }, (_, row) => this.tsOf(first + row)),
      cpu: Uint16Array.from({ length: FULL_ROWS }, () => this.#below(8)),
      op: dictionary('op', () => OPS[this.#skewed(OPS.length)] as string),
      pid: processes.map((number) => 1000 + number),
      pstart: wide((row) => process(row) * 7_919_000),
      tid: processes.map((number) => 1000 + number + this.#below(4)),
      ppid: processes.map((number) => 1 + (number >> 3)),
      uid: processes.map((number) => (number % 5 === 0 ? 0 : 1000)),
      gid: processes.map((number) => (number % 5 === 0 ? 0 : 1000)),
      comm: dictionary('comm', (row) => COMMS[process(row) % COMMS.length] as string),
      cgroup_id: wide((row) => 1 + (process(row) % 40)),
      kstack_id: new BigUint64Array(FULL_ROWS),
      ustack_id: new BigUint64Array(FULL_ROWS),
      weight: filled(1),
      flags: new Uint16Array(FULL_ROWS),
      path: dictionary('path', (row) => paths[row] as string),
      fd: Int32Array.from({ length: FULL_ROWS }, () => 3 + this.#skewed(60)),
      inode: wide((row) => 100_000 + (paths[row]?.length ?? 0) * 977 + this.#skewed(50_000)),
      device: wide(() => 0xfe00),
      bytes: moved,
      ret: new BigInt64Array(moved.buffer),
      latency_ns: latency,
    };
    const columns = EVENT_TABLES.file.columns.map(({ name, type, nullable }) =>
      columnBuffers(values[name], nullable, type === 'u32' || type === 'text' ? 4 : 8),
    );
    writer.appendColumns('file', columns, news, {
      rows: FULL_ROWS,
      firstSeq: BigInt(first + 1),
      lastSeq: BigInt(first + FULL_ROWS),
      firstTs: this.tsOf(first),
      lastTs: this.tsOf(first + FULL_ROWS - 1),
    });
  }

  #interned(
    name: string,
    text: (row: number) => string,
  ): { known: Uint16Array | Int32Array; fresh: string[] } {
    const column = columnIndexOf(name);
    const strings = this.#dictionaries.get(column) ?? new Map<string, number>();
    this.#dictionaries.set(column, strings);
    const isName = EVENT_TABLES.file.columns[column]?.type === 'name';
    const known = isName ? new Uint16Array(FULL_ROWS) : new Int32Array(FULL_ROWS);
    const fresh: string[] = [];
    for (let row = 0; row < FULL_ROWS; row++) {
      const value = text(row);
      let index = strings.get(value);
      if (index === undefined) {
        index = strings.size;
        strings.set(value, index);
        fresh.push(value);
      }
      known[row] = index;
    }
    return { known, fresh };
  }
}

const columnIndexOf = (name: string): number =>
  EVENT_TABLES.file.columns.findIndex((column) => column.name === name);

/** A column without nulls; without values, one that is null in every row, each of so many bytes. */
function columnBuffers(
  values: Values | undefined,
  nullable: boolean,
  width: number,
): ColumnBuffers {
  const validity = new Uint8Array(nullable ? FULL_ROWS >> 3 : 0);
  if (values !== undefined) return columnOf(FULL_ROWS, [validity.fill(0xff), bytesOf(values)]);
  return columnOf(FULL_ROWS, [validity, new Uint8Array(FULL_ROWS * width)]);
}
