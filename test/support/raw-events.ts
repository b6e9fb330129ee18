// RawEvents as another implementation of protobuf reads them, and what it should read of a row.

import { join } from 'node:path';
import protobuf from 'protobufjs';
import type { EventType } from '../../schemas/arrow.ts';
import { COMMON, EVENTS, type FieldSpec, type TypeSpec } from '../../schemas/events.ts';
import type { RowValue } from '../../src/event/json.ts';
import { FRAME_BYTES, type RawMessages } from '../../src/raw/encoder.ts';
import { ROOT } from './recording.ts';
import type { PlainRow } from './unified-rows.ts';

const PROTO = join(ROOT, 'schemas/generated/events.proto');

/** The message's type. */
export const RawEvent = new protobuf.Root()
  .loadSync(PROTO, { keepCase: true })
  .lookupType('tapio.ebpf.v1.RawEvent');

export type Json = Readonly<Record<string, unknown>>;

/** A message: fields that are there, 64-bit numbers as text, bytes as base64. */
export function decoded(message: Uint8Array): Json {
  const options = { longs: String, bytes: String, oneofs: false };
  return RawEvent.toObject(RawEvent.decode(message), options);
}

/** Messages without what stands before them; throws where that is not as gRPC has it. */
export function messagesOf({ bytes, ends }: RawMessages): Buffer[] {
  const out: Buffer[] = [];
  let at = 0;
  for (const end of ends) {
    const length = bytes.readUInt32BE(at + 1);
    if (bytes[at] !== 0 || at + FRAME_BYTES + length !== end) throw new Error('no frame');
    out.push(bytes.subarray(at + FRAME_BYTES, end));
    at = end;
  }
  if (at !== bytes.length) throw new Error('bytes behind the last message');
  return out;
}

function plain(value: RowValue, { type }: FieldSpec): unknown {
  if (type === 'timestamp') return String(BigInt.asUintN(64, value as bigint));
  if (type === 'u64s') return (value as readonly bigint[]).map(String);
  if (type === 'bytes') return Buffer.from(value as Uint8Array).toString('base64');
  return typeof value === 'bigint' ? String(value) : value;
}

/** What a message of a row has; `fields` as RawEventOptions has them. */
export function expectedRaw(
  type: EventType,
  row: PlainRow,
  tsOffset: bigint,
  fields: readonly string[] | null = null,
): Json {
  const has = (name: string): boolean => fields?.includes(name) ?? true;
  const common = Object.entries(COMMON).flatMap(([name, spec]) => {
    const value = row[name] ?? null;
    const isDefault = value === null || value === '' || value === 0 || value === 0n;
    return isDefault || !has(name) ? [] : [[name, plain(value, spec)] as const];
  });
  const ktime = BigInt.asUintN(64, ((row.ts ?? 0n) as bigint) - tsOffset);
  const own = Object.entries((EVENTS[type] as TypeSpec).fields).flatMap(([name, spec]) => {
    const value = row[name] ?? null;
    const isEmpty = value === null || (Array.isArray(value) && value.length === 0);
    return isEmpty || !has(`${type}.${name}`) ? [] : [[name, plain(value, spec)] as const];
  });
  return {
    ...Object.fromEntries(common),
    ...(ktime !== 0n && has('ktime') && { ktime: String(ktime) }),
    [type]: Object.fromEntries(own),
  };
}
