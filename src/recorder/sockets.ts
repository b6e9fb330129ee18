// Which TCP sockets are open, and whose: from the snapshot at the start, then from the rows.

import { EVENT_TABLES } from '../../schemas/arrow.ts';
import { EVENTS } from '../../schemas/events.ts';
import type { BatchItem, ColumnRegion } from '../event/batch.ts';
import {
  endpointsOf,
  isSameOwner,
  type OpenSocket,
  OpenSockets,
  SOCKET_OPS,
  type SocketName,
  type SocketSnapshot,
  stateAfter,
} from '../event/sockets.ts';
import type { SocketRow } from '../segment/small-tables.ts';
import { Dictionary, nullsOf } from './batch-columns.ts';

/** As many as the kernel side knows the owners of. */
export const SOCKETS_MAX = 65_536;

/** True where every op is recorded that opens or closes a socket. */
export function tellsSockets(ops: readonly number[]): boolean {
  return SOCKET_OPS.every((op) => ops.includes(EVENTS.network.ops[op].id));
}

const LATE = 1;

interface Entry extends OpenSocket {
  readonly inode: bigint | null;
  readonly family: string;
  readonly comm: string;
  readonly uid: number;
  since: bigint | null;
  lastSeq: bigint | null;
  /** The segment has it, or has to: it was open as that began. */
  written: boolean;
}

function rowOf(entry: Entry): SocketRow {
  const { inode, family, state, saddr, sport, daddr, dport, pid, pstart, comm, uid } = entry;
  return {
    ...{ inode, family, protocol: 'tcp', state, saddr, sport, daddr, dport },
    ...{ pid, pstart, comm, uid, since: entry.since },
    first_seq: entry.firstSeq,
    last_seq: entry.lastSeq,
  };
}

const COLUMN = Object.fromEntries(EVENT_TABLES.network.columns.map(({ name }, i) => [name, i]));

const column = (name: string): number => COLUMN[name] ?? 0;

/** The columns of a network batch that the table reads. */
class NetworkColumns {
  readonly seq: BigUint64Array;
  readonly ts: BigInt64Array;
  readonly pid: Uint32Array;
  readonly pstart: BigUint64Array;
  readonly uid: Uint32Array;
  readonly flags: Uint16Array;
  readonly op: (row: number) => string | null;
  readonly comm: (row: number) => string | null;
  readonly family: (row: number) => string | null;
  readonly protocol: (row: number) => string | null;
  readonly saddr: (row: number) => string | null;
  readonly daddr: (row: number) => string | null;
  readonly sport: (row: number) => number | null;
  readonly dport: (row: number) => number | null;
  readonly oldState: (row: number) => string | null;
  readonly newState: (row: number) => string | null;
  readonly error: (row: number) => number | null;

  constructor(
    batch: BatchItem,
    regions: readonly ColumnRegion[],
    memory: ArrayBuffer,
    dictionary: Dictionary,
  ) {
    const { rows } = batch;
    const at = (name: string): number => regions[column(name)]?.data ?? 0;
    const numbers = (of: string, values: ArrayLike<number>) => {
      const isNull = nullsOf(batch, regions, memory, column(of));
      return (row: number) => (isNull(row) ? null : (values[row] ?? 0));
    };
    const texts = (of: string, values: ArrayLike<number>) => {
      const isNull = nullsOf(batch, regions, memory, column(of));
      return (row: number) => (isNull(row) ? null : dictionary.get(column(of), values[row] ?? 0));
    };
    const name = (of: string) => texts(of, new Uint16Array(memory, at(of), rows));
    const address = (of: string) => texts(of, new Int32Array(memory, at(of), rows));
    const port = (of: string) => numbers(of, new Uint16Array(memory, at(of), rows));
    this.seq = new BigUint64Array(memory, at('seq'), rows);
    this.ts = new BigInt64Array(memory, at('ts'), rows);
    this.pid = new Uint32Array(memory, at('pid'), rows);
    this.pstart = new BigUint64Array(memory, at('pstart'), rows);
    this.uid = new Uint32Array(memory, at('uid'), rows);
    this.flags = new Uint16Array(memory, at('flags'), rows);
    this.op = name('op');
    this.comm = name('comm');
    this.family = name('family');
    this.protocol = name('protocol');
    this.saddr = address('saddr');
    this.daddr = address('daddr');
    this.sport = port('sport');
    this.dport = port('dport');
    this.oldState = name('old_state');
    this.newState = name('new_state');
    this.error = numbers('error', new Int32Array(memory, at('error'), rows));
  }

