// Which TCP sockets were open at a time, against a host that knows itself what was open when.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EVENT_TYPES } from '../../schemas/arrow.ts';
import type { BatchItem } from '../../src/event/batch.ts';
import type { SocketSnapshot } from '../../src/event/sockets.ts';
import { heldSpan } from '../../src/query/held.ts';
import { type SocketsAt, socketsAt } from '../../src/query/sockets.ts';
import { SocketTable } from '../../src/recorder/sockets.ts';
import type { SmallRow } from '../../src/segment/columns.ts';
import { type CommitPoint, noPoint } from '../../src/segment/commits.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { recoverSegments } from '../../src/segment/recover.ts';
import { repairSegment } from '../../src/segment/repair.ts';
import type { SocketRow } from '../../src/segment/small-tables.ts';
import { ensureStore, openStores, segmentsOf } from '../../src/segment/store.ts';
import { verifySegment } from '../../src/segment/verify.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { random } from '../support/batches.ts';
import { FakeNative, type FakeRow, FakeSource } from '../support/fake-source.ts';
import { People, PeopleRecorder } from '../support/people.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { flipped, HEADER } from '../support/segments.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const BEGAN = 1_795_000_000_000_000_000n;
const BATCH_ROWS = 30;
const NETWORK = 2;

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

interface Owner {
  readonly pid: number;
  readonly pstart: bigint;
  readonly uid: number;
  readonly comm: string;
}

interface Open {
  readonly owner: Owner;
  readonly state: 'LISTEN' | 'CONNECTED';
  readonly ends: FakeRow;
  readonly inode: bigint;
  readonly since: bigint;
}

interface Attempt {
  readonly owner: Owner;
  readonly ends: FakeRow;
  readonly began: bigint;
  ended: bigint | null;
}

type Row = FakeRow & { readonly ts: bigint };

/** How it was from a time on. */
interface Moment {
  readonly ts: bigint;
  readonly segment: number;
  readonly open: readonly Open[];
}

/** Sockets that come and go; two of its owners live in a network of their own, with the same addresses. */
class Net {
  readonly history: Moment[] = [];
  readonly attempts: Attempt[] = [];
  segment = 0;
  readonly #random: () => number;
  readonly #owners: Owner[];
  #open: Open[] = [];
  #pending: Attempt[] = [];
  #ts = BEGAN;
  #inode = 100n;

