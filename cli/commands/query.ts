// tapio-replay query: rows of a window.

import { stderr, stdout } from 'node:process';
import type { EventType } from '../../schemas/arrow.ts';
import { TapioError } from '../../src/errors.ts';
import { checkFields } from '../../src/event/json.ts';
import type { EventRun } from '../../src/event/stream.ts';
import { withDescendants } from '../../src/query/descendants.ts';
import type { Limit } from '../../src/query/reading.ts';
import { type RowSource, StoredRows, whyEmpty } from '../../src/query/row-source.ts';
import { lineForm } from '../event-lines.ts';
import { checkExplain, EXPLAIN_FLAG, explained } from '../explain.ts';
import { onInterrupt } from '../interrupt.ts';
import { allColumns, Output } from '../output.ts';
import type { Command, Flags } from '../program.ts';
import { Progress } from '../progress.ts';
import { reading, readingRows, say } from '../reading.ts';
import { cellText, tableLines, zoneText } from '../rows.ts';
import { count, SELECTION_FLAGS, selectionOf, words } from '../selection.ts';

const LAST_DEFAULT = 20;
const TABLE_FIELDS = ['seq', 'ts', 'type', 'op', 'cpu', 'pid', 'tid', 'uid', 'comm'];

/** How many rows, from which end: --last 20 when nothing else is said. */
function limitOf(flags: Flags): Limit {
  const last = count('last', flags.last);
  const first = count('first', flags.first);
  const given = [
    last !== null && '--last',
    first !== null && '--first',
    flags.all === true && '--all',
  ];
  const said = given.filter((one) => one !== false);
  if (said.length > 1) throw new TapioError('usage', `${said.join(' and ')} contradict each other`);
  if (flags.count === true && said.length > 0 && flags.all !== true) {
    throw new TapioError('usage', `--count counts all that match: leave out ${said[0]}`);
  }
  const window = [flags.since, flags.until, flags.around].some((time) => time !== undefined);
  return { last: said.length === 0 && !window ? LAST_DEFAULT : last, first };
}

/** The fields that --fields names; null for all. */
export function fieldsOf(flags: Flags): string[] | null {
  const fields = words(flags.fields);
  checkFields(fields);
  if (fields.length > 0 && (flags.output === 'compact' || flags.count === true)) {
    throw new TapioError(
      'usage',
      '--fields chooses columns of -o json or -o table: give one of them',
    );
  }
  return fields.length === 0 ? null : fields;
}

/** How rows are written. */
interface Form {
  readonly columns: (type: EventType) => readonly string[];
  row(run: EventRun, row: number): void;
  end(): void;
}

/** Lines that are written as the rows come. */
function lineByLine(name: string, fields: string[] | null, out: Output): Form {
  const { columns, line } = lineForm(name, fields);
  return { columns, row: (run, row) => out.line(line?.(run, row) ?? ''), end: () => {} };
}

// A table is as wide as its widest cell: it is written when all of them are known.
function tableForm(fields: string[] | null, out: Output): Form {
  const names = fields ?? TABLE_FIELDS;
  const cells: string[][] = [];
  return {
    columns: allColumns,
    row: ({ block: { type, columns, tsOffset } }, row) => {
      cells.push(names.map((name) => cellText(name, type, columns, row, tsOffset)));
    },
    end: () => {
      const header = names.map((name) => (name === 'ts' ? `ts (${zoneText()})` : name));
      for (const line of tableLines(header, cells)) out.line(line);
    },
  };
}

function checkForm(flags: Flags): void {
  const isArrow = flags.output === 'arrow';
  if (flags.wide === true && !isArrow) {
    throw new TapioError('usage', '--wide is a form of -o arrow: add that, or leave out --wide');
  }
  if (!isArrow || flags.count === true) return;
  if (stdout.isTTY) {
    throw new TapioError(
      'usage',
      '-o arrow is no text for a terminal: send it to a file or a pipe',
    );
  }
}

function formOf(flags: Flags, out: Output): Form {
  const fields = fieldsOf(flags);
  const name = String(flags.output);
  return name === 'table' ? tableForm(fields, out) : lineByLine(name, fields, out);
}

/** Writes rows, and gives how many; `isEnded` is asked as it goes. */
type Writer = (progress: Progress, isEnded: () => boolean) => Promise<number>;

const rowWriter =
  (source: RowSource, limit: Limit, form: Form, out: Output): Writer =>
  async (progress, isEnded) => {
    let written = 0;
    for await (const run of source.rows(limit, form.columns)) {
      for (let row = run.from; row < run.to && !out.closed; row++) {
        form.row(run, row);
        written++;
      }
      progress.at(source.progress.done);
      if (isEnded()) break;
    }
    progress.clear();
    form.end();
    out.flush();
    return written;
  };