  /** What a row's socket is known by. */
  socket(row: number): SocketName {
    const saddr = this.saddr(row);
    const sport = this.sport(row);
    const daddr = this.daddr(row);
    const dport = this.dport(row);
    const endpoints = endpointsOf({ saddr, sport, daddr, dport });
    const pid = this.pid[row] ?? 0;
    return { saddr, sport, daddr, dport, pid, pstart: this.pstart[row] ?? 0n, endpoints };
  }
}

/** The table. `takeChanges` gives what is new since the last call. */
export class SocketTable {
  readonly #open = new OpenSockets<Entry>();
  readonly #changed = new Set<Entry>();
  readonly #dictionary = new Dictionary();
  /** Closed since the last flush, and before it: should the rows come again, they are open again. */
  #closed: Entry[] = [];
  #closedBefore: Entry[] = [];
  /** When these addresses were last closed: a row that comes late opens nothing that was closed since. */
  #closings = new Map<string, bigint>();
  #closingsBefore = new Map<string, bigint>();
  /** When a close that names nobody was taken for that of a socket. */
  readonly #closedByNobody = new WeakMap<Entry, bigint>();
  #snapshotTs = 0n;

  /** Sockets that are open. */
  get size(): number {
    return this.#open.size;
  }

  /** Begins with what is open as the source starts; rows up to `ts` may speak of these. */
  start(snapshot: readonly SocketSnapshot[], ts: bigint): void {
    this.#snapshotTs = ts;
    for (const { listens, ...one } of snapshot) {
      const local = { saddr: one.saddr, sport: one.sport };
      const ends = {
        ...local,
        daddr: listens ? null : one.daddr,
        dport: listens ? null : one.dport,
      };
      this.#add({
        ...{
          ...one,
          ...ends,
          endpoints: endpointsOf(ends),
          state: listens ? 'LISTEN' : 'CONNECTED',
        },
        ...{ since: null, firstSeq: null, lastSeq: null, written: false },
      });
    }
  }

  /** Goes on from what was open as a segment ended, row by row. */
  resume(rows: readonly SocketRow[]): void {
    for (const row of rows) {
      if (row.last_seq !== null) continue;
      const { first_seq: firstSeq, last_seq: lastSeq, protocol: _, ...same } = row;
      // Also of one that is closed before the first flush, the segment has to know that it was there.
      const entry = { ...(same as unknown as Entry), firstSeq, lastSeq, written: true };
      this.#add({ ...entry, endpoints: endpointsOf(entry) });
    }
  }

  /** Reads the connect, accept, listen and close rows of a network batch. */
  apply(batch: BatchItem, regions: readonly ColumnRegion[], memory: ArrayBuffer): void {
    this.#dictionary.add(batch);
    const columns = new NetworkColumns(batch, regions, memory, this.#dictionary);
    for (let i = 0; i < batch.rows; i++) {
      const op = columns.op(i) ?? '';
      if (!SOCKET_OPS.some((one) => one === op)) continue;
      const state = stateAfter({
        op,
        protocol: columns.protocol(i),
        error: columns.error(i),
        oldState: columns.oldState(i),
        newState: columns.newState(i),
      });
      if (state === null) continue;
      const name = columns.socket(i);
      const [seq, ts] = [columns.seq[i] ?? 0n, columns.ts[i] ?? 0n];
      if (state === 'CLOSE') {
        this.#close(name, seq, ts);
      } else if (((columns.flags[i] ?? 0) & LATE) === 0 || !this.#wasClosed(name, ts)) {
        const { saddr, sport, daddr, dport, pid, pstart, endpoints } = name;
        this.#opened({
          saddr,
          sport,
          daddr,
          dport,
          pid,
          pstart,
          endpoints,
          state,
          inode: null,
          family: columns.family(i) ?? '',
          comm: columns.comm(i) ?? '',
          uid: columns.uid[i] ?? 0,
          since: ts,
          firstSeq: seq,
          lastSeq: null,
          written: false,
        });
      }
    }
  }

  /** Rows that are new or changed since the last call. */
  takeChanges(): SocketRow[] {
    const out = [...this.#changed].map(rowOf);
    for (const entry of this.#changed) entry.written = true;
    this.#changed.clear();
    [this.#closedBefore, this.#closed] = [this.#closed, []];
    [this.#closingsBefore, this.#closings] = [this.#closings, new Map()];
    return out;
  }

  /** A new segment begins: its dictionaries are empty, and what is open is carried over. */
  rotate(): void {
    this.#dictionary.clear();
    this.#changed.clear();
    for (const entry of this.#open.all()) this.#note(entry);
  }

  /** What rows beyond a seq did is undone: they come again. */
  rewind(throughSeq: bigint): void {
    for (const entry of [...this.#open.all()]) {
      if (entry.firstSeq === null || entry.firstSeq <= throughSeq) continue;
      if (entry.inode === null) this.#open.remove(entry);
      else [entry.firstSeq, entry.since] = [null, null];
    }
    for (const entry of [...this.#closedBefore, ...this.#closed]) {
      if (entry.lastSeq === null || entry.lastSeq <= throughSeq) continue;
      if (entry.firstSeq !== null && entry.firstSeq > throughSeq) {
        if (entry.inode === null) continue;
        [entry.firstSeq, entry.since] = [null, null];
      }
      entry.lastSeq = null;
      this.#open.add(entry);
    }
    [this.#closed, this.#closedBefore] = [[], []];
  }

  #opened(entry: Entry): void {
    const { since, firstSeq } = entry;
    const known = this.#open.known(entry, since !== null && since <= this.#snapshotTs);
    if (known === null) {
      this.#add(entry);
    } else if (known.firstSeq === null && since !== null && since <= this.#snapshotTs) {
      [known.firstSeq, known.since] = [firstSeq, since];
      this.#note(known);
    } else {
      this.#end(known, firstSeq);
      this.#add(entry);
    }
  }

  #close(name: SocketName, seq: bigint, ts: bigint): void {
    this.#closings.set(`${name.endpoints} ${name.pid}`, ts);
    const entry = this.#open.closed(name);
    if (entry === null) {
      this.#correct(name, seq, ts);
      return;
    }
    // A row that comes late closes nothing that was opened since.
    if (entry.since !== null && entry.since > ts) return;
    if (name.pid === 0) this.#closedByNobody.set(entry, ts);
    this.#end(entry, seq);
  }

  /**
   * A close that comes late may find its socket gone: one that named nobody came before it and took that one of
   * several with the same addresses. It was another's.
   */
  #correct(name: SocketName, seq: bigint, ts: bigint): void {
    const taken = [...this.#closed, ...this.#closedBefore].find(
      (one) =>
        one.endpoints === name.endpoints &&
        isSameOwner(one, name) &&
        (this.#closedByNobody.get(one) ?? 0n) > ts,
    );
    const closedAt = taken === undefined ? undefined : this.#closedByNobody.get(taken);
    if (taken === undefined || closedAt === undefined) return;
    const other = this.#open.closed({ ...name, pid: 0 });
    if (other === null || (other.since !== null && other.since > closedAt)) return;
    this.#closedByNobody.delete(taken);
    this.#closedByNobody.set(other, closedAt);
    this.#end(other, taken.lastSeq);
    taken.lastSeq = seq;
    if (taken.written || taken.inode !== null) this.#note(taken);
  }

  #end(entry: Entry, seq: bigint | null): void {
    entry.lastSeq = seq;
    this.#open.remove(entry);
    this.#closed.push(entry);
    // What came and went between two flushes is told by its rows.
    if (entry.written || entry.inode !== null) this.#note(entry);
    else this.#changed.delete(entry);
  }

  #wasClosed(name: SocketName, ts: bigint): boolean {
    // The kernel may have forgotten whose it was.
    const keys = [`${name.endpoints} ${name.pid}`, `${name.endpoints} 0`];
    return [this.#closings, this.#closingsBefore].some((closings) =>
      keys.some((key) => (closings.get(key) ?? 0n) > ts),
    );
  }

  #add(entry: Entry): void {
    this.#open.add(entry);
    this.#note(entry);
  }

  #note(entry: Entry): void {
    this.#changed.add(entry);
  }
}
