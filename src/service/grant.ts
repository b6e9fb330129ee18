// What one identity may see, and how a request is bound to it. Nothing is planned, read or counted but through
// what bind() gives.

import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { EVENTS } from '../../schemas/events.ts';
import { unknownName } from '../config/values.ts';
import { TapioError } from '../errors.ts';
import { fieldNames, JsonEncoder } from '../event/json.ts';
import type { Filter } from '../query/filter/filter.ts';
import { and, FALSE, oneOf, or, TRUE } from '../query/filter/fold.ts';
import { type Bool, fieldsIn } from '../query/predicate.ts';
import { predicateOf, type Selection } from '../query/select.ts';
import type { Rates } from './rate.ts';
import { fieldName, type Redactions, Redactor } from './redact.ts';

/** Ops by type. */
export type Ops = ReadonlyMap<EventType, ReadonlySet<string>>;

/** Rows that may be seen: of these ops, those for which the filter is true; null: all of them. */
export interface Permission {
  readonly ops: Ops;
  readonly filter: Filter | null;
}

/** How much may be seen of what may be seen; null: all. */
export interface Limits extends Rates {
  /** How far back, ms. */
  readonly reachMs: number | null;
}

/** What a client asks for. */
export interface Request {
  readonly selection: Selection;
  /** Fields to be shown, as fieldNames() has them; null or absent: all that may be. */
  readonly fields?: readonly string[] | null;
  /** Fields by which rows are grouped, or that are added up or measured: full names, as in file.bytes. */
  readonly measures?: readonly string[];
}

/** A request that holds nothing but what may be seen. */
export interface Bound {
  /** What is to be planned: its filter holds the policy's. */
  readonly selection: Selection;
  /** Columns of a type that may be read to be shown, seq and ts always among them. */
  readonly columns: (type: EventType) => readonly string[];
  /** Each block goes through it before its rows are let out in any form. */
  readonly redactor: Redactor;
}

const NS_PER_MS = 1_000_000n;

function refuse(message: string): never {
  throw new TapioError('not_permitted', message);
}

/** The type that a field is of, or null for one that all have. */
const typeOf = (field: string): EventType | null =>
  EVENT_TYPES.find((type) => field.startsWith(`${type}.`)) ?? null;

/** What one identity may see. */
export class Grant {
  /** Types and ops of which rows may be seen. */
  readonly ops: Ops;
  readonly limits: Limits;
  readonly redactions: Redactions;
  /**
   * Every row is seen whole, however old. Only such an identity may be shown what is not rows: plans, other
   * processes' descendants, tables of processes, sockets and stacks, and counts of bytes or batches read.
   */
  readonly isUnrestricted: boolean;
  readonly #redactor: Redactor;
  readonly #predicates: ReadonlyMap<EventType, Bool>;

  /** A row is seen where one of the permissions holds it. */
  constructor(permissions: readonly Permission[], redactions: Redactions, limits: Limits) {
    this.limits = limits;
    this.redactions = redactions;
    this.#redactor = new Redactor(redactions);
    this.#predicates = new Map(
      EVENT_TYPES.map((type) => [type, or(permissions.map((one) => permittedBy(one, type)))]),
    );
    this.ops = new Map(
      EVENT_TYPES.map((type) => [type, opsOf(permissions, type)] as const).filter(
        ([type, ops]) => ops.size > 0 && canBeTrue(this.#permitted(type)),
      ),
    );
    this.isUnrestricted =
      EVENT_TYPES.every((type) => this.#permitted(type).kind === 'true') &&
      redactions.hidden.size === 0 &&
      redactions.masked.size === 0 &&
      limits.reachMs === null;
  }

  /** Whether rows of an op may be seen: what is not, is not told as lost or missing either. */
  shows(type: EventType, op: string): boolean {
    return this.ops.get(type)?.has(op) ?? false;
  }

  /**
   * The request as it may be answered at a time (ns since 1970). Types, ops and rows that may not be seen are
   * as if they were not there. Throws TapioError('not_permitted') for a filter, group or measure that reads a
   * field which is redacted, and for fields of which nothing may be seen; 'usage' for those that do not exist.
   * What is thrown depends on the request and the policy alone, never on a row.
   */
  bind({ selection, fields = null, measures = [] }: Request, now: bigint): Bound {
    const { reachMs } = this.limits;
    if (selection.processes !== undefined && !this.isUnrestricted) {
      refuse(
        'descendants are looked for in all rows, and the policy hides some: ask by pid or ppid',
      );
    }
    for (const field of [...(fields ?? []), ...measures]) this.#checkShown(field);
    for (const field of [...measures, ...fieldsRead(selection)]) this.#checkWhole(field);
    const oldest = reachMs === null ? null : now - BigInt(Math.ceil(reachMs)) * NS_PER_MS;
    const since = later(selection.since, oldest);
    const isEmpty = since !== null && selection.until !== null && selection.until <= since;
    return {
      selection: {
        ...selection,
        since,
        types: isEmpty ? [] : selection.types.filter((type) => this.ops.has(type)),
        permitted: { for: (type) => this.#permitted(type) },
      },
      columns: (type) =>
        new JsonEncoder(type, fields).columns.filter(
          (column) => !this.redactions.hidden.has(fieldName(type, column)),
        ),
      redactor: this.#redactor,
    };
  }

  #permitted(type: EventType): Bool {
    return this.#predicates.get(type) ?? FALSE;
  }

  #checkShown(field: string): void {
    const names = fieldNames();
    if (!names.includes(field)) throw unknownName('field', field, names);
    const type = typeOf(field);
    if (type !== null && !this.ops.has(type)) {
      refuse(`the policy shows no ${type} events: leave out ${field}`);
    }
    if (this.redactions.hidden.has(field)) refuse(`the policy hides ${field}: leave it out`);
  }

  #checkWhole(field: string): void {
    if (this.redactions.hidden.has(field)) {
      refuse(`the policy hides ${field}: filter and group by other fields`);
    }
    if (this.redactions.masked.has(field)) {
      refuse(`the policy hides parts of ${field}: filter and group by other fields`);
    }
  }
}

/** What a permission lets be seen of the rows of a type. */
function permittedBy({ ops, filter }: Permission, type: EventType): Bool {
  const own = ops.get(type);
  if (own === undefined || own.size === 0) return FALSE;
  const isAll = own.size === Object.keys(EVENTS[type].ops).length;
  return and([
    isAll ? TRUE : oneOf({ kind: 'field', field: 'op' }, [...own]),
    filterOf(filter, type),
  ]);
}

const filterOf = (filter: Filter | null, type: EventType): Bool => filter?.for(type) ?? TRUE;

const canBeTrue = ({ kind }: Bool): boolean => kind !== 'false' && kind !== 'error';

function opsOf(permissions: readonly Permission[], type: EventType): ReadonlySet<string> {
  return new Set(
    permissions
      .filter(({ filter }) => canBeTrue(filterOf(filter, type)))
      .flatMap(({ ops }) => [...(ops.get(type) ?? [])]),
  );
}

/** Fields that decide which rows a selection wants. */
function fieldsRead(selection: Selection): ReadonlySet<string> {
  const read = EVENT_TYPES.flatMap((type) =>
    [...fieldsIn(predicateOf(selection, type, ''))].map((column) => fieldName(type, column)),
  );
  return new Set(read);
}

function later(a: bigint | null, b: bigint | null): bigint | null {
  if (a === null || b === null) return a ?? b;
  return a > b ? a : b;
}
