// A sealed segment as it is: its files are copied, and the copy is held against its commit lines.

import { basename, join } from 'node:path';
import { committedFiles } from '../segment/damage.ts';
import { COMMITS_FILE } from '../segment/file-names.ts';
import type { StoreFiles } from '../segment/files.ts';
import type { Segment } from '../segment/reader.ts';
import { verifySegment } from '../segment/verify.ts';

/**
 * Copies a sealed segment to `directory`; false where it is damaged or has gone meanwhile: then nothing of it
 * is left there.
 */
export function copySegment(files: StoreFiles, segment: Segment, directory: string): boolean {
  const { commits } = segment;
  if (commits === null || !segment.sealed) return false;
  files.makeDirectory(directory);
  try {
    for (const file of [...committedFiles(commits), COMMITS_FILE]) {
      files.copy(join(segment.directory, file), join(directory, basename(file)));
    }
    files.syncDirectory(directory);
    if (verifySegment(directory).damage.length === 0) return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  files.remove(directory);
  return false;
}
