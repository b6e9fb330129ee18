// How the records of every op are laid out, as text: it is kept beside the rings, so that a process with
// another event table can read what this one left there.

import { EVENTS, type TypeSpec } from './events.ts';
import { allLayouts, type RecordLayout } from './layout.ts';

const SIZES = { __u8: 1, __u16: 2, __u32: 4, __u64: 8, __s32: 4, __s64: 8 } as const;

function layoutLines(layout: RecordLayout): string[] {
  const { fields } = (EVENTS as Readonly<Record<string, TypeSpec>>)[layout.type] as TypeSpec;
  const nulls = layout.members.find((m) => m.name === 'nulls');
  return [
    `o ${layout.spec.id} ${layout.bytes} ${nulls?.offset}`,
    ...layout.members.flatMap(({ name, ctype, count, offset }) => {
      const bit = layout.nullBits.get(name);
      return bit === undefined
        ? []
        : [`f ${fields[name]?.id} ${offset} ${SIZES[ctype] * count} ${bit}`];
    }),
    ...layout.tail.map((name) => {
      const strings = fields[name]?.wire?.as === 'path' ? 2 : 1;
      return `t ${fields[name]?.id} ${strings} ${layout.nullBits.get(name)}`;
    }),
  ];
}

/** Text of layouts.h. */
export function layoutsHeader(): string {
  return [
    '// Generated from schemas/events.ts by npm run generate; do not edit.',
    '#pragma once',
    '',
    'namespace tapio {',
    '',
    '// o OP BYTES NULLS: an op, the bytes of its header and fixed part, the offset of `nulls`;',
    '// f FIELD OFFSET BYTES BIT: a fixed field of it, and its bit in `nulls`;',
    '// t FIELD STRINGS BIT: the next field of its tail. Field ids are those of the table.',
    'inline constexpr char record_layouts[] =',
    ...allLayouts().map(
      (layout, i, all) =>
        `    "${layoutLines(layout).join('\\n')}\\n"${i === all.length - 1 ? ';' : ''}`,
    ),
    '',
    '}  // namespace tapio',
    '',
  ].join('\n');
}
