// The C records: what bpf/ writes and native/ reads. Every offset and size is pinned by an assertion.

import { EVENTS, FLAGS, FORMAT_VERSION } from './events.ts';
import { allLayouts, HEADER_BYTES, type RecordLayout, schemaFingerprint } from './layout.ts';

const HEAD = `/* Generated from schemas/events.ts by npm run generate; do not edit. */
`;

const HEADER_MEMBERS: readonly (readonly [string, string, number, string])[] = [
  ['__u64', 'commit', 0, 'position, pad, words, xor the secret; see bpf/ring.h'],
  ['__u64', 'ktime', 8, 'CLOCK_MONOTONIC ns, read after the space was reserved'],
  ['__u32', 'op_sequence', 16, 'low 32 bits of emitted[op] of this CPU'],
  ['__u16', 'op', 20, 'enum tapio_op'],
  ['__u16', 'flags', 22, 'TAPIO_FLAG_*'],
  ['__u32', 'pid', 24, 'thread group'],
  ['__u32', 'tid', 28, 'thread'],
  ['__u32', 'ppid', 32, 'parent thread group'],
  ['__u32', 'weight', 36, '1, more where sampled'],
  ['__u32', 'uid', 40, 'real user'],
  ['__u32', 'gid', 44, 'real group'],
  ['__u64', 'cgroup_id', 48, 'cgroup v2 id'],
  ['__u64', 'pstart', 56, 'CLOCK_BOOTTIME ns of the thread group leader’s start'],
  ['__u8', 'comm', 64, 'name of the thread'],
];

function structName(layout: RecordLayout): string {
  return `tapio_${layout.type}_${layout.op}`;
}

function recordStruct(layout: RecordLayout): string {
  const name = structName(layout);
  const lines = [`struct ${name} {`, '  struct tapio_header header;'];
  for (const m of layout.members) {
    lines.push(`  ${m.ctype} ${m.name}${m.count > 1 ? `[${m.count}]` : ''};`);
  }
  lines.push('};');
  for (const m of layout.members) {
    lines.push(`_Static_assert(offsetof(struct ${name}, ${m.name}) == ${m.offset}, "${m.name}");`);
  }
  lines.push(`_Static_assert(sizeof(struct ${name}) == ${layout.bytes}, "${name}");`);
  if (layout.tail.length > 0) lines.push(`/* tail: ${layout.tail.join(', ')} */`);
  for (const [field, bit] of layout.nullBits) {
    lines.push(
      `#define TAPIO_NULL_${layout.type}_${layout.op}_${field} (1u << ${bit})`.replace(
        /TAPIO_NULL_\w+/,
        (s) => s.toUpperCase(),
      ),
    );
  }
  return lines.join('\n');
}

/** Text of events.h. */
export function eventsHeader(): string {
  const layouts = allLayouts();
  const out = [
    HEAD,
    '#ifndef TAPIO_EVENTS_H',
    '#define TAPIO_EVENTS_H',
    '',
    '#ifndef offsetof',
    '#define offsetof(type, member) __builtin_offsetof(type, member)',
    '#endif',
    '',
    `#define TAPIO_FORMAT_VERSION ${FORMAT_VERSION}`,
    `#define TAPIO_SCHEMA_FINGERPRINT "${schemaFingerprint()}"`,
    '',
    ...Object.entries(FLAGS).map(
      ([name, f]) => `#define TAPIO_FLAG_${name.toUpperCase()} ${1 << f.bit} /* ${f.doc} */`,
    ),
    '',
    'enum tapio_type {',
    ...Object.entries(EVENTS).map(([t, s]) => `  TAPIO_TYPE_${t.toUpperCase()} = ${s.id},`),
    '};',
    '',
    'enum tapio_op {',
    ...layouts.map((l) => `  TAPIO_${`${l.type}_${l.op}`.toUpperCase()} = ${l.spec.id},`),
    `  TAPIO_OPS = ${Math.max(...layouts.map((l) => l.spec.id)) + 1},`,
    '};',
    '',
    '/* Heads every record. */',
    'struct tapio_header {',
    ...HEADER_MEMBERS.map(
      ([type, name, , doc]) => `  ${type} ${name}${name === 'comm' ? '[16]' : ''}; /* ${doc} */`,
    ),
    '};',
    ...HEADER_MEMBERS.map(
      ([, name, offset]) =>
        `_Static_assert(offsetof(struct tapio_header, ${name}) == ${offset}, "${name}");`,
    ),
    `_Static_assert(sizeof(struct tapio_header) == ${HEADER_BYTES}, "header");`,
    '',
    '/* Heads each string of a tail; `stored` bytes follow, then zeros up to a multiple of 8.',
    ' * `full` is the length before it was cut, 0xffff where that is larger or unknown. */',
    'struct tapio_string {',
    '  __u16 stored;',
    '  __u16 full;',
    '  __u32 reserved;',
    '};',
    '_Static_assert(sizeof(struct tapio_string) == 8, "string");',
    '',
    ...layouts.flatMap((l) => [recordStruct(l), '']),
    '#endif',
    '',
  ];
  return out.join('\n');
}
