// The rows of fixtures/unified give these events, byte for byte, and nothing of them is lost on others who read them.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { env } from 'node:process';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import {
  fixtureEvents,
  fixtureFiles,
  fixtureRows,
  REBASE,
  unifiedFixture,
} from '../../fixtures/make-unified.ts';
import { EVENTS } from '../../schemas/events.ts';
import {
  SEVERITIES,
  UNIFIED_EVENT,
  UNIFIED_TYPES,
  type UnifiedObject,
} from '../../schemas/unified.ts';
import { parseUnified } from '../../src/unified/event.ts';
import { findGo, GO_MIN } from '../support/go.ts';
import { ROOT } from '../support/recording.ts';
import { looseColumns, parseExactly } from '../support/unified-rows.ts';

type Json = Readonly<Record<string, unknown>>;

const events = (): string[] => [...fixtureEvents(), ...fixtureEvents(REBASE)];
const parsed = (): Json[] => events().map((line) => parseExactly(line) as Json);

test('rows give the events that are written down', () => {
  for (const [name, text] of fixtureFiles()) expect(text, name).toBe(unifiedFixture(name));
});

test('it is the same whether columns lie in buffers or not', () => {
  expect(fixtureEvents(undefined, looseColumns)).toEqual(fixtureEvents());
});

test('an event as an object is its text', () => {
  for (const text of events()) expect(JSON.stringify(parseUnified(text))).toBe(text);
});

test('there are rows of every op', () => {
  const all = Object.entries(EVENTS).flatMap(([type, { ops }]) =>
    Object.keys(ops).map((op) => `${type}.${op}`),
  );
  const here = new Set(fixtureRows().map(({ type, row }) => `${type}.${row.op}`));
  expect(all.filter((op) => !here.has(op))).toEqual([]);
});

test('types and severities are ones that Tapio has', () => {
  for (const event of parsed()) {
    expect(UNIFIED_TYPES).toContain(event.type);
    expect(SEVERITIES).toContain(event.severity);
  }
});

/** Keys of an object are those of the table, in its order; what is empty is not there. */
function checkShape(value: Json, table: UnifiedObject, at: string): void {
  const keys = Object.keys(value);
  expect(
    Object.keys(table).filter((key) => keys.includes(key)),
    at,
  ).toEqual(keys);
  for (const [key, field] of Object.entries(table)) {
    const here = value[key];
    if (field.omitempty) expect([0, '', null], `${at}.${key}`).not.toContain(here);
    else expect(here, `${at}.${key}`).toBeDefined();
    if (typeof field.type === 'object' && here !== undefined) {
      checkShape(here as Json, field.type, `${at}.${key}`);
    }
  }
}

test('keys are in the order of the Go struct, and what it leaves out when empty is left out', () => {
  for (const event of parsed()) {
    checkShape(event, UNIFIED_EVENT, 'event');
    const names = Object.keys(event.attributes as Json);
    expect(names).toEqual([...names].sort());
  }
});

test('events are valid by the schema, and others are not', () => {
  const schema = readFileSync(`${ROOT}/schemas/generated/unified-event.schema.json`, 'utf8');
  const validate = new Ajv2020({ allErrors: true, strictTypes: false }).compile(JSON.parse(schema));
  const plain = events().map((line) => JSON.parse(line) as Json);
  for (const event of plain) {
    expect(validate(event), JSON.stringify([validate.errors, event])).toBe(true);
  }
  const [event = {}] = plain;
  const wrong: readonly Json[] = [
    { type: 'file' },
    { id: 'x' },
    { severity: 'fatal' },
    { message: '' },
    { timestamp: '2026-11-18T11:06:40.100Z' },
    { kernel: { pid: -1 } },
    { kernel: { pid: 0 } },
    { files: {} },
    { attributes: { a: null } },
    { semantic: undefined, source: undefined },
  ];
  for (const one of wrong) {
    const other = JSON.parse(JSON.stringify({ ...event, ...one }));
    expect(validate(other), JSON.stringify(one)).toBe(false);
  }
});

const go = findGo();

// Where CI runs there has to be one.
test.skipIf(go === null && !env.CI)('a Go struct with the same tags keeps all of it', () => {
  if (go === null) throw new Error(`no Go ≥ 1.${GO_MIN} on this machine`);
  const input = events().map((line) => `${line}\n`);
  const output = execFileSync(go, ['run', `${ROOT}/test/interop/unified/main.go`], {
    input: input.join(''),
    encoding: 'utf8',
    env: { ...env, GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local', GOPROXY: 'off' },
  });
  const lines = output.split('\n').slice(0, -1);
  expect(lines.map(parseExactly)).toEqual(input.map(parseExactly));
  // Go escapes two line separators that JSON need not, and has arguments in the order of their keys as text.
  const differ = lines.filter((line, i) => `${line}\n` !== input[i]);
  expect(differ.every((line) => line.includes('\\u2028') || line.includes('"10":'))).toBe(true);
});
