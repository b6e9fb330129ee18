// Where each field of a raw record lies: offsets without implicit padding, and the fingerprint of the
// whole table. Pure; the generator and the fixtures use it.

import { createHash } from 'node:crypto';
import { COMMON, EVENTS, type FieldSpec, type OpSpec, type TypeSpec } from './events.ts';

/** Bytes of `struct tapio_header`, which every record starts with. */
export const HEADER_BYTES = 80;

export interface Member {
  readonly name: string;
  readonly ctype: '__u8' | '__u16' | '__u32' | '__u64' | '__s32' | '__s64';
  /** Elements where it is an array, else 1. */
  readonly count: number;
  /** Offset in bytes from the start of the record. */
  readonly offset: number;
}

export interface RecordLayout {
  readonly type: string;
  readonly op: string;
  readonly spec: OpSpec;
  readonly members: readonly Member[];
  /** Bytes of header and fixed part; the strings of the tail follow here. */
  readonly bytes: number;
  /** Fields that are strings of the tail, in order; a path is two strings (name, directory). */
  readonly tail: readonly string[];
  /** Bit of each fixed field in the record's `nulls`. */
  readonly nullBits: ReadonlyMap<string, number>;
}

const SIZES = { __u8: 1, __u16: 2, __u32: 4, __u64: 8, __s32: 4, __s64: 8 } as const;

const PLAIN = {
  u16: '__u16',
  u32: '__u32',
  u64: '__u64',
  i32: '__s32',
  i64: '__s64',
} as const;

function member(name: string, field: FieldSpec): Omit<Member, 'offset'> | 'tail' | 'derived' {
  const wire = field.wire;
  if (wire === undefined) {
    const ctype = PLAIN[field.type as keyof typeof PLAIN];
    if (ctype === undefined) throw new Error(`${name}: type ${field.type} needs a wire form`);
    return { name, ctype, count: 1 };
  }
  switch (wire.as) {
    case 'enum':
      return { name, ctype: wire.type === 'u8' ? '__u8' : '__u16', count: 1 };
    case 'inet':
      return { name, ctype: '__u8', count: 16 };
    case 'args':
      return { name, ctype: '__u64', count: 6 };
    case 'derived':
      return 'derived';
    default:
      return 'tail';
  }
}

function alignment(m: { ctype: Member['ctype']; count: number }): number {
  return m.ctype === '__u8' && m.count === 16 ? 8 : SIZES[m.ctype];
}

/**
 * Layout of the record of one op: members by falling alignment, so that none needs padding; the end is
 * made up with a named `reserved` array to a multiple of 8.
 */
export function recordLayout(type: string, op: string): RecordLayout {
  const spec = (EVENTS as Readonly<Record<string, TypeSpec>>)[type];
  const opSpec = spec?.ops[op];
  if (spec === undefined || opSpec === undefined) throw new Error(`no op ${type}.${op}`);
  const plain: Omit<Member, 'offset'>[] = [];
  const tail: string[] = [];
  const nullBits = new Map<string, number>();
  for (const name of opSpec.fields) {
    const field = spec.fields[name];
    if (field === undefined) throw new Error(`${type}.${op} names no field ${name}`);
    const m = member(name, field);
    if (m === 'derived') continue;
    nullBits.set(name, nullBits.size);
    if (m === 'tail') tail.push(name);
    else plain.push(m);
  }
  plain.push({ name: 'nulls', ctype: '__u32', count: 1 });
  plain.sort((a, b) => alignment(b) - alignment(a));
  const members: Member[] = [];
  let offset = HEADER_BYTES;
  for (const m of plain) {
    members.push({ ...m, offset });
    offset += SIZES[m.ctype] * m.count;
  }
  const gap = (8 - (offset % 8)) % 8;
  if (gap > 0) members.push({ name: 'reserved', ctype: '__u8', count: gap, offset });
  return { type, op, spec: opSpec, members, bytes: offset + gap, tail, nullBits };
}

/** Layouts of all ops, in table order. */
export function allLayouts(): RecordLayout[] {
  return Object.entries(EVENTS).flatMap(([type, spec]) =>
    Object.keys(spec.ops).map((op) => recordLayout(type, op)),
  );
}

/**
 * 16 hex digits over everything that decides how records and columns read: it stands in every
 * segment's metadata and in the addon, and the two must agree.
 */
export function schemaFingerprint(): string {
  const shape = {
    common: Object.entries(COMMON).map(([name, f]) => [name, f.id, f.type]),
    types: Object.entries(EVENTS).map(([type, spec]) => [
      type,
      spec.id,
      Object.entries(spec.fields).map(([name, f]) => [
        name,
        f.id,
        f.type,
        'wire' in f ? f.wire : 0,
      ]),
      Object.entries(spec.ops).map(([op, o]) => [op, o.id, o.fields]),
    ]),
  };
  return createHash('sha256').update(JSON.stringify(shape)).digest('hex').slice(0, 16);
}
