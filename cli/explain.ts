// A plan in words: what is read, what is not and why, and what was really read.

import { stderr } from 'node:process';
import { TapioError } from '../src/errors.ts';
import type { Plan } from '../src/query/plan.ts';
import type { Reading } from '../src/query/reading.ts';
import { type RowSource, StoredRows } from '../src/query/row-source.ts';
import { bytesText, countText } from './format.ts';
import type { Flags } from './program.ts';
import { serversOf } from './reading.ts';

const REASONS = {
  type: 'no row of their type can match',
  window: 'outside the window',
  zone: 'their index rules every row out',
} as const;

const plural = (n: number, word: string, more = `${word}s`): string =>
  `${countText(n)} ${n === 1 ? word : more}`;
const batchesText = (n: number): string => plural(n, 'batch', 'batches');

/** The plan, before anything is read. */
function explainPlan({ batches, skipped }: Plan): string[] {
  const segments = new Set(batches.map(({ segment }) => segment)).size;
  const rows = batches.reduce((sum, { info }) => sum + info.rows, 0);
  const bytes = batches.reduce((sum, { info }) => sum + info.metadataLength + info.bodyLength, 0);
  const certain = batches.filter((planned) => planned.certain).length;
  const lines = [
    `plan: ${batchesText(batches.length)} of ${plural(segments, 'segment')} (${plural(rows, 'row')}, ${bytesText(bytes)} with all columns)`,
  ];
  if (certain > 0)
    lines.push(`  in ${countText(certain)} of them every row matches: counting reads none`);
  for (const [reason, { files, batches: n, rows: of, bytes: size }] of Object.entries(skipped)) {
    const what = [files > 0 && plural(files, 'file'), n > 0 && batchesText(n)].filter(Boolean);
    if (what.length === 0) continue;
    const why = REASONS[reason as keyof typeof REASONS];
    lines.push(
      `  not read: ${what.join(' and ')} (${plural(of, 'row')}, ${bytesText(size)}): ${why}`,
    );
  }
  return lines;
}

/** --explain, of the commands that have it. */
export const EXPLAIN_FLAG = {
  explain: { type: 'boolean', describe: 'what is read and what is not, and why (on stderr)' },
} as const;

/** Throws TapioError('usage') where --explain asks for what is not told. */
export function checkExplain(flags: Flags): void {
  if (flags.explain !== true || serversOf(flags).length === 0) return;
  throw new TapioError('usage', '--explain tells of stores: a server does not show what it reads');
}

/** Tells the plan where --explain asks for it; what it gives tells what was read, afterwards. */
export function explained(flags: Flags, source: RowSource): () => void {
  if (flags.explain !== true || !(source instanceof StoredRows)) return () => {};
  const query = source.reading;
  for (const line of explainPlan(query.plan)) stderr.write(`${line}\n`);
  return () => stderr.write(`${explainRead(query)}\n`);
}

/** What was really read. */
function explainRead({ scanner: { counts }, segments }: Reading): string {
  const { batches, buffers, bytes, unpacked } = counts;
  const beside = segments.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  const rows = `${batchesText(batches)}, ${plural(buffers, 'buffer')}, ${bytesText(bytes)} of files (${bytesText(unpacked)} unpacked)`;
  return `read: ${rows}; and ${bytesText(beside)} of commit lines, indexes and strings`;
}
