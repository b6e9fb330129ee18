// Segments of a server in a directory of our own, for what needs more than rows. What a server calls its files is not
// believed: there are only so many names, and as many bytes as it said.

import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EVENT_TYPES } from '../../schemas/arrow.ts';
import { systemCode, TapioError } from '../errors.ts';
import type { Window } from '../query/time.ts';
import {
  COMMITS_FILE,
  INDEX_FILE,
  LOGS,
  LOSSES_FILE,
  OPEN_PREFIX,
  PROCESSES_FILE,
  SOCKETS_FILE,
} from '../segment/file-names.ts';
import { segmentsOf } from '../segment/store.ts';
import type { Connection } from './connection.ts';
import { type HeldSegment, listSegments } from './segments.ts';

interface FilePart {
  readonly file?: string;
  readonly data?: Buffer;
}

const FILES: ReadonlySet<string> = new Set([
  ...EVENT_TYPES.map((type) => `${type}.arrow`),
  ...[COMMITS_FILE, INDEX_FILE, LOSSES_FILE, PROCESSES_FILE, SOCKETS_FILE, ...LOGS],
]);
const NAME = /^[0-9A-Za-z][0-9A-Za-z._-]{0,99}$/;
/** A segment that is open grows meanwhile. */
const GROWTH_BYTES = 1 << 30;

function refused(): TapioError {
  return new TapioError(
    'io',
    'the server sent a segment as no recorder has one: check that --server names one',
  );
}

function unwritable(error: unknown): TapioError {
  return new TapioError(
    'io',
    `segments cannot be kept in ${tmpdir()} while they are read (${systemCode(error) ?? 'error'}): make room, or name another directory with TMPDIR`,
    { cause: error },
  );
}

/**
 * Segments of a window. The ones beside it go along, for what is known at the end of one is told by the next, and those
 * without rows, which may tell of losses.
 */
export function segmentsFor(
  segments: readonly HeldSegment[],
  { since, until }: Window,
): readonly HeldSegment[] {
  const isIn = ({ time }: HeldSegment): boolean =>
    time === null ||
    ((since === null || time.last >= since) && (until === null || time.first < until));
  return segments.filter((one, at) => {
    const beside = [segments[at - 1], one, segments[at + 1]];
    return beside.some((other) => other !== undefined && isIn(other));
  });
}

/** Fetches a segment into `directory`, which is to hold segments; gives whether it was still there. */
async function fetchSegment(
  connection: Connection,
  { name, bytes: told }: HeldSegment,
  directory: string,
  onPart: (bytes: number) => void,
): Promise<boolean> {
  if (!NAME.test(name)) throw refused();
  // Whether it is sealed is known when all of it is there: it may be sealed meanwhile.
  const parts = connection.messages<FilePart>('FetchSegment', { name });
  const files = new Map<string, number>();
  const temporary = join(directory, `.part-${name}`);
  mkdirSync(temporary);
  let left = told + GROWTH_BYTES;
  try {
    for await (const { file = '', data = Buffer.alloc(0) } of parts) {
      left -= data.length;
      if (!FILES.has(file) || left < 0) throw refused();
      const to = files.get(file) ?? openSync(join(temporary, file), 'wx', 0o600);
      files.set(file, to);
      for (let at = 0; at < data.length; ) at += writeSync(to, data, at);
      onPart(data.length);
    }
  } catch (error) {
    if (error instanceof TapioError && error.code === 'store_missing') return false;
    throw systemCode(error) === undefined || error instanceof TapioError
      ? error
      : unwritable(error);
  } finally {
    for (const to of files.values()) closeSync(to);
  }
  const isOpen = LOGS.some((log) => files.has(log));
  renameSync(temporary, join(directory, `${isOpen ? OPEN_PREFIX : ''}${name}`));
  return true;
}

/** A copy of what a server holds. */
export class Mirror {
  /** A store. */
  readonly path: string;
  /** What cannot be had, in sentences. */
  readonly notes: string[] = [];

  private constructor(path: string) {
    this.path = path;
  }

  /** Makes an empty one, which nobody else can read. */
  static open(): Mirror {
    try {
      const path = mkdtempSync(join(tmpdir(), 'tapio-replay-'));
      mkdirSync(segmentsOf(path), 0o700);
      return new Mirror(path);
    } catch (error) {
      throw unwritable(error);
    }
  }

  /** Removes it; more than once does no harm. */
  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  /**
   * Fetches what a server holds of a window; `onBytes` hears how many bytes there are, and of how many. Gives what came.
   * Throws TapioError with a sentence.
   */
  async fetch(
    connection: Connection,
    window: Window,
    onBytes: (bytes: number, total: number) => void,
  ): Promise<{ readonly segments: number; readonly bytes: number }> {
    const { segments, problems } = await listSegments(connection).catch(async (error: unknown) => {
      throw await whyNot(connection, error);
    });
    this.notes.push(...problems.map((problem) => `incomplete: ${problem}`));
    const wanted = segmentsFor(segments, window);
    const total = wanted.reduce((sum, { bytes }) => sum + bytes, 0);
    const come = { segments: 0, bytes: 0 };
    const onPart = (more: number): void => {
      come.bytes += more;
      onBytes(come.bytes, total);
    };
    for (const segment of wanted) {
      if (await fetchSegment(connection, segment, segmentsOf(this.path), onPart)) come.segments++;
      else this.notes.push(`${segment.name} went before it could be fetched`);
    }
    return come;
  }
}

/** What is to be done by those who may see rows, but not everything. */
async function whyNot(connection: Connection, error: unknown): Promise<unknown> {
  if (!(error instanceof TapioError) || error.code !== 'not_permitted') return error;
  try {
    await connection.askBytes('QueryRawEvents', { page_size: 1 });
  } catch {
    return error;
  }
  return new TapioError(
    'not_permitted',
    `${error.message}; this command reads whole segments, which are for those who may see everything: query (without --children), tail, play and stats are answered with rows alone`,
    { cause: error },
  );
}
