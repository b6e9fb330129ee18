// Which TCP sockets are open, and whose: from the snapshot at the start, then from the rows.

import { EVENT_TABLES } from '../../schemas/arrow.ts';
import { EVENTS } from '../../schemas/events.ts';
import type { BatchItem, ColumnRegion } from '../event/batch.ts';
import {
  endpointsOf,
  type OpenSocket,
  OpenSockets,
  SOCKET_OPS,
  type SocketName,
  type SocketSnapshot,
  stateAfter,
} from '../event/sockets.ts';
import type { SocketRow } from '../segment/small-tables.ts';
import { Dictionary, isNull } from './batch-columns.ts';

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

/** The columns of a network batch that the table reads. */
class NetworkColumns {
  readonly #batch: BatchItem;
  readonly #regions: readonly ColumnRegion[];
  readonly #memory: ArrayBuffer;
  readonly #dictionary: Dictionary;
  readonly #views = new Map<string, ArrayLike<number> | ArrayLike<bigint>>();

  constructor(
    batch: BatchItem,
    regions: readonly ColumnRegion[],
    memory: ArrayBuffer,
    dictionary: Dictionary,
  ) {
    this.#batch = batch;
    this.#regions = regions;
    this.#memory = memory;
    this.#dictionary = dictionary;
  }

  number(name: string, row: number): number {
    return Number(this.#view(name)[row] ?? 0);
  }

  big(name: string, row: number): bigint {
    return BigInt(this.#view(name)[row] ?? 0);
  }

  /** Null where the row does not say. */
  numberOrNull(name: string, row: number): number | null {
    return this.#isNull(name, row) ? null : this.number(name, row);
  }

  text(name: string, row: number): string | null {
    if (this.#isNull(name, row)) return null;
    return this.#dictionary.get(COLUMN[name] ?? 0, this.number(name, row));
  }

  #isNull(name: string, row: number): boolean {
    return isNull(this.#batch, this.#regions, this.#memory, COLUMN[name] ?? 0, row);
  }

  #view(name: string): ArrayLike<number> | ArrayLike<bigint> {
    let view = this.#views.get(name);
    if (view === undefined) {
      view = viewOf(this.#regions[COLUMN[name] ?? 0], this.#memory, this.#batch.rows);
      this.#views.set(name, view);
    }
    return view;
  }
}

function viewOf(
  region: ColumnRegion | undefined,
  memory: ArrayBuffer,
  rows: number,
): ArrayLike<number> | ArrayLike<bigint> {
  const at = region?.data ?? 0;
  switch (region?.kind) {
    case 'u16':
    case 'dict16':
      return new Uint16Array(memory, at, rows);
    case 'u32':
      return new Uint32Array(memory, at, rows);
    case 'i32':
    case 'dict32':
      return new Int32Array(memory, at, rows);
    case 'u64':
      return new BigUint64Array(memory, at, rows);
    case 'i64':
      return new BigInt64Array(memory, at, rows);
    default:
      throw new Error(`the socket table reads no column of kind ${region?.kind}`);
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
  /** When these names were last closed: a row that comes late opens nothing that was closed since. */
  #closings = new Map<string, bigint>();
  #closingsBefore = new Map<string, bigint>();
  #snapshotTs = 0n;

  /** Sockets that are open. */
  get size(): number {
    return this.#open.size;
  }

  /** Begins with what is open as the source starts; rows up to `ts` may speak of these. */
  start(snapshot: readonly SocketSnapshot[], ts: bigint): void {
    this.#snapshotTs = ts;
    for (const { listens, ...one } of snapshot) {
      const remote = listens ? { daddr: null, dport: null } : {};
      this.#add({
        ...{ ...one, ...remote, state: listens ? 'LISTEN' : 'CONNECTED' },
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
      this.#add({ ...(same as unknown as Entry), firstSeq, lastSeq, written: true });
    }
  }

  /** Reads the connect, accept, listen and close rows of a network batch. */
  apply(batch: BatchItem, regions: readonly ColumnRegion[], memory: ArrayBuffer): void {
    this.#dictionary.add(batch);
    const columns = new NetworkColumns(batch, regions, memory, this.#dictionary);
    for (let i = 0; i < batch.rows; i++) {
      const op = columns.text('op', i) ?? '';
      if (!SOCKET_OPS.some((one) => one === op)) continue;
      const state = stateAfter({
        op,
        protocol: columns.text('protocol', i),
        error: columns.numberOrNull('error', i),
        oldState: columns.text('old_state', i),
        newState: columns.text('new_state', i),
      });
      if (state === null) continue;
      const name: SocketName = {
        saddr: columns.text('saddr', i),
        sport: columns.numberOrNull('sport', i),
        daddr: columns.text('daddr', i),
        dport: columns.numberOrNull('dport', i),
        pid: columns.number('pid', i),
        pstart: columns.big('pstart', i),
      };
      const [seq, ts] = [columns.big('seq', i), columns.big('ts', i)];
      if (state === 'CLOSE') {
        this.#close(name, seq, ts);
      } else if ((columns.number('flags', i) & LATE) === 0 || !this.#wasClosed(name, ts)) {
        this.#opened({
          ...{ ...name, state, inode: null, family: columns.text('family', i) ?? '' },
          ...{ comm: columns.text('comm', i) ?? '', uid: columns.number('uid', i) },
          ...{ since: ts, firstSeq: seq, lastSeq: null, written: false },
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
    this.#closings.set(closingKey(name), ts);
    const entry = this.#open.closed(name);
    // A row that comes late closes nothing that was opened since.
    if (entry !== null && (entry.since === null || entry.since <= ts)) this.#end(entry, seq);
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
    const keys = [closingKey(name), closingKey({ ...name, pid: 0, pstart: 0n })];
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

function closingKey(name: SocketName): string {
  return `${endpointsOf(name)} ${name.pid} ${name.pstart}`;
}
