// Who may see what: rules, and what they come to for one identity. POLICY.md says it for people.

import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { EVENTS } from '../../schemas/events.ts';
import type { Filter } from '../query/filter/filter.ts';
import type { Mask } from '../source/redact.ts';
import { Grant, type Limits, type Ops } from './grant.ts';
import { groupsOf, type Identity, namesOf } from './identity.ts';

/** A field that is redacted; without a mask nothing of it is seen. */
export interface Redaction {
  readonly field: string;
  readonly mask: Mask | null;
}

/** What is said of some identities. */
export interface Rule {
  /** Names, as namesOf() and group:NAME; * is everybody. */
  readonly who: readonly string[];
  readonly allow: Ops;
  readonly deny: Ops;
  /** Which rows of what it allows; null: all. */
  readonly filter: Filter | null;
  readonly redact: readonly Redaction[];
  readonly limits: Limits;
}

/** Stands for every identity, and for every type. */
export const EVERY = '*';

export const UNLIMITED: Limits = {
  eventsPerSecond: null,
  bytesPerSecond: null,
  streams: null,
  reachMs: null,
};

/** All ops of some types. */
export function allOpsOf(types: readonly EventType[]): Ops {
  return new Map(types.map((type) => [type, new Set(Object.keys(EVENTS[type].ops))]));
}

const NO_OPS: Ops = new Map();

/**
 * What everybody may see. Several rules that speak of an identity add up:
 *
 * - A row is seen where one of them allows its op, and that rule's own filter is true of it.
 * - An op that any of them denies is never seen.
 * - What any of them redacts is redacted in every row. A field that is redacted as a whole needs no mask.
 * - Of each limit, the smallest holds.
 */
export class Policy {
  readonly rules: readonly Rule[];
  /** Members of groups by their names; of a group that is named here, nobody else is one. */
  readonly groups: ReadonlyMap<string, readonly string[]>;

  constructor(rules: readonly Rule[], groups: ReadonlyMap<string, readonly string[]> = new Map()) {
    this.rules = rules;
    this.groups = groups;
  }

  /** Where nobody wrote one: root and the recorder's own user see all, from this host; nobody else anything. */
  static builtIn(ownUid: number): Policy {
    const who = [...new Set([0, ownUid])].map((uid) => `uid:${uid}`);
    const everything = { allow: allOpsOf(EVENT_TYPES), deny: NO_OPS, filter: null, redact: [] };
    return new Policy([{ who, ...everything, limits: UNLIMITED }]);
  }

  /** What an identity may see; null: nothing. */
  grantFor(identity: Identity): Grant | null {
    const names = this.#namesOf(identity);
    const rules = this.rules.filter(({ who }) => who.some((name) => names.has(name)));
    const denied = rules.map(({ deny }) => deny);
    const permissions = rules.map(({ allow, filter }) => ({ ops: without(allow, denied), filter }));
    const redact = rules.flatMap((rule) => rule.redact);
    const hidden = redact.filter(({ mask }) => mask === null).map(({ field }) => field);
    const grant = new Grant(
      permissions,
      { hidden: new Set(hidden), masked: masksOf(redact) },
      smallest(rules.map(({ limits }) => limits)),
    );
    return grant.ops.size === 0 ? null : grant;
  }

  #namesOf(identity: Identity): ReadonlySet<string> {
    const own = namesOf(identity);
    const listed = [...this.groups].filter(([, members]) =>
      members.some((member) => own.includes(member)),
    );
    // Whoever issues tokens says who is in its groups, not who is in ours.
    const claimed = groupsOf(identity).filter((group) => !this.groups.has(group));
    const groups = [...listed.map(([group]) => group), ...claimed];
    return new Set([EVERY, ...own, ...groups.map((group) => `group:${group}`)]);
  }
}

function without(allowed: Ops, denied: readonly Ops[]): Ops {
  return new Map(
    [...allowed].map(([type, ops]) => [
      type,
      new Set([...ops].filter((op) => !denied.some((one) => one.get(type)?.has(op)))),
    ]),
  );
}

function masksOf(redact: readonly Redaction[]): Map<string, Mask[]> {
  const out = new Map<string, Mask[]>();
  for (const { field, mask } of redact) {
    if (mask !== null) out.set(field, [...(out.get(field) ?? []), mask]);
  }
  return out;
}

function smallest(limits: readonly Limits[]): Limits {
  const least = (name: keyof Limits): number | null => {
    const given = limits.map((one) => one[name]).filter((value) => value !== null);
    return given.length === 0 ? null : Math.min(...given);
  };
  return {
    eventsPerSecond: least('eventsPerSecond'),
    bytesPerSecond: least('bytesPerSecond'),
    streams: least('streams'),
    reachMs: least('reachMs'),
  };
}
