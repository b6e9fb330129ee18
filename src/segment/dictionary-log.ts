// dictionary.log: the values of dictionary columns while a segment is open, one JSON object a line.
// Its bytes are covered by the commit lines, like those of every other file.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EventType } from '../../schemas/arrow.ts';
import { crc32c, crcText } from './crc32c.ts';
import { type CommittedRange, damagedError, damageText } from './damage.ts';
import { DICTIONARY_LOG } from './file-names.ts';

/** Values that a column met for the first time; `from` is the index of the first. */
export interface DictionaryEntry {
  readonly file: EventType;
  readonly column: string;
  readonly from: number;
  readonly values: readonly string[];
}

/** Values by column name, in index order, for each type. */
export type Dictionaries = Map<EventType, Map<string, string[]>>;

/** One line of the log. */
export function dictionaryLine(entry: DictionaryEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

/**
 * Reads the log of an open segment as far as it was committed, or without ranges as far as its lines are
 * whole. Throws TapioError where its bytes are not those committed: an index would get another string.
 */
export function readDictionaryLog(
  directory: string,
  ranges: readonly CommittedRange[] | null,
): Dictionaries {
  const path = join(directory, DICTIONARY_LOG);
  const bytes = readFileSync(path);
  for (const { from, to, crc } of ranges ?? []) {
    if (bytes.length < to) {
      const short = { file: DICTIONARY_LOG, from: bytes.length, to, reason: 'short' as const };
      throw damagedError(path, damageText(short));
    }
    if (crcText(crc32c(bytes.subarray(from, to))) !== crc) {
      const wrong = { file: DICTIONARY_LOG, from, to, reason: 'checksum' as const };
      throw damagedError(path, damageText(wrong));
    }
  }
  const out: Dictionaries = new Map();
  // Without ranges the last line may be cut: it has no line end.
  const end = ranges === null ? bytes.lastIndexOf('\n') + 1 : (ranges.at(-1)?.to ?? 0);
  for (const line of bytes.toString('utf8', 0, end).split('\n')) {
    if (line !== '') addEntry(out, path, JSON.parse(line) as DictionaryEntry);
  }
  return out;
}

function addEntry(out: Dictionaries, path: string, entry: DictionaryEntry): void {
  const columns = out.get(entry.file) ?? new Map<string, string[]>();
  out.set(entry.file, columns);
  const known = columns.get(entry.column) ?? [];
  columns.set(entry.column, known);
  if (entry.from !== known.length) {
    throw damagedError(path, `values of ${entry.file}.${entry.column} are missing`);
  }
  for (const value of entry.values) known.push(value);
}
