// Which TCP sockets were open at a time, and whose: a segment's table says which were there as it began, its
// rows what was opened and closed since.

import { EVENTS } from '../../schemas/events.ts';
import { TapioError } from '../errors.ts';
import { formatTs } from '../event/clock.ts';
import {
  endpointsOf,
  type OpenSocket,
  OpenSockets,
  SOCKET_OPS,
  type SocketState,
  stateAfter,
} from '../event/sockets.ts';
import type { Segment } from '../segment/reader.ts';
import type { OpenedStore } from '../segment/store.ts';
import { areLeftOut, missingAsOf } from './completeness.ts';
import { covering, heldText, type Stretch, stretchesOf } from './held.ts';
import { bootKey } from './process-rows.ts';

/** A TCP socket as it was at a time. */
export interface SocketAt extends OpenSocket {
  readonly family: string;
  readonly comm: string;
  readonly uid: number;
  /** When it was connected, accepted or began to listen, ns since 1970; null where that is not recorded. */
  readonly since: bigint | null;
}

/** One that was open, or being opened: then `since` is when the connect began. */
export interface ListedSocket extends Omit<SocketAt, 'state' | 'firstSeq'> {
  readonly state: SocketState | 'SYN_SENT';
  readonly host: string;
}

export interface SocketsAt {
  readonly at: bigint;
  /** By host, state and addresses. */
  readonly sockets: readonly ListedSocket[];
  /** What a reader should be told although nothing is missing, in sentences. */
  readonly notes: readonly string[];
  /** One sentence for each thing that the answer lacks. */
  readonly missing: readonly string[];
}

/** A network row that opens or closes a socket, or tells how that failed. */
interface SocketRow {
  readonly ts: bigint;
  readonly seq: bigint;
  readonly after: SocketState | 'CLOSE' | null;
  /** When it began to connect; null of what did not. */
  readonly began: bigint | null;
  readonly socket: SocketAt;
}

const ROW_COLUMNS = [
  ...['seq', 'ts', 'op', 'pid', 'pstart', 'uid', 'comm', 'family', 'protocol'],
  ...['saddr', 'sport', 'daddr', 'dport', 'error', 'old_state', 'new_state', 'latency_ns'],
];

/** The rows of a segment that tell of sockets, in order of their time. */
function socketRows(segment: Segment): SocketRow[] {
  const rows: SocketRow[] = [];
  for (const info of segment.batches('network')) {
    try {
      const columns = segment.read(info, ROW_COLUMNS);
      for (let row = 0; row < info.rows; row++) {
        const told = socketRow((name) => columns.get(name)?.get(row) ?? null);
        if (told !== null) rows.push(told);
      }
    } catch (error) {
      segment.leaveOut(info, error);
    }
  }
  const order = (a: SocketRow, b: SocketRow): boolean =>
    a.ts === b.ts ? a.seq < b.seq : a.ts < b.ts;
  return rows.sort((a, b) => (order(a, b) ? -1 : 1));
}

type Ends = Pick<SocketAt, 'saddr' | 'sport' | 'daddr' | 'dport'>;

function endsOf(get: (name: string) => unknown): Ends {
  return {
    saddr: get('saddr') as string | null,
    sport: get('sport') as number | null,
    daddr: get('daddr') as string | null,
    dport: get('dport') as number | null,
  };
}

function socketRow(get: (name: string) => unknown): SocketRow | null {
  const [op, ts, seq] = [get('op') as string, get('ts') as bigint, get('seq') as bigint];
  if (!SOCKET_OPS.some((one) => one === op)) return null;
  const oldState = get('old_state') as string | null;
  const after = stateAfter({
    op,
    protocol: get('protocol') as string | null,
    error: get('error') as number | null,
    oldState,
    newState: get('new_state') as string | null,
  });
  const latency = get('latency_ns') as bigint | number | null;
  const connects = op === 'connect' && oldState === 'SYN_SENT' && latency !== null;
  if (after === null && !connects) return null;
  const ends = endsOf(get);
  const socket: SocketAt = {
    ...{ ...ends, endpoints: endpointsOf(ends) },
    pid: get('pid') as number,
    pstart: get('pstart') as bigint,
    state: after === 'LISTEN' ? 'LISTEN' : 'CONNECTED',
    family: get('family') as string,
    comm: get('comm') as string,
    uid: get('uid') as number,
    since: ts,
    firstSeq: seq,
  };
  return { ts, seq, after, began: connects ? ts - BigInt(latency) : null, socket };
}

/** The sockets of a segment's table. */
function tableOf(segment: Segment): SocketAt[] {
  return (
    segment.sockets()?.map((row) => ({
      ...endsOf((name) => row[name]),
      endpoints: endpointsOf(endsOf((name) => row[name])),
      pid: row.pid as number,
      pstart: row.pstart as bigint,
      state: row.state as SocketState,
      family: row.family as string,
      comm: row.comm as string,
      uid: row.uid as number,
      since: row.since as bigint | null,
      firstSeq: row.first_seq as bigint | null,
    })) ?? []
  );
}

/** What was open as a segment began. */
function openAtBegin(segment: Segment): SocketAt[] {
  const seqs = segment.batches('network').map(({ firstSeq }) => firstSeq);
  const first = seqs.reduce<bigint | null>(
    (least, seq) => (least === null || seq < least ? seq : least),
    null,
  );
  return tableOf(segment).filter(
    ({ firstSeq }) => firstSeq === null || first === null || firstSeq < first,
  );
}

