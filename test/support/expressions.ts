// Random filter expressions that are well typed, random rows for them, and what another CEL says of both.

import { BlockList, isIP } from 'node:net';
import {
  type CelInput,
  CelScalar,
  celEnv,
  celFunc,
  celMethod,
  celUint,
  isCelError,
  parse,
  plan,
} from '@bufbuild/cel';
import { create } from '@bufbuild/protobuf';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { COMMON, EVENTS, type FieldSpec } from '../../schemas/events.ts';
import type { RowValue } from '../../src/event/json.ts';

/** An expression of ours, and the same one for the oracle, which knows neither units nor widths. */
export interface Expression {
  readonly ours: string;
  readonly oracle: string;
}

export interface Row {
  readonly type: EventType;
  /** By column name; what is not there is null. */
  readonly values: Readonly<Record<string, RowValue>>;
}

/** Template for both texts at once. */
function cel(
  strings: TemplateStringsArray,
  ...parts: readonly (Expression | string)[]
): Expression {
  const build = (side: 'ours' | 'oracle'): string =>
    strings.reduce((text, piece, i) => {
      const part = parts[i - 1];
      return text + (typeof part === 'object' ? part[side] : part) + piece;
    });
  return { ours: build('ours'), oracle: build('oracle') };
}

const same = (text: string): Expression => ({ ours: text, oracle: text });

type Field = readonly [name: string, spec: FieldSpec];

const INTEGERS: readonly string[] = ['u16', 'u32', 'u64', 'i32', 'i64'];
const STRINGS: readonly string[] = ['name', 'text'];

const fieldsOf = (type: EventType): Field[] => Object.entries(EVENTS[type].fields);

/** Full names of the fields of some storage, common ones and those of a type. */
function namesOf(type: EventType, stored: readonly string[], common = true): string[] {
  const wanted = ([, spec]: Field): boolean => stored.includes(spec.type);
  return [
    ...(common
      ? Object.entries(COMMON)
          .filter(wanted)
          .map(([name]) => name)
      : []),
    ...fieldsOf(type)
      .filter(wanted)
      .map(([name]) => `${type}.${name}`),
  ];
}

const WORDS = [
  '',
  'a',
  'ab',
  'nginx',
  'sh',
  '-c',
  '/etc/passwd',
  '10.1.2.3',
  'fe80::1',
  'é',
  '😀',
  'a.b',
  'exec',
];
const PATTERNS = ['^a', 'x$', '[0-9]+', '(?i)NGINX', 'a|sh', '.', '^$', 'g.n', '\\\\.', 'b{1,2}'];
const NETWORKS = ['10.0.0.0/8', '10.1.2.3/32', '0.0.0.0/0', 'fe80::/10', '::/0'];
const MOMENT = 1_795_370_400_000_000_000n;

