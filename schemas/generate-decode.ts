// The C++ half of the decoder: column ids per type, and per op the calls that move a record's fields
// into columns. native/columns.h supplies the sink that is called.

import { COMMON, EVENTS, type FieldSpec, type TypeSpec } from './events.ts';
import { allLayouts, type RecordLayout } from './layout.ts';

const KINDS = {
  u16: 'kU16',
  u32: 'kU32',
  u64: 'kU64',
  i32: 'kI32',
  i64: 'kI64',
  timestamp: 'kI64',
  name: 'kDict16',
  text: 'kDict32',
  texts: 'kTexts',
  u64s: 'kU64s',
  bytes: 'kBytes',
} as const;

/** Columns of a type in Arrow order: the common fields, then its own. */
export function columnsOf(spec: TypeSpec): { name: string; field: FieldSpec; nullable: boolean }[] {
  return [
    ...Object.entries(COMMON).map(([name, field]) => ({ name, field, nullable: false })),
    ...Object.entries(spec.fields).map(([name, field]) => ({ name, field, nullable: true })),
  ];
}

function columnIds(type: string, spec: TypeSpec): string[] {
  return [
    `enum ${type}_column {`,
    ...Object.keys(spec.fields).map(
      (name, i) => `  k_${type}_${name} = ${Object.keys(COMMON).length + i},`,
    ),
    '};',
    `inline constexpr ColumnSpec ${type}_columns[] = {`,
    ...columnsOf(spec).map(
      ({ name, field, nullable }) => `    {"${name}", Kind::${KINDS[field.type]}, ${nullable}},`,
    ),
    '};',
  ];
}

function fieldCall(layout: RecordLayout, name: string, field: FieldSpec): string[] {
  const column = `k_${layout.type}_${name}`;
  const bit = layout.nullBits.get(name);
  const present = `!(r->nulls & (1u << ${bit}))`;
  // What is read with the help of another field is unknown where that one is.
  const presentWith = (other: string): string => {
    const bits = [bit, layout.nullBits.get(other)].filter((one) => one !== undefined);
    return `!(r->nulls & (${bits.map((one) => `1u << ${one}`).join(' | ')}))`;
  };
  const wire = field.wire;
  if (wire === undefined) return [`if (${present}) sink.value(${column}, r->${name});`];
  switch (wire.as) {
    case 'enum':
      return [`if (${present}) sink.name(${column}, Names::${wire.of}, r->${name});`];
    case 'inet':
      return [`if (${presentWith('family')}) sink.inet(${column}, r->family, r->${name});`];
    case 'args':
      return [`if (${presentWith('nr')}) sink.args(${column}, r->nr, r->${name});`];
    case 'derived':
      return [`if (${presentWith(wire.from)}) sink.syscall_name(${column}, r->${wire.from});`];
    case 'path':
      return [
        `{`,
        `  const TailString given = tail.next();`,
        `  const TailString directory = tail.next();`,
        `  if (${present}) sink.path(${column}, given, directory);`,
        `}`,
      ];
    case 'strings':
      return [
        `{`,
        `  const TailString all = tail.next();`,
        `  if (${present}) sink.strings(${column}, all);`,
        `}`,
      ];
    case 'string':
      return [
        `{`,
        `  const TailString bytes = tail.next();`,
        `  if (${present}) sink.bytes(${column}, bytes);`,
        `}`,
      ];
  }
}

function opCase(layout: RecordLayout): string[] {
  const spec = (EVENTS as Readonly<Record<string, TypeSpec>>)[layout.type];
  const struct = `tapio_${layout.type}_${layout.op}`;
  const body = layout.spec.fields.flatMap((name) => {
    const field = spec?.fields[name];
    if (field === undefined) throw new Error(`no field ${name}`);
    return fieldCall(layout, name, field);
  });
  return [
    `    case TAPIO_${`${layout.type}_${layout.op}`.toUpperCase()}: {`,
    `      if (bytes < sizeof(struct ${struct})) return false;`,
    `      const auto* r = reinterpret_cast<const struct ${struct}*>(record);`,
    ...(layout.tail.length > 0
      ? [`      Tail tail(record + sizeof(struct ${struct}), bytes - sizeof(struct ${struct}));`]
      : []),
    ...body.map((line) => `      ${line}`),
    ...(layout.tail.length > 0 ? ['      return tail.ok();'] : ['      return true;']),
    '    }',
  ];
}

/** Text of decode.h. */
export function decodeHeader(): string {
  const layouts = allLayouts();
  const opCount = Math.max(...layouts.map((l) => l.spec.id)) + 1;
  const typeOf: number[] = new Array<number>(opCount).fill(0);
  const nameOf: string[] = new Array<string>(opCount).fill('');
  for (const l of layouts) {
    typeOf[l.spec.id] = EVENTS[l.type as keyof typeof EVENTS].id;
    nameOf[l.spec.id] = l.op;
  }
  return [
    '// Generated from schemas/events.ts by npm run generate; do not edit.',
    '#pragma once',
    '',
    '#include "columns.h"',
    '',
    'namespace tapio {',
    '',
    'enum common_column {',
    ...Object.keys(COMMON).map((name, i) => `  k_${name} = ${i},`),
    `  k_common_columns = ${Object.keys(COMMON).length},`,
    '};',
    '',
    ...Object.entries(EVENTS).flatMap(([type, spec]) => [...columnIds(type, spec), '']),
    'struct TypeColumns {',
    '  const char* name;',
    '  const ColumnSpec* columns;',
    '  unsigned count;',
    '};',
    '// Indexed by enum tapio_type; entry 0 is unused.',
    'inline constexpr TypeColumns type_columns[] = {',
    '    {"", nullptr, 0},',
    ...Object.entries(EVENTS).map(
      ([type, spec]) => `    {"${type}", ${type}_columns, ${columnsOf(spec).length}},`,
    ),
    '};',
    '',
    `inline constexpr unsigned char type_of_op[${opCount}] = {${typeOf.join(', ')}};`,
    `inline constexpr const char* name_of_op[${opCount}] = {`,
    ...nameOf.map((name) => `    "${name}",`),
    '};',
    '',
    '// Moves the op’s own fields into the row that `sink` stands at. False for an unknown op and for a',
    '// record that is too short for what it claims; the row is then not to be kept.',
    'template <class Sink>',
    'bool decode_fields(Sink& sink, unsigned op, const unsigned char* record, unsigned bytes) {',
    '  switch (op) {',
    ...layouts.flatMap(opCase),
    '    default:',
    '      return false;',
    '  }',
    '}',
    '',
    '}  // namespace tapio',
    '',
  ].join('\n');
}
