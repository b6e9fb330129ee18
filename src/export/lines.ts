// An export as lines of JSON: the rows of a query in order, as `tapio-replay query -o json` writes them.

import { JsonEncoders } from '../event/json.ts';
import type { Reading } from '../query/reading.ts';
import { type Exported, type ExportOptions, makeWhole, pause } from './target.ts';

const PIECE_CHARS = 1 << 16;

/** The rows of a query as text, many lines at a time. `rows` counts those that were given, by type. */
export async function* jsonPieces(
  query: Reading,
  { signal, onBatch }: Pick<ExportOptions, 'signal' | 'onBatch'>,
  rows: Record<string, number>,
): AsyncGenerator<string> {
  const encoders = new JsonEncoders();
  let text = '';
  const all = query.rows({ first: null, last: null }, (type) => encoders.of(type).columns);
  for await (const { block, from, to } of all) {
    const { type, columns, tsOffset } = block;
    const encoder = encoders.of(type);
    for (let row = from; row < to; row++) {
      text += `${encoder.encode(columns, row, tsOffset)}\n`;
    }
    rows[type] = (rows[type] ?? 0) + to - from;
    if (text.length < PIECE_CHARS) continue;
    yield text;
    text = '';
    onBatch(query.scanner.done);
    await pause(signal);
  }
  if (text !== '') yield text;
}

/** Exports what a query chooses as one file. Throws TapioError where that fails, and then nothing is left. */
export async function exportLines(query: Reading, options: ExportOptions): Promise<Exported> {
  const { files } = options;
  return makeWhole(options, async (path) => {
    const rows: Record<string, number> = {};
    const file = files.create(path);
    try {
      for await (const text of jsonPieces(query, options, rows)) file.append([Buffer.from(text)]);
      file.sync();
      return { rows, bytes: file.length, copied: 0, written: 0, notes: [] };
    } finally {
      file.close();
    }
  });
}
