// The parts of an event that are objects of their own. Each of their fields has a comma before it; openAt() makes a brace of
// the first.

import type { CommonCells } from './compile.ts';
import type { Integer, NetworkContext } from './event.ts';
import { type NetworkRow, numberOf, type OwnRow } from './row.ts';
import * as out from './text.ts';
import { jsonPiece, type Piece } from './text.ts';
import type { ThreadTexts } from './thread-texts.ts';

const INT32 = 2 ** 31;
const [CLOSE, COLON, UNKNOWN] = [0x7d, 0x3a, 0x3f];
const NOTHING = jsonPiece('');

type Direction = NonNullable<NetworkContext['direction']>;

const WAYS: Readonly<Record<string, Direction>> = { sent: 'egress', received: 'ingress' };

const DIRECTIONS: Readonly<Record<Direction, Piece>> = {
  egress: jsonPiece(',"direction":"egress"'),
  ingress: jsonPiece(',"direction":"ingress"'),
};

const KEYS = {
  entity: jsonPiece('","confidence":1},"entity":{"type":"process","name":"'),
  entity_uid: jsonPiece('","uid":"'),
  kernel_of_entity: jsonPiece('"},"kernel":'),
  kernel_of_nobody: jsonPiece('","confidence":1},"kernel":'),
  syscall: jsonPiece(',"syscall":"'),
  pid: jsonPiece(',"pid":'),
  tid: jsonPiece(',"tid":'),
  uid: jsonPiece(',"uid":'),
  gid: jsonPiece(',"gid":'),
  comm: jsonPiece(',"comm":"'),
  protocol: jsonPiece(',"protocol":"'),
  source_ip: jsonPiece(',"source_ip":"'),
  source_port: jsonPiece(',"source_port":'),
  dest_ip: jsonPiece(',"dest_ip":"'),
  dest_port: jsonPiece(',"dest_port":'),
  bytes_sent: jsonPiece(',"bytes_sent":'),
  bytes_recv: jsonPiece(',"bytes_recv":'),
  latency_ns: jsonPiece(',"latency_ns":'),
  return_code: jsonPiece(',"return_code":'),
  args: jsonPiece(',"args":'),
  cpu_core: jsonPiece(',"cpu_core":'),
  argument: jsonPiece('":"'),
  comma: jsonPiece(',"'),
  network: jsonPiece('},"network":'),
};

/** Integers and texts that Go leaves out are 0 and nothing. */
function text(key: Piece, value: Piece | null): void {
  if (value === null || value.length === 0) return;
  out.put(key);
  out.put(value);
  out.quote();
}

function count(key: Piece, value: Integer | null): void {
  if (value === null || value === 0) return;
  out.put(key);
  out.integer(value);
}

/** Arguments by position. */
function writeArgs(args: readonly string[] | readonly bigint[]): void {
  out.put(KEYS.args);
  const from = out.written();
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string | bigint;
    out.put(KEYS.comma);
    out.number(i);
    out.put(KEYS.argument);
    out.string(typeof arg === 'bigint' ? `0x${arg.toString(16)}` : arg);
    out.quote();
  }
  out.openAt(from);
  out.byte(CLOSE);
}

function int32(value: number): number {
  return value >= -INT32 && value < INT32 ? value : 0;
}

type Returned = Partial<OwnRow<'file'> & NetworkRow & OwnRow<'process'>>;

/** What a call returned, as the kernel does (−errno); 0 where it does not fit, as an address. */
function returnOf(event: string, own: Returned): number {
  if (own.ret !== undefined) return int32(numberOf(own.ret));
  if (own.error !== undefined) return -(own.error ?? 0);
  // Of a signal it says something else.
  return event === 'process.exec' ? (own.result ?? 0) : 0;
}

interface Arguments {
  readonly args?: readonly string[] | readonly bigint[] | null;
}

