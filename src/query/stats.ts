// Sums over the rows of a plan: by group, over time, and how long things took. They are made natively, file
// by file; here the groups of all files become one by what their keys mean.

import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { TapioError } from '../errors.ts';
import type { ScanGroups } from '../source/scan.ts';
import type { Plan } from './plan.ts';
import type { FileGroups, Scanner } from './scanner.ts';

/** Value of a key: of a column, or null. */
export type KeyValue = string | number | bigint | null;

/** What is asked. Fields are `type`, common ones, or `type.field`. */
export interface StatsQuestion {
  readonly by: readonly string[];
  /** Fields to be added up, weighted. */
  readonly sums: readonly string[];
  /** Field whose distribution is wanted, per type; null: none. */
  readonly distribution: (type: EventType) => string | null;
}

/** A distribution in buckets at most 1/128 wide: smallest value of each, and how many events are in it. */
export interface Distribution {
  readonly buckets: Map<bigint, number>;
  largest: bigint;
}

export interface StatsGroup {
  readonly keys: readonly KeyValue[];
  rows: bigint;
  /** Rows by their weight. */
  events: bigint;
  /** One per field of `sums`. */
  readonly sums: bigint[];
  readonly distribution: Distribution;
}

const NO_GROUPS: ScanGroups = { keys: [], sums: [], distribution: -1, weight: -1 };

/** Number of a field's column in the table of a type; −1 where it has none. */
function columnOf(type: EventType, field: string): number {
  const [of, name] = field.includes('.') ? (field.split('.') as [string, string]) : [type, field];
  if (of !== type) return -1;
  return EVENT_TABLES[type].columns.findIndex((column) => column.name === name);
}

/** The type that a field is of; null for those of all. */
export function typeOfField(field: string): EventType | null {
  const [of] = field.split('.');
  return field.includes('.') ? (of as EventType) : null;
}

const KEY_TYPES = ['u16', 'u32', 'u64', 'i32', 'i64', 'name', 'text', 'timestamp'];

/** Throws TapioError('usage') for a field that no row can be grouped by, or added up. */
export function checkField(field: string, use: 'group' | 'sum'): void {
  if (field === 'type' && use === 'group') return;
  const type = typeOfField(field) ?? EVENT_TYPES[0];
  const column = EVENT_TABLES[type as EventType]?.columns[columnOf(type as EventType, field)];
  const isText = column?.type === 'name' || column?.type === 'text';
  if (column !== undefined && KEY_TYPES.includes(column.type) && !(use === 'sum' && isText)) return;
  const what = use === 'group' ? 'rows cannot be grouped by' : 'numbers are added up, which is not';
  throw new TapioError('usage', `${what} ${field}: choose another field`);
}

/** Sums of the rows of a plan by groups, in no order. */
export async function groupsOf(
  scanner: Scanner,
  { batches }: Plan,
  { by, sums, distribution }: StatsQuestion,
  onBatch: () => boolean,
): Promise<StatsGroup[]> {
  const own = by.filter((field) => field !== 'type');
  const groups = (type: EventType): ScanGroups => {
    const measured = distribution(type);
    return {
      keys: own.map((field) => ({ column: columnOf(type, field), origin: 0n, width: 0n })),
      sums: sums.map((field) => columnOf(type, field)),
      distribution: measured === null ? -1 : columnOf(type, measured),
      weight: columnOf(type, 'weight'),
    };
  };
  const found = new Map<string, StatsGroup>();
  // Rows of a type that lacks a key are in no group.
  const wanted = batches.filter(({ info }) =>
    own.every((field) => columnOf(info.type, field) >= 0),
  );
  const question = { columns: () => [], groups };
  for await (const file of scanner.groups(wanted, question, onBatch)) {
    addGroups(found, file, by, sums.length);
  }
  return [...found.values()];
}

