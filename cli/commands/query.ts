// tapio-replay query: rows of a window.

import { stderr } from 'node:process';
import type { EventType } from '../../schemas/arrow.ts';
import { nearestName, TapioError } from '../../src/errors.ts';
import { fieldNames, JsonEncoder } from '../../src/event/json.ts';
import { missingFrom } from '../../src/query/completeness.ts';
import { plan } from '../../src/query/plan.ts';
import { RowReader } from '../../src/query/rows.ts';
import { type RowRef, scan, scanLast } from '../../src/query/scan.ts';
import { defaultStore, openStore } from '../../src/segment/store.ts';
import { allColumns, Output } from '../output.ts';
import type { Command, Flags } from '../program.ts';
import { cellText, compactLine, tableLines, zoneText } from '../rows.ts';
import { count, SELECTION_FLAGS, selectionOf, whyEmpty, words } from '../selection.ts';

const LAST_DEFAULT = 20;
const TABLE_FIELDS = ['seq', 'ts', 'type', 'op', 'cpu', 'pid', 'tid', 'uid', 'comm'];

/** How many rows, from which end: --last 20 when nothing else is said. */
function limitOf(flags: Flags): { last: number | null; first: number | null } {
  const last = count('last', flags.last);
  const first = count('first', flags.first);
  const given = [
    last !== null && '--last',
    first !== null && '--first',
    flags.all === true && '--all',
  ];
  const said = given.filter((one) => one !== false);
  if (said.length > 1) throw new TapioError('usage', `${said.join(' and ')} contradict each other`);
  const open = said.length === 0 && flags.since === undefined && flags.until === undefined;
  return { last: open ? LAST_DEFAULT : last, first };
}

function fieldsOf(flags: Flags): string[] | null {
  const fields = words(flags.fields);
  const known = fieldNames();
  for (const field of fields) {
    if (known.includes(field)) continue;
    const near = nearestName(field, known);
    throw new TapioError(
      'usage',
      `unknown field ${field}${near === null ? '' : ` (did you mean ${near}?)`}: own fields are written type.field`,
    );
  }
  return fields.length === 0 ? null : fields;
}

function writeJson(rows: Iterable<RowRef>, fields: string[] | null, out: Output): number {
  const encoders = new Map<EventType, JsonEncoder>();
  const encoderOf = (type: EventType): JsonEncoder => {
    const encoder = encoders.get(type) ?? new JsonEncoder(type, fields);
    encoders.set(type, encoder);
    return encoder;
  };
  const reader = new RowReader((type) => encoderOf(type).columns);
  let written = 0;
  for (const ref of rows) {
    const { info, segment } = ref.source;
    const columns = reader.columnsOf(ref);
    if (columns === null) continue;
    out.line(encoderOf(info.type).encode(columns, ref.row, segment.tsOffset));
    written++;
    if (out.closed) break;
  }
  return written;
}

function writeCompact(rows: Iterable<RowRef>, out: Output): number {
  const reader = new RowReader(allColumns);
  let written = 0;
  for (const ref of rows) {
    const columns = reader.columnsOf(ref);
    if (columns === null) continue;
    out.line(compactLine(ref.source.info.type, columns, ref.row));
    written++;
    if (out.closed) break;
  }
  return written;
}

function writeTable(rows: Iterable<RowRef>, fields: string[] | null, out: Output): number {
  const names = fields ?? TABLE_FIELDS;
  const reader = new RowReader(allColumns);
  const cells = [...rows].flatMap((ref) => {
    const { info, segment } = ref.source;
    const columns = reader.columnsOf(ref);
    if (columns === null) return [];
    return [names.map((name) => cellText(name, info.type, columns, ref.row, segment.tsOffset))];
  });
  const header = names.map((name) => (name === 'ts' ? `ts (${zoneText()})` : name));
  for (const line of tableLines(header, cells)) out.line(line);
  return cells.length;
}

async function run(flags: Flags): Promise<number> {
  if (flags._.length > 0) {
    throw new TapioError(
      'usage',
      `unexpected ${flags._[0]}: choose rows with --type, --op, --pid, --comm`,
    );
  }
  const selection = selectionOf(flags);
  const limit = limitOf(flags);
  const fields = fieldsOf(flags);
  const store = (flags.store as string | undefined) ?? defaultStore();
  const opened = openStore(store);
  const { segments } = opened;
  try {
    stderr.write(`tapio-replay: reading ${store}\n`);
    const made = plan(segments, selection);
    const rows = limit.last === null ? take(scan(made), limit.first) : scanLast(made, limit.last);
    const out = new Output();
    const form = String(flags.output);
    const written =
      form === 'json'
        ? writeJson(rows, fields, out)
        : form === 'table'
          ? writeTable(rows, fields, out)
          : writeCompact(rows, out);
    out.flush();
    for (const note of segments.flatMap((s) => s.notes)) stderr.write(`tapio-replay: ${note}\n`);
    for (const text of missingFrom(opened, selection)) stderr.write(`tapio-replay: ${text}\n`);
    if (written === 0) stderr.write(`tapio-replay: ${whyEmpty(segments, selection)}\n`);
    return 0;
  } finally {
    for (const segment of segments) segment.close();
  }
}

function* take(rows: Iterable<RowRef>, first: number | null): Generator<RowRef> {
  let left = first ?? Number.POSITIVE_INFINITY;
  if (left === 0) return;
  for (const row of rows) {
    yield row;
    if (--left === 0) return;
  }
}

export const query: Command = {
  usage: 'query [flags]',
  flags: {
    ...SELECTION_FLAGS,
    last: { type: 'string', describe: 'N — the last N that match (20 when no range is given)' },
    first: { type: 'string', describe: 'N — the first N that match' },
    all: { type: 'boolean', describe: 'all that match' },
    fields: {
      type: 'string',
      describe: 'FIELD,… — only these (json and table), e.g. ts,pid,file.path',
    },
    output: {
      alias: 'o',
      choices: ['compact', 'table', 'json'],
      default: 'compact',
      describe: 'form',
    },
  },
  examples: [
    ['tapio-replay query', 'the last 20 rows'],
    ['tapio-replay query --since 10m --type network', 'connections of the last ten minutes'],
    ['tapio-replay query --op exec --all -o json', 'every program started, for jq'],
    ['tapio-replay query --since 14:00 --until +30s --comm nginx', 'half a minute of nginx'],
  ],
  run,
};
