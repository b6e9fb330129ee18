// Whatever the policy, the rows and the request: what is let out is what a plain reading of the policy says,
// and what it hides makes no difference that anybody could see.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { EVENTS } from '../../schemas/events.ts';
import { allOps } from '../../src/config/config.ts';
import { TapioError } from '../../src/errors.ts';
import { fieldNames, JsonEncoder, type RowValue } from '../../src/event/json.ts';
import { type Filter, parseFilter } from '../../src/query/filter/filter.ts';
import { matches } from '../../src/query/predicate.ts';
import { predicateOf, type Selection, select } from '../../src/query/select.ts';
import type { Request } from '../../src/service/grant.ts';
import type { Identity } from '../../src/service/identity.ts';
import { Policy, type Rule, UNLIMITED } from '../../src/service/policy.ts';
import { fieldName, redactableFields } from '../../src/service/redact.ts';
import { expressionOf, type Row, rowOf } from '../support/expressions.ts';
import { columnsWith, looseColumns, type PlainRow } from '../support/unified-rows.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const CASES = process.env.TAPIO_LONG === undefined ? 400 : 10_000;
/** Rows lie within two seconds of it. */
const MOMENT = 1_795_370_400_000_000_000n;
const OPS = [...allOps().keys()];
const ANN: Identity = { kind: 'peer', uid: 1000, gid: 100, pid: 7 };
/** Ann's first: the others speak of somebody else. */
const NAMES = ['uid:1000', 'gid:100', 'group:ours', '*', 'uid:5', 'group:theirs'];
const OWN_NAMES = NAMES.slice(0, 4);
const GROUPS = new Map([
  ['ours', ['uid:1000']],
  ['theirs', ['uid:5']],
]);
const MASK = { pattern: 'token=(\\S+)', with: '***' };
const SECRETS = ['hunter2', 'swordfish'] as const;

const filterText = fc
  .constantFrom(...EVENT_TYPES)
  .chain((type) => expressionOf(type).map(({ ours }) => ours));
const opSets = fc.oneof(
  fc.subarray(OPS, { maxLength: 4 }),
  fc.subarray(OPS, { minLength: OPS.length - 3 }),
);

/** A rule; its filter is text until it has been parsed. */
const rules = fc.record({
  who: fc.subarray(NAMES, { minLength: 1, maxLength: 2 }),
  allow: opSets,
  deny: fc.oneof(fc.constant([]), fc.subarray(OPS, { maxLength: 3 })),
  filter: fc.option(filterText, { freq: 2 }),
  hidden: fc.subarray(redactableFields(), { maxLength: 4 }),
  masked: fc.subarray(redactableFields('texts'), { maxLength: 3 }),
  reachMs: fc.option(fc.nat(4000), { freq: 2 }),
});

const requests = fc.record({
  types: fc.subarray([...EVENT_TYPES]),
  ops: fc.oneof(fc.constant([]), fc.subarray(OPS)),
  pids: fc.subarray(['0', '1', '22']),
  comms: fc.oneof(fc.constant([]), fc.subarray(['nginx', 'sh', 'a'])),
  filter: fc.option(filterText, { freq: 3 }),
  not: fc.boolean(),
  since: fc.option(fc.integer({ min: -2000, max: 2000 })),
  fields: fc.option(fc.subarray(fieldNames(), { maxLength: 6 })),
  measures: fc.oneof(fc.constant([]), fc.subarray(['type', 'uid', 'comm', 'file.path'])),
});

/** Two values for the same row: what is hidden of it is taken from the second, in the second store. */
const rowPairs = fc.array(
  fc.constantFrom(...EVENT_TYPES).chain((type) => fc.tuple(rowOf(type), rowOf(type))),
  { minLength: 1, maxLength: 12 },
);

type MadeRule = typeof rules extends fc.Arbitrary<infer T> ? T : never;
type MadeRequest = typeof requests extends fc.Arbitrary<infer T> ? T : never;

function opsOf(names: readonly string[]): Map<EventType, Set<string>> {
  const out = new Map<EventType, Set<string>>();
  for (const name of names) {
    const [type, op = ''] = name.split('.') as [EventType, string];
    out.set(type, (out.get(type) ?? new Set()).add(op));
  }
  return out;
}

/** Null where it is too deep or too large for a filter. */
async function parsed(text: string | null): Promise<Filter | null> {
  return text === null ? null : await parseFilter(text).catch(() => null);
}

async function ruleFrom(made: MadeRule): Promise<Rule> {
  const { who, allow, deny, hidden, masked, reachMs } = made;
  return {
    who,
    allow: opsOf(allow),
    deny: opsOf(deny),
    filter: await parsed(made.filter),
    redact: [
      ...hidden.map((field) => ({ field, mask: null })),
      ...masked.map((field) => ({ field, mask: MASK })),
    ],
    limits: { ...UNLIMITED, reachMs },
  };
}

