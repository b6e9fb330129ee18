// The protobuf messages of the events: field numbers are the table's ids.

import { COMMON, EVENTS, type FieldSpec, type FieldType } from './events.ts';
import { eventField, KTIME_FIELD, LOSS_FIELD } from './raw-event.ts';

const TYPES: Readonly<Record<FieldType, string>> = {
  u16: 'uint32',
  u32: 'uint32',
  u64: 'uint64',
  i32: 'int32',
  i64: 'int64',
  timestamp: 'fixed64',
  name: 'string',
  text: 'string',
  texts: 'repeated string',
  u64s: 'repeated uint64',
  bytes: 'bytes',
};

function pascal(name: string): string {
  return name.replace(/(^|_)([a-z])/g, (_, __, c: string) => c.toUpperCase());
}

function protoField(name: string, field: FieldSpec, optional: boolean): string {
  const type = TYPES[field.type];
  const label = optional && !type.startsWith('repeated') ? 'optional ' : '';
  return `  ${label}${type} ${name} = ${field.id}; // ${field.doc}`;
}

/** Text of events.proto. */
export function eventsProto(): string {
  return [
    '// Generated from schemas/events.ts by npm run generate; do not edit.',
    'syntax = "proto3";',
    '',
    'package tapio.ebpf.v1;',
    '',
    ...Object.entries(EVENTS).flatMap(([type, spec]) => [
      `// ${spec.doc}`,
      `message ${pascal(type)} {`,
      ...Object.entries(spec.fields).map(([name, f]) => protoField(name, f, true)),
      '}',
      '',
    ]),
    '// Events that are missing from a stream.',
    'message Loss {',
    '  string cause = 1; // as in EVENTS.md',
    '  optional uint64 count = 2; // absent: nobody can know',
    '  uint64 first_seq = 3; // between which rows, both inclusive; 0 where they never had a seq',
    '  uint64 last_seq = 4;',
    '  fixed64 first_ts = 5; // between which times, ns since 1970; 0 where that is not known',
    '  fixed64 last_ts = 6;',
    '}',
    '',
    '// One row of a recording. `ts` is in ns since 1970.',
    'message RawEvent {',
    ...Object.entries(COMMON).map(([name, f]) => protoField(name, f, false)),
    `  fixed64 ktime = ${KTIME_FIELD}; // CLOCK_MONOTONIC ns`,
    '  oneof event {',
    ...Object.entries(EVENTS).map(
      ([type, spec]) => `    ${pascal(type)} ${type} = ${eventField(spec.id)};`,
    ),
    `    Loss loss = ${LOSS_FIELD}; // nothing else is set then`,
    '  }',
    '}',
    '',
  ].join('\n');
}
