// dictionary.log: the values of dictionary columns while a segment is open, one JSON object a line.
// Its bytes are covered by the commit lines, like those of every other file.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EventType } from '../../schemas/arrow.ts';
import { crc32c, crcText } from './crc32c.ts';
import { type CommittedRange, damageText } from './damage.ts';
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

/** What a log gave. */
export interface DictionaryLog {
  readonly values: Dictionaries;
  /** What is wrong with it; what follows in the log is then not among the values. */
  readonly damage: string | null;
}

/**
 * Reads the log of an open segment as far as it was committed and is as it was, or without ranges as far
 * as its lines are whole.
 */
export function readDictionaryLog(
  directory: string,
  ranges: readonly CommittedRange[] | null,
): DictionaryLog {
  const bytes = readFileSync(join(directory, DICTIONARY_LOG));
  // Without ranges the last line may be cut: it has no line end.
  let end = ranges === null ? bytes.lastIndexOf('\n') + 1 : 0;
  let damage: string | null = null;
  for (const range of ranges ?? []) {
    damage = damageOf(bytes, range);
    if (damage !== null) break;
    end = range.to;
  }
  const values: Dictionaries = new Map();
  for (const line of bytes.toString('utf8', 0, end).split('\n')) {
    if (line === '') continue;
    const error = addLine(values, line);
    if (error !== null) return { values, damage: damage ?? error };
  }
  return { values, damage };
}

function damageOf(bytes: Buffer, { from, to, crc }: CommittedRange): string | null {
  const file = DICTIONARY_LOG;
  if (crc === null) return damageText({ file, from, to, reason: 'unknown' });
  if (bytes.length < to) return damageText({ file, from: bytes.length, to, reason: 'short' });
  if (crcText(crc32c(bytes.subarray(from, to))) === crc) return null;
  return damageText({ file, from, to, reason: 'checksum' });
}

function addLine(out: Dictionaries, line: string): string | null {
  let entry: DictionaryEntry;
  try {
    entry = JSON.parse(line) as DictionaryEntry;
  } catch {
    return 'has a line that is no JSON';
  }
  const columns = out.get(entry.file) ?? new Map<string, string[]>();
  out.set(entry.file, columns);
  const known = columns.get(entry.column) ?? [];
  columns.set(entry.column, known);
  if (entry.from !== known.length) return `values of ${entry.file}.${entry.column} are missing`;
  for (const value of entry.values) known.push(value);
  return null;
}
