// Reads everything that a segment holds and tells what is not as it was written.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EVENT_TABLES } from '../../schemas/arrow.ts';
import { TapioError } from '../errors.ts';
import type { Commits } from './commits.ts';
import {
  committedFiles,
  committedRanges,
  type Damage,
  damageOfFile,
  damageText,
} from './damage.ts';
import { COMMITS_FILE, DICTIONARY_LOG } from './file-names.ts';
import { Segment } from './reader.ts';

/** What the verification of a segment came to. */
export interface Verified {
  readonly segment: string;
  readonly state: 'sealed' | 'open';
  /** Read and held against checksums. */
  readonly bytes: number;
  readonly rows: number;
  readonly damage: readonly Damage[];
}

type OnBytes = (bytes: number) => void;

/** Verifies a segment directory. `onBytes` is told of each piece that was read. */
export function verifySegment(directory: string, onBytes: OnBytes = () => {}): Verified {
  let segment: Segment;
  try {
    segment = new Segment(directory);
  } catch (error) {
    if (!(error instanceof TapioError) || error.code === 'store_newer') throw error;
    const name = directory.split('/').at(-1) ?? directory;
    const damage: Damage = {
      file: COMMITS_FILE,
      from: 0,
      to: 0,
      reason: 'content',
      detail: error.message,
    };
    return { segment: name, state: 'sealed', bytes: 0, rows: 0, damage: [damage] };
  }
  let bytes = 0;
  const count: OnBytes = (n) => {
    bytes += n;
    onBytes(n);
  };
  try {
    const { commits } = segment;
    const damage =
      commits === null
        ? [lostCommits(segment), ...damageOfContent(segment, count)]
        : [...damageOfLines(directory, commits), ...damageOfFiles(directory, commits, count)];
    const types = segment.types();
    return {
      segment: segment.name,
      state: segment.sealed ? 'sealed' : 'open',
      bytes,
      rows: types.reduce((sum, type) => sum + segment.rows(type), 0),
      damage,
    };
  } finally {
    segment.close();
  }
}

function lostCommits({ problems }: Segment): Damage {
  const detail = problems[0]?.text ?? 'is missing';
  return { file: COMMITS_FILE, from: 0, to: 0, reason: 'commits', detail };
}

// The torn tail of an open segment is what a crash leaves, and no damage: nobody was promised it.
function damageOfLines(directory: string, commits: Commits): Damage[] {
  if (!commits.damaged) return [];
  if (commits.sealed && existsSync(join(directory, DICTIONARY_LOG))) return [];
  const detail = 'some of its lines are missing or damaged';
  return [{ file: COMMITS_FILE, from: 0, to: commits.bytes, reason: 'commits', detail }];
}

function damageOfFiles(directory: string, commits: Commits, onBytes: OnBytes): Damage[] {
  return committedFiles(commits).flatMap((file) =>
    damageOfFile(directory, file, committedRanges(commits, file), onBytes),
  );
}

/** Without commit lines: whether everything can be decoded. */
function damageOfContent(segment: Segment, onBytes: OnBytes): Damage[] {
  const found: Damage[] = [];
  for (const type of segment.types()) {
    const columns = EVENT_TABLES[type].columns.map(({ name }) => name);
    for (const info of segment.batches(type)) {
      try {
        segment.read(info, columns);
      } catch (error) {
        segment.leaveOut(info, error);
      }
      onBytes(info.metadataLength + info.bodyLength);
    }
  }
  segment.losses();
  segment.processes();
  segment.sockets();
  for (const { text } of segment.problems.slice(1)) {
    found.push({ file: '', from: 0, to: 0, reason: 'content', detail: text });
  }
  return found;
}

/** A damage as a sentence that names its place. */
export function damageSentence({ segment }: Verified, damage: Damage): string {
  const place = damage.file === '' ? segment : `${segment}/${damage.file}`;
  return `${place}: ${damageText(damage)}`;
}
