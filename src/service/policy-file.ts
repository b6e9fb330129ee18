// policy.yaml: its text as a Policy. POLICY.md describes the format.

import { type Document, LineCounter, parseDocument } from 'yaml';
import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { allOps } from '../config/config.ts';
import { parseDuration, parseSize, unknownName, usage } from '../config/values.ts';
import { TapioError } from '../errors.ts';
import { type Filter, parseFilter } from '../query/filter/filter.ts';
import { checkPattern } from '../query/filter/pattern.ts';
import { scanNative } from '../source/binding.ts';
import type { Mask } from '../source/redact.ts';
import type { Limits, Ops } from './grant.ts';
import { NAME_KINDS } from './identity.ts';
import { allOpsOf, EVERY, Policy, type Redaction, type Rule } from './policy.ts';
import { redactableFields } from './redact.ts';

const PATTERN_LENGTH_MAX = 1000;
const WITH_DEFAULT = '***';

const KEYS = ['groups', 'rules'] as const;
const LIMIT_KEYS = ['events-per-second', 'bytes-per-second', 'streams', 'reach'] as const;
const RULE_KEYS = ['who', 'allow', 'deny', 'filter', 'redact', ...LIMIT_KEYS] as const;
const REDACTION_KEYS = ['field', 'pattern', 'with'] as const;

type Path = readonly (string | number)[];

/** What is wrong at a place of the document. */
class Misplaced extends Error {
  readonly path: Path;

  constructor(path: Path, message: string) {
    super(message);
    this.path = path;
  }
}

/** A value of the document, and where it stands. */
class Place {
  readonly value: unknown;
  readonly #path: Path;

  constructor(value: unknown, path: Path) {
    this.value = value;
    this.#path = path;
  }