/** What a plain reading of the rules says. */
class Model {
  readonly #rules: readonly Rule[];
  readonly #now: bigint;

  constructor(all: readonly Rule[], now: bigint) {
    this.#rules = all.filter(({ who }) => who.some((name) => OWN_NAMES.includes(name)));
    this.#now = now;
  }

  permits({ type, values }: Row): boolean {
    const op = String(values.op);
    const old = this.#rules.some(
      ({ limits: { reachMs } }) =>
        reachMs !== null && (values.ts as bigint) < this.#now - BigInt(reachMs) * 1_000_000n,
    );
    const denied = this.#rules.some(({ deny }) => deny.get(type)?.has(op));
    const allowed = this.#rules.some(
      ({ allow, filter }) =>
        allow.get(type)?.has(op) &&
        (filter === null || matches(filter.for(type), (field) => values[field] ?? null) === true),
    );
    return allowed && !denied && !old;
  }

  hides(field: string): boolean {
    return this.#rules.some(({ redact }) =>
      redact.some((one) => one.field === field && one.mask === null),
    );
  }

  /** Only parts of it are hidden. */
  masks(field: string): boolean {
    return (
      !this.hides(field) &&
      this.#rules.some(({ redact }) => redact.some((one) => one.field === field))
    );
  }

  /** A value of a field as it may be shown. */
  shown(field: string, value: RowValue): RowValue {
    if (this.hides(field)) return null;
    if (!this.masks(field)) return value;
    return eachText(value, (text) => text.replace(/token=\S+/gu, 'token=***'));
  }
}

/** Whether a row is one that the client asks for, its policy aside. */
function isAsked(selection: Selection, { type, values }: Row): boolean {
  const { since, types, ops, pids, comms, filter, not } = selection;
  if (!types.includes(type)) return false;
  if (since !== null && (values.ts as bigint) < since) return false;
  const is =
    (ops === null || ops.get(type)?.has(String(values.op)) === true) &&
    (pids === null || pids.has(Number(values.pid))) &&
    (comms === null || comms.has(String(values.comm))) &&
    (!filter || matches(filter.for(type), (field) => values[field] ?? null) === true);
  return is !== (not ?? false);
}

/** Everything that a client gets to see: rows, counts, groups, or the refusal. */
interface Answer {
  readonly refusal: string | null;
  readonly seqs: readonly bigint[];
  readonly lines: readonly string[];
  readonly groups: Readonly<Record<string, number>>;
}

function answer(policy: Policy, request: Request, now: bigint, rows: readonly Row[]): Answer {
  const grant = policy.grantFor(ANN);
  if (grant === null) return { refusal: 'nothing', seqs: [], lines: [], groups: {} };
  const bound = (() => {
    try {
      return grant.bind(request, now);
    } catch (error) {
      if (!(error instanceof TapioError)) throw error;
      return `${error.code}: ${error.message}`;
    }
  })();
  if (typeof bound === 'string') return { refusal: bound, seqs: [], lines: [], groups: {} };
  const { selection, columns, redactor } = bound;
  const found = rows.filter(({ type, values }) => {
    const get = (field: string): RowValue => values[field] ?? null;
    return (
      selection.types.includes(type) &&
      (selection.since === null || (values.ts as bigint) >= selection.since) &&
      matches(predicateOf(selection, type, ''), get) === true
    );
  });
  const groups: Record<string, number> = {};
  const lines = found.map(({ type, values }) => {
    const key = JSON.stringify(
      (request.measures ?? []).map((field) =>
        field === 'type' ? type : String(values[field.split('.').at(-1) ?? ''] ?? null),
      ),
    );
    groups[key] = (groups[key] ?? 0) + 1;
    const read = columnsWith(type, [values as PlainRow]);
    const asked = new Map([...read].filter(([name]) => columns(type).includes(name)));
    const origin = { recording: 'r', host: 'h', boot_id: 'b' };
    const block = redactor.block({ type, origin, tsOffset: 0n, columns: asked });
    return new JsonEncoder(type, request.fields ?? null).encode(block.columns, 0, 0n);
  });
  return { refusal: null, seqs: found.map(({ values }) => values.seq as bigint), lines, groups };
}

/** What a text, or each of a list, becomes; null stays null. */
function eachText(value: RowValue, make: (text: string) => string): RowValue {
  if (Array.isArray(value)) return (value as readonly string[]).map(make);
  return typeof value === 'string' ? make(value) : value;
}

