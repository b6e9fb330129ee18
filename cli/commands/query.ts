// tapio-replay query: rows of a window.

import { writeSync } from 'node:fs';
import { stderr } from 'node:process';
import { EVENT_TABLES, type EventType } from '../../schemas/arrow.ts';
import { nearestName, TapioError } from '../../src/errors.ts';
import { formatTs } from '../../src/event/clock.ts';
import { fieldNames, JsonEncoder } from '../../src/event/json.ts';
import { whatIsMissing } from '../../src/query/completeness.ts';
import { type Plan, plan } from '../../src/query/plan.ts';
import { RowReader } from '../../src/query/rows.ts';
import { type RowRef, scan, scanLast } from '../../src/query/scan.ts';
import { type Selection, select } from '../../src/query/select.ts';
import { parseTime } from '../../src/query/time.ts';
import type { Segment } from '../../src/segment/reader.ts';
import { defaultStore, openStore } from '../../src/segment/store.ts';
import type { Command, Flags } from '../program.ts';
import { cellText, compactLine, tableLines, zoneText } from '../rows.ts';

const LAST_DEFAULT = 20;
const CHUNK_CHARS = 1 << 16;
const TABLE_FIELDS = ['seq', 'ts', 'type', 'op', 'cpu', 'pid', 'tid', 'uid', 'comm'];

function words(value: unknown): string[] {
  if (value === undefined) return [];
  const parts = Array.isArray(value) ? value : [value];
  return parts.flatMap((part) => String(part).split(',')).filter((part) => part !== '');
}

function count(name: string, value: unknown): number | null {
  if (value === undefined) return null;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0) {
    throw new TapioError('usage', `--${name} ${value} is not a number of rows`);
  }
  return number;
}

function selectionOf(flags: Flags): Selection {
  const now = BigInt(Date.now()) * 1_000_000n;
  const since = flags.since === undefined ? null : parseTime(String(flags.since), now);
  const until = flags.until === undefined ? null : parseTime(String(flags.until), now, since);
  return select({
    since,
    until,
    types: words(flags.type),
    ops: words(flags.op),
    pids: words(flags.pid),
    comms: words(flags.comm),
  });
}

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

/** Collects lines and writes them in large pieces; a reader that went away is a normal end. */
class Output {
  #text = '';
  #closed = false;

  get closed(): boolean {
    return this.#closed;
  }

  line(text: string): void {
    this.#text += `${text}\n`;
    if (this.#text.length >= CHUNK_CHARS) this.flush();
  }

  flush(): void {
    let bytes = Buffer.from(this.#text);
    this.#text = '';
    while (bytes.length > 0 && !this.#closed) {
      try {
        bytes = bytes.subarray(writeSync(1, bytes));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EPIPE') this.#closed = true;
        else if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
        else throw error;
      }
    }
  }
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

const allColumns = (type: EventType): string[] => EVENT_TABLES[type].columns.map((c) => c.name);

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

function whyEmpty(segments: readonly Segment[], made: Plan): string {
  const batches = segments.flatMap((s) => s.types().flatMap((type) => s.batches(type)));
  const [one] = batches;
  if (one === undefined) return 'nothing is recorded yet';
  const first = batches.reduce((a, b) => (b.firstTs < a ? b.firstTs : a), one.firstTs);
  const last = batches.reduce((a, b) => (b.lastTs > a ? b.lastTs : a), one.lastTs);
  const held = `held is ${formatTs(first)} to ${formatTs(last)}`;
  const { since, until } = made.selection;
  if (since !== null && since > last)
    return `nothing matched: the window begins after what is held; ${held}`;
  if (until !== null && until <= first)
    return `nothing matched: the window ends before what is held; ${held}`;
  return `nothing matched; ${held}`;
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
  const { segments, problems } = openStore(store);
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
    const losses = segments.flatMap((s) => s.losses());
    const wrong = [...problems, ...segments.flatMap((s) => s.problems)];
    for (const text of whatIsMissing(losses, wrong, selection)) {
      stderr.write(`tapio-replay: ${text}\n`);
    }
    if (written === 0) stderr.write(`tapio-replay: ${whyEmpty(segments, made)}\n`);
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
    store: { type: 'string', describe: 'DIR — a store, or one segment directory' },
    since: { type: 'string', describe: 'TIME — from then on: RFC 3339, 10m, today 14:00, 14:00' },
    until: { type: 'string', describe: 'TIME — before then (exclusive); +30s counts from --since' },
    last: { type: 'string', describe: 'N — the last N that match (20 when no range is given)' },
    first: { type: 'string', describe: 'N — the first N that match' },
    all: { type: 'boolean', describe: 'all that match' },
    type: { type: 'string', describe: 'TYPE,… — process, network, file, memory, syscall' },
    op: { type: 'string', describe: 'OP,… — such as network.connect, or exec' },
    pid: { type: 'string', describe: 'PID,…' },
    comm: { type: 'string', describe: 'NAME,… — thread names' },
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
