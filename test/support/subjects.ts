// Stores in memory, to be written with changes and held against what was recorded.

import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type RecordBatch as Header, Message } from 'apache-arrow/ipc/metadata/message';
import { EVENT_TABLES } from '../../schemas/arrow.ts';
import type { BatchPlace } from '../../src/segment/arrow-file.ts';
import { type Commits, readCommits } from '../../src/segment/commits.ts';
import { Segment } from '../../src/segment/reader.ts';
import { directoriesOf, type Files } from './mutations.ts';
import type { RecordedRow } from './recorded.ts';

export interface Range {
  readonly from: number;
  readonly to: number;
}

/** What a segment directory was as it was recorded. */
export interface SubjectSegment {
  readonly recording: string;
  readonly open: boolean;
  readonly commits: Commits;
  /** Where zstd frames lie in the record batches of a file: they carry checksums of their own. */
  readonly frames: ReadonlyMap<string, readonly Range[]>;
  readonly processes: unknown;
  readonly losses: unknown;
}

/** A store, or one segment directory, with all that is in it. */
export interface Subject {
  readonly name: string;
  readonly kind: 'store' | 'segment';
  readonly files: Files;
  readonly segments: ReadonlyMap<string, SubjectSegment>;
  /** By recording, then seq. */
  readonly rows: ReadonlyMap<string, ReadonlyMap<bigint, RecordedRow>>;
  /** Rows that stand in it and were never committed. */
  readonly uncommitted: ReadonlyMap<string, ReadonlyMap<bigint, RecordedRow>>;
  readonly places: ReadonlyMap<string, readonly BatchPlace[]>;
  readonly middle: readonly string[];
}

function framesOf(bytes: Buffer, places: readonly BatchPlace[]): Range[] {
  return places.flatMap(({ offset, metadataLength }) => {
    const message = Message.decode(bytes.subarray(offset + 8, offset + metadataLength));
    return (message.header() as Header).buffers.flatMap((region) => {
      const from = offset + metadataLength + region.offset;
      const raw = region.length < 8 || bytes.readBigInt64LE(from) < 0n;
      return raw ? [] : [{ from: from + 8, to: from + region.length }];
    });
  });
}

/** The rows of a segment, as its reader gives them. */
function rowsOf(segment: Segment): [bigint, RecordedRow][] {
  return segment.types().flatMap((type) => {
    const names = EVENT_TABLES[type].columns.map(({ name }) => name);
    return segment.batches(type).flatMap((info) => {
      const columns = segment.read(info, names);
      return Array.from({ length: info.rows }, (_, row): [bigint, RecordedRow] => {
        const cells = names.map((name) => columns.get(name)?.get(row) ?? null);
        return [cells[0] as bigint, { type, cells }];
      });
    });
  });
}

/** Takes in segment directories. Whether their rows are right is for others to check. */
export function subjectOf(
  name: string,
  kind: Subject['kind'],
  directories: readonly string[],
  uncommitted: Subject['uncommitted'] = new Map(),
): Subject {
  const files: Files = new Map();
  const places = new Map<string, readonly BatchPlace[]>();
  const rows = new Map<string, Map<bigint, RecordedRow>>();
  const segments = new Map<string, SubjectSegment>();
  for (const path of directories) {
    const directory = basename(path);
    for (const file of readdirSync(path)) {
      files.set(`${directory}/${file}`, readFileSync(join(path, file)));
    }
    const segment = new Segment(path);
    const commits = readCommits(path);
    if (commits === null) throw new Error(`${path} has no commits`);
    const frames = new Map<string, readonly Range[]>();
    for (const type of segment.types()) {
      const file = `${directory}/${type}.arrow`;
      const found = segment.batches(type);
      places.set(file, found);
      frames.set(file, framesOf(files.get(file) ?? Buffer.alloc(0), found));
    }
    const { recording } = segment.header;
    rows.set(recording, new Map([...(rows.get(recording) ?? []), ...rowsOf(segment)]));
    segments.set(directory, {
      recording,
      open: !segment.sealed,
      commits,
      frames,
      processes: segment.processes(),
      losses: segment.losses(),
    });
    if (segment.problems.length > 0) throw new Error(`${path}: ${segment.problems[0]?.text}`);
    segment.close();
  }
  const recordings = [...segments].map(([directory, { recording }]) => ({ directory, recording }));
  const middle = recordings
    .filter(({ recording }, i) =>
      [recordings[i - 1], recordings[i + 1]].every((one) => one?.recording === recording),
    )
    .map(({ directory }) => directory);
  return { name, kind, files, segments, rows, uncommitted, places, middle };
}

/** The state of a directory that is written again and again with small differences. */
export class Workspace {
  readonly #root: string;
  #written: Files = new Map();

  constructor(root: string) {
    this.#root = root;
  }

  /** Makes the directory hold these files and no others; gives what is to be opened. */
  write(kind: Subject['kind'], files: Files): string {
    const base = join(this.#root, 'segments');
    const at = kind === 'store' ? base : join(this.#root, 'alone');
    mkdirSync(base, { recursive: true });
    const wanted = new Map([...files].map(([path, bytes]) => [join(at, path), bytes]));
    for (const [path, bytes] of this.#written) {
      if (wanted.get(path) === bytes) continue;
      rmSync(path);
      const directory = dirname(path);
      if (readdirSync(directory).length === 0) rmdirSync(directory);
    }
    for (const [path, bytes] of wanted) {
      if (this.#written.get(path) === bytes) continue;
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
    }
    this.#written = wanted;
    const [only = ''] = directoriesOf(files);
    return kind === 'store' ? this.#root : join(at, only);
  }

  /** Where a directory of the store, or the one segment, lies. */
  pathOf(directory: string): string {
    const path = [...this.#written.keys()].find((one) => basename(dirname(one)) === directory);
    return path === undefined ? join(this.#root, 'segments', directory) : dirname(path);
  }
}

/** Whether two ranges of bytes are the same. */
export function sameBytes(a: Buffer | undefined, b: Buffer | undefined, length: number): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length >= length && a.subarray(0, length).equals(b.subarray(0, length));
}