/** How long after a time the outcome of what was then under way is looked for, ns: longer than the kernel tries. */
const OUTCOME_NS = 180_000_000_000n;

/** What was under way at a time, by its outcome. */
function connectingAt(rows: readonly SocketRow[], at: bigint, host: string): ListedSocket[] {
  return rows.flatMap(({ ts, began, socket }) =>
    ts > at && began !== null && began <= at
      ? [{ ...socket, state: 'SYN_SENT' as const, since: began, host }]
      : [],
  );
}

/** What was open at a time within a segment, and what was being opened; `later`: the segments behind it. */
function openAt(stretch: Stretch, later: readonly Stretch[], at: bigint): ListedSocket[] {
  const { host } = stretch.segment.header;
  const rows = socketRows(stretch.segment);
  const open = new OpenSockets<SocketAt>();
  for (const one of openAtBegin(stretch.segment)) open.add(one);
  const told = later.filter(({ from }) => from <= at + OUTCOME_NS);
  const connecting = [rows, ...told.map(({ segment }) => socketRows(segment))].flatMap((some) =>
    connectingAt(some, at, host),
  );
  for (const { ts, after, socket } of rows) {
    if (ts > at) break;
    if (after === 'CLOSE') {
      const gone = open.closed(socket);
      if (gone !== null) open.remove(gone);
    } else if (after !== null) {
      const lost = open.known(socket, false);
      if (lost !== null) open.remove(lost);
      open.add(socket);
    }
  }
  return [...[...open.all()].map((one) => ({ ...one, host })), ...connecting];
}

function notesOf(own: readonly Stretch[], at: bigint): string[] {
  const { segment } = own.at(-1) as Stretch;
  const notes = own.flatMap((one) => one.segment.notes);
  if (own.slice(0, -1).some(({ from, to }) => from <= at && at <= to)) {
    notes.push(`the clock went back: ${formatTs(at)} was twice, and this is the second time`);
  }
  const telling = SOCKET_OPS.map((op) => EVENTS.network.ops[op].id);
  if (areLeftOut(segment, telling)) {
    notes.push(
      'sockets that --exclude, --filter, --sample or --limit left out may be missing, or be listed after their end',
    );
  }
  return notes;
}

const STATES = ['LISTEN', 'CONNECTED', 'SYN_SENT'] as const;

/** By host, state, local and remote port, addresses. */
function inOrder(a: ListedSocket, b: ListedSocket): number {
  const text = (x: string | null, y: string | null): number =>
    (x ?? '') < (y ?? '') ? -1 : (x ?? '') > (y ?? '') ? 1 : 0;
  return (
    text(a.host, b.host) ||
    STATES.indexOf(a.state) - STATES.indexOf(b.state) ||
    (a.sport ?? 0) - (b.sport ?? 0) ||
    (a.dport ?? 0) - (b.dport ?? 0) ||
    text(a.saddr, b.saddr) ||
    text(a.daddr, b.daddr) ||
    a.pid - b.pid
  );
}

/**
 * The TCP sockets that processes had open at a time; null is the end of what is held. CONNECTED is from the
 * connect or accept to the close, whichever side has shut down meanwhile. SYN_SENT is told by the outcome, within
 * three minutes. The process is the one that connected, accepted or listened, whoever else holds
 * the socket. What nobody has accepted yet, and what the kernel keeps after the close, is not listed. Throws
 * TapioError where nothing is held of that time, or no sockets are kept.
 */
export function socketsAt({ segments, problems }: OpenedStore, at: bigint | null): SocketsAt {
  const recordings = stretchesOf(segments);
  const ends = recordings.flat().map(({ to }) => to);
  if (ends.length === 0) throw new TapioError('not_held', 'nothing is recorded yet');
  const time = at ?? ends.reduce((a, b) => (b > a ? b : a));
  const found = recordings
    .map((all) => ({ all, own: covering(all, time) }))
    .filter(({ own }) => own.length > 0);
  if (found.length === 0) {
    throw new TapioError(
      'not_held',
      `nothing is held of ${formatTs(time)}: held is ${heldText(recordings)}`,
    );
  }
  const sockets: ListedSocket[] = [];
  const boots = new Set<string>();
  const [notes, missing]: [string[], string[]] = [[], []];
  const without: string[] = [];
  for (const { all, own } of found) {
    const here = own.at(-1) as Stretch;
    const keeps = here.segment.sockets() !== null;
    if (!keeps && here.segment.problems.length === 0) {
      without.push(here.segment.name);
      continue;
    }
    // Two recorders of a host know the same.
    if (boots.has(bootKey(here.segment))) continue;
    boots.add(bootKey(here.segment));
    sockets.push(...openAt(here, all.slice(own.length), time));
    const held = own.map(({ segment }) => segment);
    missing.push(...missingAsOf({ segments: held, problems }, 'network', SOCKET_OPS, time));
    notes.push(...notesOf(own, time));
  }
  const noTable = without.map(
    (name) =>
      `${name} keeps no sockets: it is an excerpt, or was recorded without network.connect, accept, listen or close, with too many open, or by an earlier version`,
  );
  if (boots.size === 0) throw new TapioError('not_held', noTable.join('; '));
  missing.push(...noTable.map((text) => `incomplete: ${text}`));
  return { at: time, sockets: sockets.sort(inOrder), notes, missing: [...new Set(missing)] };
}
