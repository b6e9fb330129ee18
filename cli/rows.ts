// Rows for people: one compact line each, or a table. Event strings are data: control characters are
// escaped.

import { constants } from 'node:os';
import { EVENTS, type FieldSpec, type TypeSpec } from '../schemas/events.ts';
import type { RowColumns, RowValue } from '../src/event/json.ts';
import { bytesText, durationText, escapeControls } from './format.ts';

const ERRNO = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));
const SIGNALS = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number as number, name]),
);
const FLAG_NAMES = [
  [1, 'late'],
  [2, 'truncated'],
  [4, 'pending'],
] as const;

type Get = (name: string) => RowValue;

const errorText = (error: RowValue): string =>
  error === null ? 'no outcome' : error === 0 ? '' : (ERRNO.get(Number(error)) ?? `errno ${error}`);
const returnText = (ret: RowValue): string =>
  Number(ret) < 0 ? errorText(-Number(ret)) : `${ret}`;
const latencyText = (latency: RowValue): string =>
  latency === null ? '' : durationText(Number(latency));

function endpoints(get: Get): string {
  const side = (address: RowValue, port: RowValue): string => {
    if (address === null) return '?';
    const text = String(address).includes(':') ? `[${address}]` : String(address);
    return port === null ? text : `${text}:${port}`;
  };
  const remote = get('daddr') === null ? '' : ` → ${side(get('daddr'), get('dport'))}`;
  return `${get('protocol') ?? ''} ${side(get('saddr'), get('sport'))}${remote}`.trim();
}

function processText(op: string, get: Get): string[] {
  switch (op) {
    case 'fork':
      return [`→ ${get('child_pid')}`];
    case 'exec': {
      const failed = Number(get('result')) < 0 ? returnText(get('result')) : '';
      const args = get('args') as readonly string[] | null;
      return [args === null ? String(get('filename') ?? '?') : args.join(' '), failed];
    }
    case 'exit': {
      const signal = get('signal');
      const how =
        signal === null
          ? `code ${get('exit_code')}`
          : (SIGNALS.get(Number(signal)) ?? `signal ${signal}`);
      return [how, `after ${durationText(Number(get('duration_ns')))}`];
    }
    default:
      return [`${SIGNALS.get(Number(get('signal'))) ?? get('signal')} → ${get('target_pid')}`];
  }
}

function networkText(op: string, get: Get): string[] {
  const parts = [endpoints(get)];
  if (op === 'close' && get('bytes_sent') !== null) {
    parts.push(
      `sent ${bytesText(Number(get('bytes_sent')))}, received ${bytesText(Number(get('bytes_received')))}`,
      `rtt ${durationText(Number(get('srtt_us')) * 1000)}`,
    );
  } else if (op === 'drop') parts.push(String(get('drop_reason') ?? ''));
  else if (op === 'reset') parts.push(String(get('direction') ?? ''));
  else if (op === 'connect' || op === 'accept' || op === 'listen')
    parts.push(errorText(get('error')));
  else if (op === 'retransmit') parts.push(`${get('retransmits')} so far`);
  parts.push(latencyText(get('latency_ns')));
  return parts;
}

function fileText(get: Get): string[] {
  const bytes = get('bytes');
  const fd = get('fd') === null ? '' : `fd ${get('fd')}`;
  const outcome =
    Number(get('ret')) < 0
      ? returnText(get('ret'))
      : bytes === null
        ? fd
        : `${fd} ${bytesText(Number(bytes))}`;
  return [String(get('path') ?? '?'), outcome, latencyText(get('latency_ns'))];
}

function ownText(type: string, op: string, get: Get): string[] {
  switch (type) {
    case 'process':
      return processText(op, get);
    case 'network':
      return networkText(op, get);
    case 'file':
      return fileText(get);
    case 'memory':
      return [`target ${get('target_pid') ?? '-'}`];
    default: {
      const args = (get('args') as readonly bigint[] | null)?.map((arg) => `0x${arg.toString(16)}`);
      return [
        `${get('name')}(${args?.join(', ') ?? ''}) = ${returnText(get('ret'))}`,
        latencyText(get('latency_ns')),
      ];
    }
  }
}

/** Local time of day with microseconds. */
export function localTime(ts: bigint): string {
  const at = new Date(Number(ts / 1_000_000n));
  const two = (n: number): string => n.toString().padStart(2, '0');
  const micros = ((ts / 1000n) % 1_000_000n).toString().padStart(6, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${micros}`;
}

/** The zone that local times are in, such as UTC+01:00. */
export function zoneText(): string {
  const minutes = -new Date().getTimezoneOffset();
  const two = (n: number): string => Math.floor(n).toString().padStart(2, '0');
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? '-' : '+'}${two(size / 60)}:${two(size % 60)}`;
}

/** Local date and time of day in seconds. */
export function localDateTime(ts: bigint): string {
  const at = new Date(Number(ts / 1_000_000n));
  const two = (n: number): string => n.toString().padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${localTime(ts).slice(0, 8)}`;
}

const INDENT_MAX = 16;

/** What stands before something that lies so deep; very deep is as deep as deep. */
export function indent(depth: number): string {
  return '  '.repeat(Math.min(depth, INDENT_MAX));
}

/** One row in one line; `before` stands before its process. */
export function compactLine(type: string, columns: RowColumns, row: number, before = ''): string {
  const get: Get = (name) => columns.get(name)?.get(row) ?? null;
  const op = String(get('op'));
  const flags = Number(get('flags'));
  const marks = FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => `[${name}]`);
  const own = ownText(type, op, get).filter((part) => part !== '');
  return escapeControls(
    [
      localTime(get('ts') as bigint),
      `${before}${get('comm')}[${get('pid')}]`,
      `${type}.${op}`,
      own.join('  '),
      ...marks,
    ].join('  '),
  );
}

const TABLE_WIDTH_MAX = 60;

/** Cell text of a field, `type.field` or a common name; empty where the row is of another type. */
export function cellText(
  field: string,
  type: string,
  columns: RowColumns,
  row: number,
  tsOffset: bigint,
): string {
  if (field === 'type') return type;
  const ts = columns.get('ts')?.get(row) as bigint;
  if (field === 'ts') return localTime(ts);
  if (field === 'ktime') return String(ts - tsOffset);
  const [of, name] = field.includes('.') ? field.split('.') : [type, field];
  if (of !== type || name === undefined) return '';
  const value = columns.get(name)?.get(row) ?? null;
  if (value === null) return '-';
  const spec: FieldSpec | undefined = (EVENTS as Readonly<Record<string, TypeSpec>>)[type]?.fields[
    name
  ];
  const text =
    spec?.unit === 'address' && typeof value === 'bigint'
      ? `0x${value.toString(16)}`
      : Array.isArray(value)
        ? value.join(' ')
        : String(value);
  return elide(escapeControls(text), TABLE_WIDTH_MAX);
}

/** The first so many characters, never half of one. */
export function elide(text: string, width: number): string {
  if (text.length <= width) return text;
  const characters = Array.from(text);
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
}

/** Aligned lines of a table. */
export function tableLines(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  const widths = header.map((name, i) =>
    rows.reduce((width, row) => Math.max(width, row[i]?.length ?? 0), name.length),
  );
  return [header, ...rows].map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