  constructor(seed: number) {
    this.#random = random(seed);
    this.#owners = [1, 2, 3, 4].map((i) => ({
      ...{ pid: 100 * i, pstart: BigInt(i), uid: i, comm: `server ${i}` },
    }));
    for (let i = 0; i < 30; i++) this.step();
    this.#pending = [];
    this.attempts.length = 0;
    this.history.splice(0, this.history.length - 1);
  }

  get now(): bigint {
    return this.#ts;
  }

  snapshot(): SocketSnapshot[] {
    return this.#open.map(({ owner, ends, inode, state }) => ({
      ...{ ...owner, inode, listens: state === 'LISTEN', family: 'inet' },
      ...{ saddr: String(ends.saddr), sport: Number(ends.sport) },
      ...{ daddr: String(ends.daddr ?? '0.0.0.0'), dport: Number(ends.dport ?? 0) },
    }));
  }

  /** Something happens; what the rows tell of it. */
  step(): Row[] {
    const owner = this.#owners[this.#below(this.#owners.length)] as Owner;
    const rows = this.#happens(owner, this.#random());
    this.history.push({ ts: this.#ts, segment: this.segment, open: [...this.#open] });
    return rows;
  }

  later(): bigint {
    this.#ts += BigInt(10 + this.#below(1_000));
    return this.#ts;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #happens(owner: Owner, what: number): Row[] {
    const network = owner.pid % 200 === 0 ? 1 : 2;
    const listen = { saddr: `10.0.0.${this.#below(2)}`, sport: 80 + this.#below(2) };
    const ends = {
      ...listen,
      daddr: '10.0.0.9',
      dport: 1_000 + this.#below(40) * 2 + (network % 2),
    };
    const isThere = this.#open.some(
      (one) =>
        one.owner === owner && one.ends.dport === ends.dport && one.ends.sport === ends.sport,
    );
    const mayOpen = this.#open.length < 40 && !isThere;
    if (what < 0.1) {
      // Several of one owner at one address are so many sockets; listening again is nothing.
      const again = this.#open.find((one) => one.state === 'LISTEN' && this.#random() < 0.3);
      if (again !== undefined || this.#open.length >= 40) {
        const of = again ?? { owner, ends: listen };
        return this.#row('listen', of.owner, of.ends, { error: 0, old_state: 'LISTEN' });
      }
      const row = this.#row('listen', owner, listen, { error: 0, old_state: 'CLOSE' });
      return this.#opens('LISTEN', owner, listen, row);
    }
    if (what < 0.3 && mayOpen) {
      const row = this.#row('accept', owner, ends, { error: 0, new_state: 'ESTABLISHED' });
      return this.#opens('CONNECTED', owner, ends, row);
    }
    if (what < 0.4 && mayOpen) {
      const attempt = { owner, ends, began: this.later(), ended: null };
      this.#pending.push(attempt);
      this.attempts.push(attempt);
      this.later();
      return [];
    }
    if (what < 0.5) return this.#outcome();
    if (what < 0.55) {
      const udp = { protocol: 'udp', error: 0 };
      return this.#row('connect', owner, ends, udp);
    }
    if (what < 0.6) return this.#row('accept', owner, ends, { error: 0, new_state: 'CLOSE' });
    if (what < 0.65) return this.#row('listen', owner, listen, { error: 98, old_state: 'CLOSE' });
    if (what < 0.7) return this.#row('reset', owner, ends, { old_state: 'ESTABLISHED' });
    return this.#close();
  }

  #outcome(): Row[] {
    const attempt = this.#pending.shift();
    if (attempt === undefined) return [];
    const ts = this.later();
    attempt.ended = ts;
    const { owner, ends, began } = attempt;
    const taken = this.#open.some(
      (one) =>
        one.owner === owner && one.ends.dport === ends.dport && one.ends.sport === ends.sport,
    );
    const fails = taken || this.#random() < 0.3;
    const row = this.#row(
      ...(['connect', owner, ends] as const),
      {
        ...{ error: fails ? 111 : 0, old_state: 'SYN_SENT', latency_ns: ts - began },
        new_state: fails ? 'CLOSE' : 'ESTABLISHED',
      },
      ts,
    );
    return fails ? row : this.#opens('CONNECTED', owner, ends, row);
  }

  #close(): Row[] {
    const at = this.#below(this.#open.length);
    const [one] = this.#open.splice(at, 1);
    if (one === undefined) return [];
    const same = this.#open.filter(
      ({ ends }) => ends.saddr === one.ends.saddr && ends.sport === one.ends.sport,
    );
    // The kernel may have forgotten whose it was.
    const nobody = { pid: 0, pstart: 0n, uid: 0, comm: '' };
    const forgotten =
      this.#random() < 0.2 && !same.some(({ ends }) => ends.dport === one.ends.dport);
    const states = {
      old_state: one.state === 'LISTEN' ? 'LISTEN' : 'LAST_ACK',
      new_state: 'CLOSE',
    };
    return this.#row('close', forgotten ? nobody : one.owner, one.ends, states);
  }

  #opens(state: Open['state'], owner: Owner, ends: FakeRow, rows: Row[]): Row[] {
    const since = rows[0]?.ts ?? 0n;
    this.#open = [...this.#open, { owner, state, ends, inode: this.#inode++, since }];
    return rows;
  }

  #row(op: string, owner: Owner, ends: FakeRow, own: FakeRow, ts = this.later()): Row[] {
    return [{ op, ...owner, tid: owner.pid, family: 'inet', protocol: 'tcp', ...ends, ...own, ts }];
  }
}