function addGroups(
  found: Map<string, StatsGroup>,
  { segment, type, groups }: FileGroups,
  by: readonly string[],
  sums: number,
): void {
  const own = by.filter((field) => field !== 'type');
  const columns = own.map((field) => EVENT_TABLES[type].columns[columnOf(type, field)]);
  const names = columns.map((column) => column?.name ?? '');
  const strings = segment.strings(type, names);
  const keyAt = (at: number, raw: bigint): KeyValue => {
    const column = columns[at];
    if (column?.type === 'name' || column?.type === 'text') {
      return strings.get(column.name)?.at(Number(raw)) ?? null;
    }
    if (column?.type === 'u64') return BigInt.asUintN(64, raw);
    return column?.type === 'i64' || column?.type === 'timestamp' ? raw : Number(raw);
  };
  for (let i = 0; i < groups.rows.length; i++) {
    const nulls = groups.nulls[i] ?? 0;
    const values = own.map((_, k) =>
      (nulls >> k) & 1 ? null : keyAt(k, groups.keys[i * own.length + k] ?? 0n),
    );
    const keys = by.map((field) => (field === 'type' ? type : (values.shift() ?? null)));
    const group = groupAt(found, keys, sums);
    group.rows += groups.rows[i] ?? 0n;
    group.events += groups.weights[i] ?? 0n;
    for (let s = 0; s < sums; s++) {
      group.sums[s] = (group.sums[s] ?? 0n) + (groups.sums[i * sums + s] ?? 0n);
    }
    addBuckets(group.distribution, groups.buckets[i] ?? [], groups.largest[i] ?? null);
  }
}

/** What tells a group from all others. */
export function groupName(keys: readonly KeyValue[]): string {
  return keys.map((key) => `${typeof key}${String(key)}`).join('\0');
}

function groupAt(
  found: Map<string, StatsGroup>,
  keys: readonly KeyValue[],
  sums: number,
): StatsGroup {
  const name = groupName(keys);
  let group = found.get(name);
  if (group === undefined) {
    group = {
      keys,
      rows: 0n,
      events: 0n,
      sums: Array<bigint>(sums).fill(0n),
      distribution: { buckets: new Map(), largest: 0n },
    };
    found.set(name, group);
  }
  return group;
}

function addBuckets(
  into: Distribution,
  added: readonly (bigint | number)[],
  largest: bigint | null,
): void {
  for (let i = 0; i + 1 < added.length; i += 2) {
    const low = added[i] as bigint;
    into.buckets.set(low, (into.buckets.get(low) ?? 0) + Number(added[i + 1]));
  }
  if (largest !== null && largest > into.largest) into.largest = largest;
}

/**
 * The value below which a share (0 to 1) of the events lie, exact to 1/128; null without any. The
 * nearest-rank method over buckets.
 */
export function percentile({ buckets, largest }: Distribution, share: number): bigint | null {
  const total = [...buckets.values()].reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  if (share >= 1) return largest;
  const rank = Math.max(1, Math.ceil(share * total));
  let seen = 0;
  for (const [low, count] of [...buckets].sort(([a], [b]) => (a < b ? -1 : 1))) {
    seen += count;
    if (seen >= rank) return low;
  }
  return largest;
}

/** Events by time: from `origin`, each `width` ns. */
export async function eventsOverTime(
  scanner: Scanner,
  { batches }: Plan,
  origin: bigint,
  width: bigint,
  onBatch: () => boolean,
): Promise<Map<number, bigint>> {
  const groups = (type: EventType): ScanGroups => ({
    ...NO_GROUPS,
    keys: [{ column: columnOf(type, 'ts'), origin, width }],
    weight: columnOf(type, 'weight'),
  });
  const out = new Map<number, bigint>();
  for await (const { groups: found } of scanner.groups(
    batches,
    { columns: () => [], groups },
    onBatch,
  )) {
    found.keys.forEach((bucket, i) => {
      out.set(Number(bucket), (out.get(Number(bucket)) ?? 0n) + (found.weights[i] ?? 0n));
    });
  }
  return out;
}