/** Ends the narrative, tells of a row's process as whom it is about, and begins the kernel context. */
function writeEntity(cells: CommonCells, row: number): void {
  const pid = cells.pid.at(row) ?? 0;
  if (pid === 0) {
    out.put(KEYS.kernel_of_nobody);
    return;
  }
  out.put(KEYS.entity);
  out.put(cells.comm.at(row) ?? NOTHING);
  out.put(KEYS.entity_uid);
  out.number(pid);
  out.byte(COLON);
  out.wide(cells.pstart.low(row), cells.pstart.high(row));
  out.put(KEYS.kernel_of_entity);
}

/** What the kernel context says of a row's thread. */
function writeIds(cells: CommonCells, row: number): void {
  count(KEYS.pid, cells.pid.at(row));
  count(KEYS.tid, cells.tid.at(row));
  count(KEYS.uid, cells.uid.at(row));
  count(KEYS.gid, cells.gid.at(row));
  text(KEYS.comm, cells.comm.at(row));
}

/**
 * From the end of the narrative to what of the kernel context is of a row's thread, a comma before each field; gives how many
 * bytes of it are fields.
 */
function writeThread(cells: CommonCells, row: number): number {
  writeEntity(cells, row);
  const from = out.written();
  writeIds(cells, row);
  return out.written() - from;
}

/** Whom the OOM killer chose is whom it is about. */
function writeTarget(pid: number | null): void {
  out.put(KEYS.entity);
  if (pid === null) out.byte(UNKNOWN);
  else {
    out.number(pid);
    out.put(KEYS.entity_uid);
    out.number(pid);
  }
  out.put(KEYS.kernel_of_entity);
}

/** Ends the narrative, tells whom a row is about, and writes the kernel context but for the brace behind it. */
export function writeKernel(
  event: string,
  own: Returned & Arguments & { readonly name?: Piece | null; readonly target_pid?: number | null },
  cells: CommonCells,
  row: number,
  threads: ThreadTexts,
): void {
  const from = writeWho(event, own, cells, row, threads);
  count(KEYS.return_code, returnOf(event, own));
  const { args } = own;
  if (args !== undefined && args !== null && args.length > 0) writeArgs(args);
  count(KEYS.cpu_core, cells.cpu.at(row));
  out.openAt(from);
}

/** The part of it that is of a thread in most events; gives where the fields of the kernel context begin. */
function writeWho(
  event: string,
  { name, target_pid }: { readonly name?: Piece | null; readonly target_pid?: number | null },
  cells: CommonCells,
  row: number,
  threads: ThreadTexts,
): number {
  const isOom = event === 'memory.oom';
  if (!isOom && name === undefined) return threads.put(cells, row, writeThread);
  if (isOom) writeTarget(target_pid ?? null);
  else writeEntity(cells, row);
  const from = out.written();
  if (name !== undefined && name !== null) {
    out.put(KEYS.syscall);
    out.put(name);
    out.quote();
  }
  writeIds(cells, row);
  return from;
}

/**
 * Ends the kernel context and writes the network one but for the brace behind it. Whoever began is the source: of a
 * connection that was accepted, that is the other side.
 */
export function writeNetwork(row: NetworkRow, usual: Direction | undefined): void {
  out.put(KEYS.network);
  const from = out.written();
  const own = row.direction;
  const way = own === null ? usual : WAYS[own.text];
  const isTurned = own === null && way === 'ingress';
  text(KEYS.protocol, row.protocol);
  text(KEYS.source_ip, isTurned ? row.daddr : row.saddr);
  count(KEYS.source_port, isTurned ? row.dport : row.sport);
  text(KEYS.dest_ip, isTurned ? row.saddr : row.daddr);
  count(KEYS.dest_port, isTurned ? row.sport : row.dport);
  if (way !== undefined) out.put(DIRECTIONS[way]);
  count(KEYS.bytes_sent, row.bytes_sent || (way === 'egress' ? row.bytes : null));
  count(KEYS.bytes_recv, row.bytes_received || (way === 'ingress' ? row.bytes : null));
  count(KEYS.latency_ns, row.latency_ns);
  out.openAt(from);
}
