// A segment's files in parts, for who takes them elsewhere: byte for byte, of one that is open as far as it is committed.

import { type FileHandle, open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { systemCode, TapioError } from '../errors.ts';
import { lengthIn, readCommits } from '../segment/commits.ts';
import { committedFiles } from '../segment/damage.ts';
import { COMMITS_FILE, OPEN_PREFIX } from '../segment/file-names.ts';
import { segmentDirectories } from '../segment/store.ts';

export interface FilePart {
  readonly file: string;
  readonly data: Buffer;
}

/** Small enough for any client's limit. */
const PART_BYTES = 1 << 20;
/** A segment may be sealed as it is opened, which takes its files away. */
const TRIES = 10;

interface OpenFile {
  readonly file: string;
  readonly length: number;
  readonly handle: FileHandle;
}

const missing = (name: string): TapioError =>
  new TapioError('segment_missing', `there is no segment ${name}: list them, the oldest may go`);

function directoryOf(store: string, name: string): string {
  const found = segmentDirectories(store).find(
    (directory) => basename(directory).replace(OPEN_PREFIX, '') === name,
  );
  if (found === undefined) throw missing(name);
  return found;
}

/** Opens all of them, so that they are those of one moment. */
async function openAll(directory: string): Promise<OpenFile[]> {
  const commits = readCommits(directory);
  if (commits === null) return [];
  const { last, sealed, ends, bytes } = commits;
  const lengths = [
    ...committedFiles(commits).map((file) => [file, lengthIn(last?.files[file])] as const),
    [COMMITS_FILE, sealed ? bytes : (ends.at(-1) ?? 0)] as const,
  ];
  const opened: OpenFile[] = [];
  try {
    for (const [file, length] of lengths) {
      opened.push({ file, length, handle: await open(join(directory, file), 'r') });
    }
    return opened;
  } catch (error) {
    for (const { handle } of opened) await handle.close();
    throw error;
  }
}

async function opened(store: string, name: string): Promise<OpenFile[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openAll(directoryOf(store, name));
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
      if (attempt === TRIES) throw missing(name);
    }
  }
}

/** The files of a segment, each in parts that follow one another. Throws TapioError('segment_missing'). */
export async function* segmentParts(store: string, name: string): AsyncGenerator<FilePart> {
  const files = await opened(store, name);
  try {
    for (const { file, length, handle } of files) {
      for (let at = 0; at < length; ) {
        const data = Buffer.allocUnsafe(Math.min(PART_BYTES, length - at));
        const { bytesRead } = await handle.read(data, 0, data.length, at);
        // What is damaged is sent as it is: who reads it sees that it is.
        if (bytesRead === 0) break;
        yield { file, data: data.subarray(0, bytesRead) };
        at += bytesRead;
      }
    }
  } finally {
    for (const { handle } of files) await handle.close();
  }
}
