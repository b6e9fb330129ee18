// tapio-replay export: rows of a window as a store of their own, or as lines of JSON.

import { TapioError } from '../../src/errors.ts';
import { exportLines, jsonPieces } from '../../src/export/lines.ts';
import { exportStore } from '../../src/export/store.ts';
import { checkTarget, type Exported } from '../../src/export/target.ts';
import { withDescendants } from '../../src/query/descendants.ts';
import type { Reading } from '../../src/query/reading.ts';
import { StoredRows, whyEmpty } from '../../src/query/row-source.ts';
import { diskFiles } from '../../src/segment/files.ts';
import type { OpenedStore } from '../../src/segment/store.ts';
import { bytesText, countText } from '../format.ts';
import { abortOnSignals } from '../interrupt.ts';
import { Output } from '../output.ts';
import type { Command, Flags } from '../program.ts';
import { Progress } from '../progress.ts';
import { reading, say, storesOf } from '../reading.ts';
import { SELECTION_FLAGS, selectionOf } from '../selection.ts';

/** What an interrupted program ends with: 128 + SIGINT. */
const INTERRUPTED = 130;
const STDOUT = '-';

/** Where it goes. */
function targetOf({ output, format }: Flags): string {
  if (output === undefined || output === '') {
    throw new TapioError('usage', 'export to where? name a path that is not there yet: -o PATH');
  }
  if (Array.isArray(output)) throw new TapioError('usage', '-o is given more than once');
  if (output === STDOUT && format === 'arrow') {
    throw new TapioError(
      'usage',
      'a store is a directory, which does not fit a pipe: name one with -o, or choose --format ndjson',
    );
  }
  return String(output);
}

const plural = (n: number, word: string): string => `${countText(n)} ${word}${n === 1 ? '' : 's'}`;

/** Exact totals, in sentences. */
function summary(path: string, { rows, bytes, copied, written }: Exported): string {
  const total = Object.values(rows).reduce((sum, count) => sum + count, 0);
  const types = Object.entries(rows).map(([type, count]) => `${type} ${countText(count)}`);
  const segments =
    copied + written === 0
      ? ''
      : `, ${plural(copied, 'segment')} copied and ${countText(written)} written anew`;
  const of = types.length === 0 ? '' : ` (${types.sort().join(', ')})`;
  const where = path === STDOUT ? '' : ` to ${path}`;
  return `exported ${plural(total, 'row')}${of}${where}${segments}: ${bytesText(bytes)} (${countText(bytes)} bytes)`;
}

type Options = Parameters<typeof exportStore>[1];

/** Writes lines to stdout; a reader that went away is a normal end. */
async function toStdout(query: Reading, options: Options, progress: Progress): Promise<Exported> {
  const out = new Output();
  out.replaces(progress);
  const rows: Record<string, number> = {};
  let bytes = 0;
  for await (const text of jsonPieces(query, options, rows)) {
    bytes += Buffer.byteLength(text);
    out.add(text.slice(0, -1));
    await out.drain(options.signal);
    if (out.closed) break;
  }
  return { rows, bytes, copied: 0, written: 0, notes: [] };
}

/** Null where it was interrupted. */
async function exported(query: Reading, path: string, flags: Flags): Promise<Exported | null> {
  const { signal, end } = abortOnSignals();
  const progress = new Progress(() => query.plan.batches.length);
  const onBatch = (done: number): void => progress.at(done);
  const options = { files: diskFiles, path, signal, onBatch };
  try {
    if (path === STDOUT) return await toStdout(query, options, progress);
    return await (flags.format === 'ndjson' ? exportLines : exportStore)(query, options);
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    return null;
  } finally {
    progress.clear();
    end();
  }
}

async function run(flags: Flags): Promise<number> {
  const selection = await selectionOf(flags);
  const path = targetOf(flags);
  if (path !== STDOUT) checkTarget(path, storesOf(flags));
  // Who descends from whom is told by segments of any time.
  const window = flags.children === true ? undefined : selection;
  const excerpt = async (opened: OpenedStore): Promise<number> => {
    const { segments } = opened;
    const chosen = flags.children === true ? withDescendants(segments, selection) : selection;
    const source = new StoredRows(opened, chosen);
    const { reading: query } = source;
    const made = await exported(query, path, flags);
    if (made === null) {
      say(path === STDOUT ? 'interrupted' : 'interrupted: nothing was written');
      return INTERRUPTED;
    }
    for (const text of [...made.notes, ...(await source.notes())]) say(text);
    if (Object.keys(made.rows).length === 0) say(await whyEmpty(source));
    say(summary(path, made));
    if (path !== STDOUT && flags.format === 'arrow') {
      say(`read it with --store ${path}: query, ps, trace, play, verify, account take it`);
    }
    return 0;
  };
  return await reading(flags, excerpt, window);
}

export const exportCommand: Command = {
  usage: [
    'export [EXPR] [flags] -o PATH',
    '',
    'arrow makes PATH a store of its own, which every command takes with --store, and whose segments open in pyarrow, polars and DuckDB. A sealed segment of which everything is wanted is copied byte for byte. Of others an excerpt is written: the rows that are wanted, with the strings that these use, the processes that they are about or fork, and the losses of the window (no sockets: conns has nothing to tell of it); what was left out is counted for account. What is damaged is left out and told as a loss.',
    '',
    'ndjson makes PATH a file of the lines of query -o json; - is stdout.',
    '',
    'PATH is there whole or not at all: while it is written it is called PATH.partial-PID.',
  ].join('\n'),
  flags: {
    ...SELECTION_FLAGS,
    children: { type: 'boolean', describe: 'with all who descend from --pid' },
    format: { choices: ['arrow', 'ndjson'], default: 'arrow', describe: 'form' },
    output: { alias: 'o', type: 'string', describe: 'PATH — where to; it must not be there yet' },
  },
  examples: [
    ['tapio-replay export --around 03:00 --span 10m -o ./incident', 'ten minutes to take along'],
    ['tapio-replay query --store ./incident --all', 'and to look at, on another host'],
    [
      `tapio-replay export 'network.dport == 443' --since 1h -o ./https`,
      'nothing of anybody else is in it',
    ],
    ['tapio-replay export --pid 4711 --children -o ./4711', 'a process and its descendants'],
    ['tapio-replay export --op exec --format ndjson -o - | jq .process.args', 'for a program'],
  ],
  run,
};