/** The row with a secret in each text of which parts are hidden, and its own number. */
function withSecret(model: Model, { type, values }: Row, secret: string, seq: bigint): Row {
  const own = Object.entries(values).map(([name, value]) => [
    name,
    model.masks(fieldName(type, name))
      ? eachText(value, (text) => `${text} token=${secret}`)
      : value,
  ]);
  const { ts = null } = values;
  return { type, values: { ...Object.fromEntries(own), seq, ktime: ts } };
}

/** The same row in the second store: another one where nobody may see it, else with other hidden values. */
function changed(model: Model, row: Row, other: Row): Row {
  if (!model.permits(row)) {
    return model.permits(other) ? row : other;
  }
  const values = Object.keys(row.values).map((name) => {
    const field = fieldName(row.type, name);
    const [own, its] = [row.values[name] ?? null, other.values[name] ?? null];
    if (model.hides(field)) return [name, its];
    if (!model.masks(field)) return [name, own];
    return [name, eachText(own, (text) => text.replace(SECRETS[0], SECRETS[1]))];
  });
  const out = { type: row.type, values: Object.fromEntries(values) as Row['values'] };
  // A policy's own filter may read what it hides: such a row is let out for another reason.
  return model.permits(out) ? out : row;
}

async function requestFrom(made: MadeRequest): Promise<Request> {
  const since = made.since === null ? null : MOMENT + BigInt(made.since) * 1_000_000n;
  const filter = await parsed(made.filter);
  const { fields, measures } = made;
  return { selection: select({ ...made, since, until: null, filter }), fields, measures };
}

const cases = fc.record({
  made: fc.array(rules, { minLength: 1, maxLength: 4 }),
  asked: requests,
  pairs: rowPairs,
  nowMs: fc.integer({ min: -2000, max: 3000 }),
});

test('what is let out is what the policy says, and what it hides changes nothing', async () => {
  const seen = { answered: 0, refused: 0, rows: 0, hiddenRows: 0, changedRows: 0 };
  await fc.assert(
    fc.asyncProperty(cases, async ({ made, asked, pairs, nowMs }) => {
      const all = await Promise.all(made.map(ruleFrom));
      const now = MOMENT + BigInt(nowMs) * 1_000_000n;
      const model = new Model(all, now);
      const request = await requestFrom(asked);
      const policy = new Policy(all, GROUPS);
      const rows = pairs.map(([row], i) => withSecret(model, row, SECRETS[0], BigInt(i + 1)));
      const swapped = pairs.map(([row, other], i) => {
        const [own, its] = [rows[i] ?? row, withSecret(model, other, SECRETS[1], BigInt(i + 1))];
        return changed(model, own, its);
      });

      const one = answer(policy, request, now, rows);
      expect(answer(policy, request, now, swapped)).toEqual(one);
      if (one.refusal !== null) {
        seen.refused++;
        return;
      }
      seen.answered++;

      const expected = rows.filter((row) => model.permits(row) && isAsked(request.selection, row));
      expect(one.seqs).toEqual(expected.map(({ values }) => values.seq));
      const lines = expected.map(({ type, values }) => {
        const shown = Object.entries(values).map(([name, value]) => [
          name,
          model.shown(fieldName(type, name), value),
        ]);
        const columns = looseColumns(type, [Object.fromEntries(shown) as PlainRow]);
        return new JsonEncoder(type, request.fields ?? null).encode(columns, 0, 0n);
      });
      expect(one.lines).toEqual(lines);
      for (const secret of SECRETS) expect(one.lines.join('\n')).not.toContain(secret);

      seen.rows += expected.length;
      seen.hiddenRows += rows.length - expected.length;
      seen.changedRows += rows.filter((row, i) => swapped[i] !== row).length;
    }),
    { seed: SEED, numRuns: CASES },
  );
  // The cases are no good where nothing is ever let out, refused or changed.
  for (const [what, count] of Object.entries(seen)) {
    expect(count, `${what}, seed ${SEED}`).toBeGreaterThan(CASES / 20);
  }
});

test('every op has a row of each verdict', () => {
  // The model itself must not be blind: one rule, one op, and all the others are hidden.
  for (const name of OPS) {
    const [type, op = ''] = name.split('.') as [EventType, string];
    const rule = { who: ['*'], allow: opsOf([name]), deny: new Map(), filter: null, redact: [] };
    const model = new Model([{ ...rule, limits: UNLIMITED }], MOMENT);
    for (const other of EVENT_TYPES) {
      for (const one of Object.keys(EVENTS[other].ops)) {
        const row = { type: other, values: { op: one, ts: MOMENT } };
        expect(model.permits(row)).toBe(other === type && one === op);
      }
    }
  }
});
