// tapio-replay schema: the event table.

import { stdout } from 'node:process';
import { COMMON, EVENTS, type FieldSpec, type TypeSpec } from '../../schemas/events.ts';
import { nearestName, TapioError } from '../../src/errors.ts';
import type { Command, Flags } from '../program.ts';

const TYPES: Readonly<Record<string, TypeSpec>> = EVENTS;

function fieldLines(fields: Readonly<Record<string, FieldSpec>>, prefix: string): string[] {
  const width = Math.max(...Object.keys(fields).map((name) => name.length + prefix.length));
  return Object.entries(fields).map(
    ([name, f]) =>
      `  ${(prefix + name).padEnd(width)}  ${f.type.padEnd(9)} ${(f.unit ?? '').padEnd(7)} ${f.doc}`,
  );
}

function typeLines(name: string, spec: TypeSpec): string[] {
  const ops = Object.entries(spec.ops).map(([op, o]) => {
    const state = !o.recorded ? 'not yet' : o.default ? 'default' : 'on request';
    return `  ${`${name}.${op}`.padEnd(20)} ${state.padEnd(10)} ${o.doc}`;
  });
  return ['', `${name}: ${spec.doc}`, ...ops, ...fieldLines(spec.fields, `${name}.`)];
}

async function run(flags: Flags): Promise<number> {
  const wanted = flags._.map(String);
  for (const name of wanted) {
    if (TYPES[name] === undefined) {
      const near = nearestName(name, Object.keys(TYPES));
      throw new TapioError(
        'usage',
        `unknown type ${name}${near === null ? '' : ` (did you mean ${near}?)`}`,
      );
    }
  }
  const types = Object.entries(TYPES).filter(
    ([name]) => wanted.length === 0 || wanted.includes(name),
  );
  if (flags.output === 'json') {
    stdout.write(`${JSON.stringify({ common: COMMON, types: Object.fromEntries(types) })}\n`);
    return 0;
  }
  const lines = [
    'common fields',
    ...fieldLines(COMMON, ''),
    ...types.flatMap(([n, s]) => typeLines(n, s)),
  ];
  stdout.write(`${lines.join('\n')}\n`);
  return 0;
}

export const schema: Command = {
  usage: 'schema [TYPE…] [flags]',
  flags: { output: { alias: 'o', choices: ['text', 'json'], default: 'text', describe: 'form' } },
  examples: [['tapio-replay schema network', 'ops and fields of network rows']],
  run,
};
