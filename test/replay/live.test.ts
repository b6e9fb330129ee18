// Rows of a recorder's live ring: as columns and as messages they are the same, whatever is chosen of them.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { fieldNames, JsonEncoder } from '../../src/event/json.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';
import { type Selection, select } from '../../src/query/select.ts';
import { messageAt, RawEventEncoder } from '../../src/raw/encoder.ts';
import { type LiveDoor, openDoor } from '../../src/replay/door.ts';
import { LiveRingReader } from '../../src/replay/live.ts';
import { random } from '../support/batches.ts';
import { decoded } from '../support/raw-events.ts';
import { Recording, temporaryDirectory } from '../support/recording.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const ROWS = 20_000;
const NONE = { since: null, until: null, types: [], ops: [], pids: [], comms: [] };
const NOTHING_SEEN = { seq: 0n, ktime: 0n };

const directory = temporaryDirectory();
const store = join(directory.path, 'store');
let recording: Recording;
beforeAll(async () => {
  const source = ['--source', 'synthetic', '--rate', '20000', '--seed', String(SEED)];
  recording = await Recording.start(store, [...source, '--profile', 'full']);
});
afterAll(async () => {
  await recording.kill();
  directory.remove();
});

/** Of one reader: messages by where they stand, and how far it is. */
class Reader {
  readonly messages: string[] = [];
  readonly #reader: LiveRingReader;
  readonly #encoder = new RawEventEncoder();
  #after: bigint;

  constructor(door: LiveDoor, selection: Selection, columns: Columns, asMessages: boolean) {
    const { ring, origin } = door;
    this.#reader = new LiveRingReader(ring, origin, selection, columns, NOTHING_SEEN, asMessages);
    this.#after = 0n;
  }

  read(): void {
    const { through, gapUntil, runs } = this.#reader.read(this.#after);
    // The ring begins somewhere: what was before is not looked for.
    this.#after = gapUntil > 0n ? gapUntil - 1n : through;
    if (runs.length === 0) return;
    const encoded = this.#encoder.encode(runs);
    for (let i = 0; i < encoded.ends.length; i++) {
      this.messages.push(messageAt(encoded, i).toString('latin1'));
    }
  }

  close(): void {
    this.#reader.close();
  }
}

type Columns = (type: EventType) => readonly string[];
const every: Columns = (type) => new JsonEncoder(type, null).columns;
const some =
  (fields: readonly string[]): Columns =>
  (type) =>
    new JsonEncoder(type, fields).columns;

test('messages that are made of records are those that are made of columns', async () => {
  const door = await openDoor(store, () => {});
  const next = random(SEED);
  const someFields = fieldNames().filter(() => next() < 0.3);
  const filter = await parseFilter('pid % 3 != 0 && (type != "file" || file.ret >= 0)');
  const asked: [string, Selection, Columns][] = [
    ['all', select(NONE), every],
    ['a filter', select({ ...NONE, filter }), every],
    ['some fields', select({ ...NONE, types: ['network', 'process'] }), some(someFields)],
  ];
  const pairs = asked.map(
    ([name, selection, columns]) =>
      [name, [false, true].map((as) => new Reader(door, selection, columns, as))] as const,
  );
  try {
    while (pairs.some(([, readers]) => readers.some(({ messages }) => messages.length < ROWS))) {
      for (const [, readers] of pairs) for (const reader of readers) reader.read();
      await sleep(10);
    }
    for (const [name, [columns, records]] of pairs) {
      const [a, b] = [columns?.messages ?? [], records?.messages ?? []];
      // They were opened one after the other, and read to different ends.
      const from = a.indexOf(b[0] ?? '');
      expect(from, `${name}, seed ${SEED}`).toBeGreaterThanOrEqual(0);
      const length = Math.min(a.length - from, b.length);
      expect(length, `${name}, seed ${SEED}`).toBeGreaterThan(ROWS / 2);
      const differing = b.slice(0, length).findIndex((one, i) => one !== a[from + i]);
      expect(
        differing,
        `${name}, seed ${SEED}: ${b[differing]} is not ${a[from + differing]}`,
      ).toBe(-1);
    }
  } finally {
    for (const [, readers] of pairs) for (const reader of readers) reader.close();
    door.close();
  }
  // Every type was among them, and what is decoded of one is a row.
  const all = pairs[0]?.[1][1]?.messages ?? [];
  const events = all.map((one) => decoded(Buffer.from(one, 'latin1')));
  for (const type of EVENT_TYPES.filter((one) => one !== 'syscall')) {
    expect(
      events.some((event) => type in event),
      type,
    ).toBe(true);
  }
});
