// The parts of an event that are objects of their own.

import type { EventType } from '../../schemas/arrow.ts';
import type { Entity, Integer, NetworkContext } from './event.ts';
import { type NetworkRow, numberOf, type OwnRow } from './row.ts';

const INT32 = 2 ** 31;

/** Integers and texts that Go leaves out: 0 and nothing. */
const count = (value: Integer | null): Integer | undefined => value || undefined;
const text = (value: string | null): string | undefined => value || undefined;

const WAYS: Readonly<Record<string, NetworkContext['direction']>> = {
  sent: 'egress',
  received: 'ingress',
};

/** Arguments by position. */
export function argsOf(
  args: readonly string[] | readonly bigint[] | null,
): Record<string, string> | undefined {
  if (args === null || args.length === 0) return undefined;
  const out: Record<string, string> = {};
  args.forEach((arg: string | bigint, i: number) => {
    out[i] = typeof arg === 'bigint' ? `0x${arg.toString(16)}` : arg;
  });
  return out;
}

function int32(value: number): number | undefined {
  return value >= -INT32 && value < INT32 ? value || undefined : undefined;
}

type Returned = Partial<OwnRow<'file'> & NetworkRow & OwnRow<'process'>>;

/** What a call returned, as the kernel does (−errno); nothing where it does not fit, as an address. */
export function returnOf(event: string, own: Returned): number | undefined {
  if (own.ret !== undefined) return int32(numberOf(own.ret));
  if (own.error !== undefined) return -(own.error ?? 0) || undefined;
  // Of a signal it says something else.
  return event === 'process.exec' ? (own.result ?? undefined) || undefined : undefined;
}

/** Whoever began is the source: of a connection that was accepted, that is the other side. */
export function networkOf(row: NetworkRow, usual: NetworkContext['direction']): NetworkContext {
  const own = row.direction;
  const way = own === null ? usual : WAYS[own];
  const isTurned = own === null && way === 'ingress';
  return {
    protocol: text(row.protocol),
    source_ip: text(isTurned ? row.daddr : row.saddr),
    source_port: (isTurned ? row.dport : row.sport) || undefined,
    dest_ip: text(isTurned ? row.saddr : row.daddr),
    dest_port: (isTurned ? row.sport : row.dport) || undefined,
    direction: way,
    bytes_sent: count(row.bytes_sent) ?? (way === 'egress' ? count(row.bytes) : undefined),
    bytes_recv: count(row.bytes_received) ?? (way === 'ingress' ? count(row.bytes) : undefined),
    latency_ns: count(row.latency_ns),
  };
}

/** Whom a row is about; nobody where no process owns it. */
export function entityOf(
  event: string,
  own: OwnRow<EventType>,
  pid: number,
  comm: string,
  uid: string,
): Entity | undefined {
  // Whom the OOM killer chose is whom it is about.
  if (event === 'memory.oom') {
    const { target_pid } = own as OwnRow<'memory'>;
    return {
      type: 'process',
      name: String(target_pid ?? '?'),
      uid: String(target_pid ?? '') || undefined,
    };
  }
  return pid === 0 ? undefined : { type: 'process', name: comm, uid };
}
