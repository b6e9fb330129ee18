// EVENTS.md: the reference that users read.

import { COMMON, EVENTS, type FieldSpec, FLAGS, type OpSpec, type TypeSpec } from './events.ts';
import { LOSS_CAUSES } from './losses.ts';

function fieldRows(fields: Readonly<Record<string, FieldSpec>>): string[] {
  return [
    '| field | type | unit | meaning |',
    '|---|---|---|---|',
    ...Object.entries(fields).map(
      ([name, f]) => `| \`${name}\` | ${f.type} | ${f.unit ?? ''} | ${f.doc} |`,
    ),
  ];
}

function state(op: OpSpec): string {
  if (!op.recorded) return 'not yet';
  return op.default ? 'default' : 'on request';
}

function typeSection(type: string, spec: TypeSpec): string[] {
  return [
    `## ${type}`,
    '',
    `${spec.doc[0]?.toUpperCase()}${spec.doc.slice(1)}.`,
    '',
    '| op | recorded | meaning | covers | fields |',
    '|---|---|---|---|---|',
    ...Object.entries(spec.ops).map(
      ([name, op]) =>
        `| \`${name}\` | ${state(op)} | ${op.doc} | ${op.covers.join(', ')} | ${op.fields.join(', ')} |`,
    ),
    '',
    ...fieldRows(spec.fields),
    '',
  ];
}

function lossSection(): string[] {
  return [
    '## What can be lost',
    '',
    'Nothing is lost without a row in `losses.arrow` (stage, cause, type, op, cpu, count, first and last time); a',
    'count of null is unknown. `tapio-replay account` adds them up. By stage and cause:',
    '',
    '| stage | cause | what happened | what to do |',
    '|---|---|---|---|',
    ...Object.entries(LOSS_CAUSES).map(
      ([name, { stage, doc, remedy }]) => `| ${stage} | \`${name}\` | ${doc} | ${remedy} |`,
    ),
    '',
  ];
}

/** Text of EVENTS.md. */
export function eventsMarkdown(): string {
  return [
    '<!-- Generated from schemas/events.ts and schemas/losses.ts by npm run generate; do not edit. -->',
    '# Events',
    '',
    'A field that an op does not set is null. `ret` and `result` are as the kernel returns them',
    '(−errno); `error` is a positive errno, 0 on success. Strings that are not UTF-8 are stored with',
    '`\\xHH` for each odd byte and a doubled backslash, so that nothing is lost.',
    '',
    '## Common fields',
    '',
    ...fieldRows(COMMON),
    '',
    `Bits of \`flags\`: ${Object.entries(FLAGS)
      .map(([name, f]) => `${1 << f.bit} ${name} (${f.doc})`)
      .join(', ')}.`,
    '',
    '`ktime` (CLOCK_MONOTONIC, ns) is not stored: it is `ts` minus the offset in the segment’s metadata,',
    'and every reader gives it back.',
    '',
    ...Object.entries(EVENTS).flatMap(([type, spec]) => typeSection(type, spec)),
    ...lossSection(),
  ].join('\n');
}