const arrowWriter =
  (source: RowSource, limit: Limit, flags: Flags, out: Output): Writer =>
  async (progress, isEnded) => {
    const { ArrowRows } = await import('../../src/export/arrow-rows.ts');
    const answer = new ArrowRows(source, { fields: fieldsOf(flags), wide: flags.wide === true });
    for await (const piece of answer.pieces(limit, isEnded)) {
      await out.bytes(piece);
      progress.at(source.progress.done);
    }
    const { streams } = answer;
    if (streams.length > 1) {
      say(
        `${streams.length} Arrow streams follow one another (${streams.join(', ')}): choose one with --type, or make one of all with --wide`,
      );
    }
    return Object.values(answer.rows).reduce((sum, rows) => sum + rows, 0);
  };

async function writeRows(source: RowSource, write: Writer, out: Output): Promise<number> {
  const interrupt = onInterrupt();
  const progress = new Progress(() => source.progress.total);
  out.replaces(progress);
  try {
    const written = await write(progress, () => out.closed || interrupt.asked);
    progress.clear();
    if (interrupt.asked) say(`interrupted after ${written} rows`);
    return written;
  } finally {
    progress.clear();
    interrupt.end();
  }
}

async function writeCount(source: RowSource, out: Output): Promise<number> {
  const interrupt = onInterrupt();
  const progress = new Progress(() => source.progress.total);
  try {
    const total = await source.count(() => {
      progress.at(source.progress.done);
      return !interrupt.asked;
    });
    progress.clear();
    out.line(String(total));
    out.flush();
    if (interrupt.asked)
      stderr.write('tapio-replay: interrupted: this is what was counted so far\n');
    return total;
  } finally {
    progress.clear();
    interrupt.end();
  }
}

async function run(flags: Flags): Promise<number> {
  checkForm(flags);
  if (flags.follow === true) {
    const { follow } = await import('../follow.ts');
    return await follow(flags, fieldsOf(flags));
  }
  checkExplain(flags);
  const selection = await selectionOf(flags);
  const limit = limitOf(flags);
  const out = new Output();
  const form = formOf(flags, out);
  const answer = async (source: RowSource): Promise<number> => {
    const tellRead = explained(flags, source);
    const writer =
      flags.output === 'arrow'
        ? arrowWriter(source, limit, flags, out)
        : rowWriter(source, limit, form, out);
    const written =
      flags.count === true ? await writeCount(source, out) : await writeRows(source, writer, out);
    tellRead();
    for (const text of await source.notes()) say(text);
    if (written === 0) say(await whyEmpty(source));
    return written === 0 && flags.exitCode === true ? 1 : 0;
  };
  if (flags.children !== true) return await readingRows(flags, selection, answer);
  // Who descends from whom is in tables beside the rows.
  return await reading(flags, (opened) =>
    answer(new StoredRows(opened, withDescendants(opened.segments, selection))),
  );
}

export const FIELDS_FLAG = {
  fields: {
    type: 'string',
    describe: 'FIELD,… — only these (not compact), e.g. ts,pid,file.path',
  },
} as const;

export const query: Command = {
  usage: 'query [EXPR] [flags]',
  flags: {
    ...SELECTION_FLAGS,
    children: { type: 'boolean', describe: 'with all who descend from --pid' },
    last: { type: 'string', describe: 'N — the last N that match (20 when no range is given)' },
    first: { type: 'string', describe: 'N — the first N that match' },
    all: { type: 'boolean', describe: 'all that match' },
    count: { type: 'boolean', describe: 'only how many match' },
    follow: { type: 'boolean', describe: 'then what comes, until Ctrl-C: see tail' },
    ...FIELDS_FLAG,
    output: {
      alias: 'o',
      choices: ['compact', 'table', 'json', 'arrow'],
      default: 'compact',
      describe: 'form; arrow is an Arrow IPC stream of each type, one after another',
    },
    wide: {
      type: 'boolean',
      describe: 'one Arrow stream of all types, in order: a struct column per type',
    },
    ...EXPLAIN_FLAG,
    'exit-code': { type: 'boolean', describe: 'exit with 1 where nothing matched' },
  },
  examples: [
    ['tapio-replay query', 'the last 20 rows'],
    [`tapio-replay query 'network.dport in [443, 8443]' --since 10m`, 'connections of ten minutes'],
    ['tapio-replay query --op exec --all -o json', 'every program started, for jq'],
    ['tapio-replay query --since 14:00 --until +30s --comm nginx', 'half a minute of nginx'],
    ['tapio-replay query --type network --since 1h -o arrow >rows.arrows', 'for a notebook'],
    [`tapio-replay query 'file.path.startsWith("/etc/")' --count`, 'how often'],
  ],
  run,
};