  refuse(message: string): never {
    throw new Misplaced(this.#path, message);
  }

  /** Refuses at this place what was refused of its value. */
  refuseAs(error: unknown): never {
    if (!(error instanceof TapioError)) throw error;
    return this.refuse(error.message);
  }

  /** Its settings by name. A key without a value is refused: what it was to say would be missing. */
  settings<K extends string>(what: string, keys: readonly K[]): Partial<Record<K, Place>> {
    const out: Partial<Record<K, Place>> = {};
    for (const [key, place] of this.entries(what)) {
      const known = keys.find((one) => one === key);
      if (known === undefined) place.refuse(unknownName(`setting of ${what}`, key, keys).message);
      else if (place.value === null) place.refuse('it has no value: give it one, or take it out');
      else out[known] = place;
    }
    return out;
  }

  /** Its keys with their values. */
  entries(what: string): [string, Place][] {
    const { value } = this;
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      this.refuse(`${what} is a set of settings, each as "name: value"`);
    }
    return Object.entries(value).map(([key, one]) => [key, new Place(one, [...this.#path, key])]);
  }

  /** Its items; a value alone is a list of one. */
  items(): Place[] {
    if (!Array.isArray(this.value)) return [this];
    return this.value.map((one, i) => new Place(one, [...this.#path, i]));
  }

  /** One word, number or text, as it was written. */
  text(what: string): string {
    const { value } = this;
    if (typeof value === 'string' || typeof value === 'number') return String(value);
    return this.refuse(`${what}, as one word or text`);
  }

  /** What its text says, as a function reads it that throws TapioError('usage'). */
  read<T>(what: string, parse: (text: string) => T): T {
    const text = this.text(what);
    try {
      return parse(text);
    } catch (error) {
      return this.refuseAs(error);
    }
  }

  /** A whole number of at least one. */
  count(what: string): number {
    const text = this.text(what);
    const count = Number(text);
    if (!/^\d{1,15}$/.test(text) || count < 1) this.refuse(`${text} is not ${what}: 1 or more`);
    return count;
  }
}

/** The place in the file of a path, or of the nearest part of it that has one. */
function placeIn(document: Document, lines: LineCounter, path: Path): string {
  for (let length = path.length; length >= 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as { range?: [number] } | undefined;
    if (node?.range !== undefined) {
      const { line, col } = lines.linePos(node.range[0]);
      return `:${line}:${col}`;
    }
  }
  return '';
}

/**
 * The policy that a file's text says; `path` is for messages. Throws TapioError('usage') with line, column and
 * setting for what it does not understand: nothing is left out of a policy.
 */
export async function parsePolicy(text: string, path: string): Promise<Policy> {
  const lines = new LineCounter();
  const options = { lineCounter: lines, prettyErrors: false, logLevel: 'error' } as const;
  const document = parseDocument(text, options);
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0]);
    const hint = problem.code === 'BAD_ALIAS' ? `: write '${EVERY}' in quotes` : '';
    throw usage(`${path}:${line}:${col}: this is not YAML: ${problem.message}${hint}`);
  }
  try {
    return await policyOf(new Place(contentOf(document), []));
  } catch (error) {
    if (!(error instanceof Misplaced)) throw error;
    const setting = error.path.findLast((part) => typeof part === 'string');
    const where = `${path}${placeIn(document, lines, error.path)}`;
    throw usage(`${where}: ${setting === undefined ? '' : `${setting}: `}${error.message}`);
  }
}

function contentOf(document: Document): unknown {
  try {
    return document.toJS();
  } catch (error) {
    // Aliases that would make it endless.
    throw new Misplaced([], `this is not YAML: ${(error as Error).message}`);
  }
}

async function policyOf(place: Place): Promise<Policy> {
  if (place.value === null) place.refuse('it is empty: begin with "rules:"');
  const { groups, rules } = place.settings('the policy', KEYS);
  if (rules === undefined) return place.refuse('it has no rules: begin with "rules:"');
  if (!Array.isArray(rules.value)) rules.refuse('begin each rule with "- who:"');
  const made: Rule[] = [];
  for (const one of rules.items()) made.push(await ruleOf(one));
  const listed = groups?.entries('groups') ?? [];
  return new Policy(made, new Map(listed.map(([name, members]) => [name, membersOf(members)])));
}

const membersOf = (place: Place): string[] =>
  place.items().map((one) => {
    const name = nameOf(one);
    if (name === EVERY || name.startsWith('group:')) one.refuse(`${name} is no member: name each`);
    return name;
  });

/** A name such as uid:1000, or * for everybody. */
function nameOf(place: Place): string {
  if (typeof place.value === 'object' && place.value !== null) {
    place.refuse('write a name without a space, as in uid:1000');
  }
  const name = place.text('name an identity');
  if (name === EVERY) return name;
  const [, kind = '', rest = ''] = /^([^:]*):(.+)$/s.exec(name) ?? [];
  if (rest === '') place.refuse(`${name} is no name: write uid:1000, token:NAME or '*'`);
  if (!NAME_KINDS.some((one) => one === kind)) {
    place.refuse(unknownName('kind of name', kind, NAME_KINDS).message);
  }
  if ((kind === 'uid' || kind === 'gid') && !/^(0|[1-9]\d{0,9})$/.test(rest)) {
    place.refuse(`${name}: write its number, as in ${kind}:1000`);
  }
  return name;
}

async function ruleOf(place: Place): Promise<Rule> {
  const given = place.settings('a rule', RULE_KEYS);
  const { who, allow, deny, filter, redact } = given;
  if (who === undefined)
    return place.refuse("it says nothing of whom it is: add who, as in who: '*'");
  if (Object.keys(given).length === 1) place.refuse('it allows nothing: add allow');
  if (filter !== undefined && allow === undefined) {
    filter.refuse('it says which rows of what is allowed are seen: add allow');
  }
  return {
    who: who.items().map(nameOf),
    allow: allow === undefined ? new Map() : opsOf(allow),
    deny: deny === undefined ? new Map() : opsOf(deny),
    filter: filter === undefined ? null : await filterOf(filter),
    redact: redact?.items().map(redactionOf) ?? [],
    limits: limitsOf(given),
  };
}

/** Types and ops by `type`, `type.op`, or * for all. */
function opsOf(place: Place): Ops {
  const out = new Map<EventType, Set<string>>();
  for (const one of place.items()) {
    for (const name of opNames(one)) {
      const [type, op = ''] = name.split('.') as [EventType, string];
      out.set(type, (out.get(type) ?? new Set()).add(op));
    }
  }
  return out;
}

function opNames(place: Place): string[] {
  const word = place.text('name types and ops');
  const full = [...allOps().keys()];
  const type = EVENT_TYPES.find((one) => one === word);
  if (word === EVERY || type !== undefined) {
    const ops = allOpsOf(type === undefined ? EVENT_TYPES : [type]);
    return [...ops].flatMap(([of, names]) => [...names].map((op) => `${of}.${op}`));
  }
  if (full.includes(word)) return [word];
  const meant = full.find((name) => name.split('.')[1] === word);
  if (meant !== undefined)
    place.refuse(`write ${meant} for ${word}: ops are named with their type`);
  return place.refuse(unknownName('type or op', word, [...EVENT_TYPES, ...full]).message);
}

async function filterOf(place: Place): Promise<Filter> {
  const text = place.text('a filter is an expression');
  try {
    return await parseFilter(text);
  } catch (error) {
    return place.refuseAs(error);
  }
}

function redactionOf(place: Place): Redaction {
  if (typeof place.value !== 'object' || place.value === null) {
    return { field: fieldOf(place, redactableFields()), mask: null };
  }
  const { field, pattern, with: text } = place.settings('a redaction', REDACTION_KEYS);
  if (field === undefined) return place.refuse('it redacts nothing: add field');
  if (pattern === undefined) {
    text?.refuse('it stands for what a pattern finds: add pattern');
    return { field: fieldOf(field, redactableFields()), mask: null };
  }
  const name = fieldOf(field, redactableFields());
  if (!redactableFields('texts').includes(name)) {
    pattern.refuse(`${name} is no text: leave the pattern out, and it is redacted as a whole`);
  }
  const mask = {
    pattern: patternOf(pattern),
    with: text?.text('a text that stands for it') ?? WITH_DEFAULT,
  };
  return { field: name, mask };
}

function fieldOf(place: Place, names: readonly string[]): string {
  const field = place.text('name a field');
  if (!names.includes(field)) place.refuse(unknownName('field to redact', field, names).message);
  return field;
}

function patternOf(place: Place): Mask['pattern'] {
  const pattern = place.text('a pattern is a regular expression');
  if (pattern === '' || pattern.length > PATTERN_LENGTH_MAX) {
    place.refuse(`a pattern has 1 to ${PATTERN_LENGTH_MAX} characters`);
  }
  const wrong = checkPattern(pattern) ?? scanNative().patternError(pattern);
  if (wrong !== null) place.refuse(`${pattern} is no pattern: ${wrong}`);
  return pattern;
}

function limitsOf(given: Partial<Record<(typeof LIMIT_KEYS)[number], Place>>): Limits {
  const { streams, reach } = given;
  const [events, bytes] = [given['events-per-second'], given['bytes-per-second']];
  const bytesPerSecond = bytes?.read('a size', parseSize) ?? null;
  if (bytesPerSecond === 0) bytes?.refuse('nothing could be sent: 1 or more');
  return {
    eventsPerSecond: events?.count('a number of events') ?? null,
    bytesPerSecond,
    streams: streams?.count('a number of streams') ?? null,
    reachMs: reach?.read('a duration', parseDuration) ?? null,
  };
}