const quote = (text: string): string => JSON.stringify(text);
const pick = <T>(values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const tuple = fc.tuple;

// Products of two of them and any sum fit 63 bits, or else not even 64: the oracle's integers are narrower.
const NUMBERS = [0n, 1n, 2n, 3n, 7n, 22n, 443n, 1000n, 65535n, 2n ** 31n, 2n ** 33n + 1n];

const orders = pick(['==', '!=', '<', '<=', '>', '>=']);

type Parts = {
  readonly int: Expression;
  readonly text: Expression;
  readonly bool: Expression;
};

/** Constants that expressions compare with. */
export interface Constants {
  readonly numbers: readonly bigint[];
  readonly words: readonly string[];
}

/** Expressions over what is at hand: fields, or also the item of a list. */
function grammar(
  type: EventType,
  item: 'int' | 'text' | null,
  constants: Constants,
): fc.LetrecValue<Parts> {
  const ints = namesOf(type, INTEGERS).map(same);
  const texts = namesOf(type, STRINGS).map(same);
  const numbers = item === 'int' ? [...ints, ...ints.map(() => same('x'))] : ints;
  const strings = item === 'text' ? [...texts, ...texts.map(() => same('x'))] : texts;
  const lists = namesOf(type, ['texts'], false);
  const arrays = namesOf(type, ['u64s'], false);
  const nullable = fieldsOf(type).map(([name]) => `${type}.${name}`);
  const timed = fieldsOf(type).filter(([, { unit }]) => unit === 'ns' || unit === 'us');
  const word = pick(constants.words).map((text) => same(quote(text)));
  const literal = pick(constants.numbers).map((n) => same(String(n)));
  const intLeaf = fc.oneof({ weight: 4, arbitrary: pick(numbers) }, literal);
  const textLeaf = fc.oneof({ weight: 4, arbitrary: pick(strings) }, word);

  return fc.letrec<Parts>((tie) => {
    const int = tie('int');
    const text = tie('text');
    const bool = tie('bool');
    const elements = fc.oneof(
      fc.array(literal, { maxLength: 4 }),
      fc.array(fc.oneof(literal, int), { minLength: 1, maxLength: 3 }),
    );
    const strings = fc.oneof(
      fc.array(word, { maxLength: 4 }),
      fc.array(fc.oneof(word, text), { minLength: 1, maxLength: 3 }),
    );
    const list = (parts: readonly Expression[]): Expression => ({
      ours: `[${parts.map((one) => one.ours).join(', ')}]`,
      oracle: `[${parts.map((one) => one.oracle).join(', ')}]`,
    });
    const element = (names: readonly string[]): fc.Arbitrary<Expression>[] =>
      names.length === 0
        ? []
        : [tuple(pick(names), fc.nat(3)).map(([name, i]) => same(`${name}[${i}]`))];
    const macro = (name: string, of: 'int' | 'text'): fc.Arbitrary<Expression> =>
      tuple(pick(['exists', 'all', 'exists_one']), grammar(type, of, constants).bool).map(
        ([kind, test]) => cel`${name}.${kind}(x, ${test})`,
      );
    return {
      int: fc.oneof(
        { maxDepth: 3, depthSize: 'small', withCrossShrink: true },
        intLeaf,
        tuple(int, pick(['+', '-']), int).map(([a, op, b]) => cel`(${a} ${op} ${b})`),
        tuple(intLeaf, pick(['*', '/', '%']), intLeaf).map(([a, op, b]) => cel`(${a} ${op} ${b})`),
        int.map((a) => cel`(-(${a}))`),
        text.map((a) => cel`size(${a})`),
        tuple(bool, int, int).map(([c, a, b]) => cel`(${c} ? ${a} : ${b})`),
        ...element(arrays),
        ...[...lists, ...arrays].map((name) => fc.constant(same(`${name}.size()`))),
      ),
      text: fc.oneof(
        { maxDepth: 3, depthSize: 'small', withCrossShrink: true },
        textLeaf,
        ...element(lists),
        tuple(bool, text, text).map(([c, a, b]) => cel`(${c} ? ${a} : ${b})`),
      ),
      bool: fc.oneof(
        { maxDepth: 4, depthSize: 'medium', withCrossShrink: true },
        tuple(int, orders, int).map(([a, op, b]) => cel`${a} ${op} ${b}`),
        tuple(pick(numbers), orders, pick(['1.5', '-0.5', '443.0', '1e3'])).map(
          ([a, op, b]) => cel`${a} ${op} ${b}`,
        ),
        tuple(text, orders, text).map(([a, op, b]) => cel`${a} ${op} ${b}`),
        tuple(pick(EVENT_TYPES), pick(['==', '!='])).map(([t, op]) => cel`type ${op} ${quote(t)}`),
        tuple(int, elements).map(([a, b]) => cel`${a} in ${list(b)}`),
        tuple(text, strings).map(([a, b]) => cel`${a} in ${list(b)}`),
        tuple(text, pick(['startsWith', 'endsWith', 'contains']), text).map(
          ([a, name, b]) => cel`(${a}).${name}(${b})`,
        ),
        tuple(text, pick(PATTERNS)).map(([a, b]) => cel`(${a}).matches("${b}")`),
        tuple(pick(NETWORKS), pick(texts)).map(([n, a]) => cel`cidr("${n}").containsIP(${a})`),
        pick(nullable).map((name) => same(`has(${name})`)),
        tuple(orders, fc.integer({ min: -2, max: 2 })).map(
          ([op, s]) => cel`ts ${op} timestamp("2026-11-22T18:00:00Z") + duration("${String(s)}s")`,
        ),
        tuple(orders, fc.integer({ min: -1500, max: 1500 })).map(
          ([op, ms]) =>
            cel`ts - timestamp("2026-11-22T18:00:00Z") ${op} duration("${String(ms)}ms")`,
        ),
        ...(timed.length === 0
          ? []
          : [
              tuple(pick(timed), orders, pick([0, 1, 443, 999, 1000, 1500, 22_000])).map(
                ([[name, { unit }], op, ns]): Expression => ({
                  ours: `${type}.${name} ${op} duration("${ns}ns")`,
                  oracle: `${type}.${name} * ${unit === 'us' ? 1000 : 1} ${op} ${ns}`,
                }),
              ),
            ]),
        ...(item === null
          ? [
              ...lists.map((name) => macro(name, 'text')),
              ...arrays.map((name) => macro(name, 'int')),
              ...lists.map((name) => text.map((a) => cel`${a} in ${name}`)),
              ...arrays.map((name) => int.map((a) => cel`${a} in ${name}`)),
            ]
          : []),
        tuple(bool, pick(['&&', '||']), bool).map(([a, op, b]) => cel`(${a} ${op} ${b})`),
        tuple(bool, pick(['&&', '||']), bool).map(([a, op, b]) => cel`(${a} ${op} ${b})`),
        bool.map((a) => cel`!(${a})`),
        tuple(bool, pick(['==', '!=']), bool).map(([a, op, b]) => cel`((${a}) ${op} (${b}))`),
        tuple(bool, bool, bool).map(([c, a, b]) => cel`((${c}) ? (${a}) : (${b}))`),
      ),
    };
  });
}

/** A well-typed expression over the fields of a type. */
export const expressionOf = (
  type: EventType,
  constants: Constants = { numbers: NUMBERS, words: WORDS },
): fc.Arbitrary<Expression> => grammar(type, null, constants).bool;

function cellOf(spec: FieldSpec): fc.Arbitrary<RowValue> {
  const narrow = (bits: bigint): bigint[] => NUMBERS.filter((n) => n < 2n ** bits);
  switch (spec.type) {
    case 'u16':
      return pick(narrow(16n).map(Number));
    case 'u32':
      return pick(narrow(32n).map(Number));
    case 'i32':
      return pick([-2, -1, ...narrow(31n).map(Number)]);
    case 'u64':
      return pick(NUMBERS);
    case 'i64':
      return pick([-2n, -1n, ...NUMBERS]);
    case 'timestamp':
      return tuple(fc.integer({ min: -2000, max: 2000 }), pick([0n, 0n, 1n, -1n])).map(
        ([ms, ns]) => MOMENT + BigInt(ms) * 1_000_000n + ns,
      );
    case 'name':
    case 'text':
      return pick(WORDS);
    case 'texts':
      return fc.array(pick(WORDS), { maxLength: 3 });
    case 'u64s':
      return fc.array(pick(NUMBERS), { maxLength: 3 });
    case 'bytes':
      return fc.constant(new Uint8Array([1, 2]));
  }
}

/** A row of a type; own fields may be null, common ones are not. */
export function rowOf(type: EventType): fc.Arbitrary<Row> {
  const own = fieldsOf(type).map(
    ([name, spec]) => [name, fc.option(cellOf(spec), { freq: 4 })] as const,
  );
  const ops = Object.keys(EVENTS[type].ops);
  const common = Object.entries(COMMON).map(
    ([name, spec]) => [name, name === 'op' ? pick(ops) : cellOf(spec)] as const,
  );
  return fc
    .record(Object.fromEntries<fc.Arbitrary<RowValue>>([...common, ...own]))
    .map((values) => ({ type, values: { ...values, ktime: 5n } }));
}

/** The value of a row's column; absent ones are null. */
export const getter =
  ({ values }: Row) =>
  (field: string): RowValue =>
    values[field] ?? null;

function inputOf(name: string, value: RowValue): CelInput {
  if (name === 'ts') {
    const ns = value as bigint;
    return create(TimestampSchema, {
      seconds: ns / 1_000_000_000n,
      nanos: Number(ns % 1_000_000_000n),
    });
  }
  if (typeof value === 'number') return BigInt(value);
  if (typeof value === 'bigint' && value >= 2n ** 63n) return celUint(value);
  if (Array.isArray(value)) return value.map((one) => inputOf('', one as RowValue)) as CelInput;
  return value as CelInput;
}

const family = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4');

function contains(network: string, address: string): boolean {
  if (isIP(address) === 0) throw new Error('no address');
  const [base = '', bits = ''] = network.split('/');
  const list = new BlockList();
  list.addSubnet(base, Number(bits), family(base));
  return family(base) === family(address) && list.check(address, family(address));
}

const { STRING, BOOL } = CelScalar;
const ENV = celEnv({
  funcs: [
    celFunc('cidr', [STRING], STRING, (network) => network),
    celMethod('containsIP', STRING, [STRING], BOOL, function (address) {
      return contains(this, address);
    }),
  ],
});

/** An expression as the oracle reads it: true, false, or null for an error. */
export function oracleOf(text: string): (row: Row) => boolean | null {
  const run = plan(ENV, parse(text));
  return (row) => {
    const objects = Object.fromEntries<CelInput>(EVENT_TYPES.map((type) => [type, {}]));
    const input: Record<string, CelInput> = { ...objects, type: row.type };
    const own: Record<string, CelInput> = {};
    for (const [name, value] of Object.entries(row.values)) {
      if (value === null) continue;
      const to = name === 'ktime' || Object.hasOwn(COMMON, name) ? input : own;
      to[name] = inputOf(name, value);
    }
    const result = run({ ...input, [row.type]: own } as never);
    if (isCelError(result)) return null;
    if (typeof result !== 'boolean') throw new Error(`the oracle says ${String(result)}`);
    return result;
  };
}