const regions = new FakeNative().columns(NETWORK);

/** Records a net into a store, as a recorder does. */
class NetRecorder {
  readonly store: string;
  readonly #net: Net;
  readonly #random: () => number;
  readonly #source = new FakeSource(() => {});
  #table = new SocketTable();
  #point: CommitPoint | null = null;
  #number = 1;

  constructor(store: string, net: Net, seed: number) {
    this.store = store;
    this.#net = net;
    this.#random = random(seed);
    ensureStore(store);
    this.#table.start(net.snapshot(), net.now);
  }

  /** A segment of so many steps, sealed or left open; some neighbouring rows come late. Its directory. */
  record(
    steps: number,
    end: 'sealed' | 'open' = 'sealed',
    losses: readonly SmallRow[] = [],
  ): string {
    return this.recordRows(
      Array.from({ length: steps }, () => this.#net.step()).flat(),
      end,
      losses,
    );
  }

  /** It dies, and is started again when so much has happened, which the rings have kept. Its last segment is sealed. */
  dieAndRecord(steps: number, more: number): string {
    const rows = Array.from({ length: steps }, () => this.#net.step()).flat();
    const opened = openStores([this.store]);
    this.#table = new SocketTable();
    this.#table.resume((opened.segments.at(-1)?.sockets() ?? []) as unknown as SocketRow[]);
    for (const segment of opened.segments) segment.close();
    this.#source.cutNow('rotated');
    this.#source.take();
    rows.push(...Array.from({ length: more }, () => this.#net.step()).flat());
    return this.recordRows(rows);
  }

  recordRows(
    rows: readonly Row[],
    end: 'sealed' | 'open' = 'sealed',
    losses: readonly SmallRow[] = [],
  ): string {
    const name = `20261122T180000.000Z-${String(this.#number++).padStart(7, '0')}`;
    const segments = segmentsOf(this.store);
    const writer = SegmentWriter.create(diskFiles, segments, name, HEADER, this.#point);
    writer.addLosses(losses);
    const shuffled = this.#shuffled(rows);
    for (let at = 0; at < shuffled.length; at += BATCH_ROWS) {
      this.#source.rows('network', shuffled.slice(at, at + BATCH_ROWS));
      const batch = this.#source.take() as BatchItem;
      const memory = this.#source.slotBuffer(batch.slot);
      this.#table.apply(batch, regions, memory);
      writer.append('network', batch, regions, memory);
      writer.addSockets(this.#table.takeChanges());
      this.#point = { ...noPoint(), through_seq: Number(batch.lastSeq) };
      writer.commit(this.#point);
    }
    this.#net.segment++;
    if (end === 'open') {
      writer.abandon();
      return join(segments, `.open-${name}`);
    }
    const sealed = writer.seal();
    this.#table.rotate();
    this.#source.cutNow('rotated');
    this.#source.take();
    return sealed.directory;
  }

  #shuffled(rows: readonly Row[]): Row[] {
    const out = [...rows];
    for (let i = 1; i < out.length; i++) {
      const [a, b] = [out[i - 1], out[i]];
      if (a === undefined || b === undefined || this.#random() > 0.1) continue;
      [out[i - 1], out[i]] = [b, { ...a, flags: 1 }];
      i++;
    }
    return out;
  }
}

function at(store: string, time: bigint | null): SocketsAt {
  const opened = openStores([store]);
  try {
    return socketsAt(opened, time);
  } finally {
    for (const segment of opened.segments) segment.close();
  }
}

type Told = Readonly<Record<'state' | 'pid' | 'comm' | 'uid' | 'ends' | 'since', unknown>>;

const inOrder = (told: readonly Told[]): string[] =>
  told.map((one) => Object.values(one).join()).sort();

/**
 * What is listed, and what was so; `since` is known of what was opened while it was recorded. Which of several
 * that listen at one address was closed, nothing tells.
 */
function compare(
  net: Net,
  moment: Moment,
  time: bigint,
  found: SocketsAt,
  since: bigint | null,
): void {
  const tell = (owner: Owner, state: string, ends: FakeRow, ts: bigint): Told => ({
    ...{ state, pid: owner.pid, comm: owner.comm, uid: owner.uid },
    ends: [ends.saddr, ends.sport, ends.daddr, ends.dport].join(' '),
    since: since === null || state === 'LISTEN' || ts <= since ? null : ts,
  });
  const expected = [
    ...moment.open.map((one) => tell(one.owner, one.state, one.ends, one.since)),
    ...net.attempts
      .filter(({ began, ended }) => began <= time && ended !== null && ended > time)
      .map((one) => tell(one.owner, 'SYN_SENT', one.ends, one.began)),
  ];
  const got = found.sockets.map((one) => {
    const { state, pid, comm, uid, saddr, sport, daddr, dport } = one;
    const ends = [saddr, sport, daddr ?? undefined, dport ?? undefined].join(' ');
    const told = since === null || state === 'LISTEN' ? null : one.since;
    return { state, pid, comm, uid, ends, since: told };
  });
  expect(inOrder(got)).toEqual(inOrder(expected));
}

/** ts of the first row that a store holds. */
function beginOf(store: string): bigint {
  const { segments } = openStores([store]);
  try {
    return heldSpan(segments, EVENT_TYPES)?.first ?? 0n;
  } finally {
    for (const segment of segments) segment.close();
  }
}

/** Compares some moments of the segments from `first` on. */
function compareSome(
  net: Net,
  store: string,
  take: () => number,
  { first, since }: { first: number; since: bigint | null },
): void {
  const end = at(store, null).at;
  // What changed before the first row was stored is of no time that is held.
  const begin = beginOf(store);
  const held = net.history.filter(
    ({ segment, ts }, i) =>
      segment >= first && ts >= begin && ts <= end && (net.history[i - 1]?.segment ?? -1) >= first,
  );
  for (let i = 0; i < 10; i++) {
    const index = Math.floor(take() * held.length);
    const moment = held[index] as Moment;
    try {
      compare(net, moment, moment.ts, at(store, moment.ts), since);
    } catch (error) {
      (error as Error).message =
        `seed ${SEED}, moment ${index} from ${first}: ${(error as Error).message}`;
      throw error;
    }
  }
}

const storeAt = (name = 'store'): string => join(directory.path, name);

test('at every moment what was open and whose, also where the first segments are gone', () => {
  for (let round = 0; round < 3; round++) {
    const seed = SEED + round;
    const net = new Net(seed);
    const since = net.now;
    const recorder = new NetRecorder(storeAt(`${round}`), net, seed);
    const ends = ['sealed', 'sealed', 'sealed', 'open'] as const;
    const segments = ends.map((end) => recorder.record(150, end));
    for (let first = 0; first < 4; first++) {
      compareSome(net, recorder.store, random(seed + first), { first, since });
      rmSync(segments[first] as string, { recursive: true });
    }
  }
});

test('a recorder that died and was started again knows also what was closed meanwhile', () => {
  for (let round = 0; round < 3; round++) {
    const seed = SEED + round;
    const net = new Net(seed);
    const recorder = new NetRecorder(storeAt(`${round}`), net, seed);
    recorder.record(120, 'open');
    recoverSegments(diskFiles, segmentsOf(recorder.store));
    recorder.dieAndRecord(100, 60);
    recorder.record(60);
    compareSome(net, recorder.store, random(seed), { first: 0, since: null });
  }
});

test('recovered and repaired segments keep what they had', () => {
  const net = new Net(SEED);
  const recorder = new NetRecorder(storeAt(), net, SEED);
  recorder.record(100);
  recorder.record(100, 'open');
  const held = net.history.filter(
    ({ segment, ts }) => segment === 1 && ts <= at(recorder.store, null).at,
  );
  const most = held.reduce((a, b) => (b.open.length > a.open.length ? b : a));
  const before = at(recorder.store, most.ts);
  expect(before.sockets.length, `seed ${SEED}`).toBeGreaterThan(3);
  recoverSegments(diskFiles, segmentsOf(recorder.store));
  expect(at(recorder.store, most.ts), `seed ${SEED}`).toEqual(before);
  ensureStore(storeAt('repaired'));
  const opened = openStores([recorder.store]);
  for (const { directory: one } of opened.segments) {
    repairSegment(diskFiles, one, storeAt('repaired'));
    expect(verifySegment(one).damage).toEqual([]);
  }
  for (const one of opened.segments) one.close();
  expect(at(storeAt('repaired'), most.ts)).toEqual(before);
});

test('the table holds what was open at its begin or at its end, however many come and go', () => {
  const net = new Net(SEED);
  const recorder = new NetRecorder(storeAt(), net, SEED);
  const [start, end] = [net.history.at(-1)?.open ?? [], () => net.history.at(-1)?.open ?? []];
  recorder.record(3_000);
  const opened = openStores([recorder.store]);
  const rows = opened.segments[0]?.sockets() ?? [];
  for (const segment of opened.segments) segment.close();
  // Which of several listeners was closed, nothing tells.
  const isConnected = ({ state }: { readonly state: unknown }): boolean => state === 'CONNECTED';
  const there = new Set([...start, ...end()].filter(isConnected).map(({ inode }) => inode));
  expect(rows.filter((row) => isConnected(row as never)).length, `seed ${SEED}`).toBe(there.size);
  expect(rows.filter((row) => row.last_seq === null).length).toBe(end().length);
});

test('losses of what opens and closes make the answer incomplete, others do not', () => {
  const net = new Net(SEED);
  const recorder = new NetRecorder(storeAt(), net, SEED);
  recorder.record(40);
  const { now } = net;
  const lost = (type: string, op: string): SmallRow => ({
    ...{ stage: 'ring', cause: 'overwritten', type, op, cpu: 0, count: 3n },
    ...{ first_ts: now + 1n, last_ts: now + 1n },
  });
  const losses = [lost('network', 'close'), lost('network', 'drop'), lost('file', 'open')];
  recorder.record(40, 'sealed', losses);
  recorder.record(40);
  expect(at(recorder.store, now).missing).toEqual([]);
  expect(at(recorder.store, null).missing).toEqual([
    'incomplete: 3 events lost (ring overwritten network.close)',
  ]);
});

test('outside of what is held a sentence; of a damaged table what the rows tell', () => {
  const net = new Net(SEED);
  const recorder = new NetRecorder(storeAt(), net, SEED);
  const path = recorder.record(60);
  const time = net.now;
  expect(() => at(recorder.store, time + 1n)).toThrow(/nothing is held of .*: held is .* to /);
  const file = join(path, 'sockets.arrow');
  writeFileSync(file, flipped(file, 1_000));
  const { missing, sockets } = at(recorder.store, null);
  expect(missing.join()).toContain('sockets.arrow');
  const since = sockets.filter((one) => one.since === null);
  expect(since).toEqual([]);
  expect(verifySegment(path).damage.map((one) => one.file)).toEqual(['sockets.arrow']);
});

test('a segment without the table says why there may be none', () => {
  const recorder = new PeopleRecorder(storeAt(), new People(SEED), SEED);
  recorder.record(40);
  expect(() => at(recorder.store, null)).toThrow(
    /keeps no sockets: it is an excerpt, or was recorded without network.connect/,
  );
});
