// A bound selection over a real store: read, counted and grouped by the native scan, it gives the rows that
// may be seen and no others.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EVENT_TYPES } from '../../schemas/arrow.ts';
import { allOps } from '../../src/config/config.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';
import { matches } from '../../src/query/predicate.ts';
import { Reading } from '../../src/query/reading.ts';
import { select } from '../../src/query/select.ts';
import { groupsOf } from '../../src/query/stats.ts';
import { StoredEvents } from '../../src/replay/stored.ts';
import { type OpenedStore, openStore } from '../../src/segment/store.ts';
import { Policy, UNLIMITED } from '../../src/service/policy.ts';
import { redactableFields } from '../../src/service/redact.ts';
import { columnIndex, MadeRecording, type RecordedRow } from '../support/recorded.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { rowSeqs } from '../support/rows.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const OPS = [...allOps().keys()];
const FILTERS = ['pid % 2 == 0', 'comm.size() > 3', 'network.dport > 1000', 'uid != 0 || cpu == 1'];
const ANN = { kind: 'token', name: 'ann' } as const;
const NONE = { since: null, until: null, types: [], ops: [], pids: [], comms: [] };

let directory: ReturnType<typeof temporaryDirectory>;
let made: MadeRecording;
let opened: OpenedStore;
beforeEach(() => {
  directory = temporaryDirectory();
  const store = join(directory.path, 'store');
  mkdirSync(join(store, 'segments'), { recursive: true });
  made = new MadeRecording(join(store, 'segments'), 'one', SEED, 0);
  for (let i = 0; i < 3; i++) made.write(...EVENT_TYPES.map((type) => [type, 20] as const)).seal();
  opened = openStore(store);
});
afterEach(() => {
  for (const segment of opened.segments) segment.close();
  directory.remove();
});

const cases = fc.record({
  allow: fc.subarray(OPS, { minLength: 1 }),
  deny: fc.subarray(OPS, { maxLength: 3 }),
  own: fc.option(fc.constantFrom(...FILTERS)),
  asked: fc.option(fc.constantFrom(...FILTERS)),
  ops: fc.subarray(OPS, { maxLength: 6 }),
  not: fc.boolean(),
});

const cell = ({ type, cells }: RecordedRow, name: string): RecordedRow['cells'][number] => {
  const at = columnIndex(type, name);
  return at < 0 ? null : (cells[at] ?? null);
};

test('what is read, counted and grouped is what may be seen', async () => {
  let found = 0;
  await fc.assert(
    fc.asyncProperty(cases, async ({ allow, deny, own, asked, ops, not }) => {
      const mine = own === null ? null : await parseFilter(own);
      const filter = asked === null ? null : await parseFilter(asked);
      const sets = [allow, deny].map(
        (names) =>
          new Map(
            EVENT_TYPES.map((type) => {
              const own = names.filter((name) => name.startsWith(`${type}.`));
              return [type, new Set(own.map((name) => name.split('.')[1] ?? ''))];
            }),
          ),
      );
      const [allowed = new Map(), denied = new Map()] = sets;
      const rule = { who: ['token:ann'], allow: allowed, deny: denied, filter: mine, redact: [] };
      const grant = new Policy([{ ...rule, limits: UNLIMITED }]).grantFor(ANN);
      const selection = select({ ...NONE, ops, filter, not });
      const bound = grant?.bind({ selection }, 0n).selection;

      const wanted = [...made.rows].filter(([, row]) => {
        const get = (name: string): RecordedRow['cells'][number] => cell(row, name);
        const name = `${row.type}.${get('op')}`;
        const isAsked =
          (ops.length === 0 || ops.includes(name)) &&
          (filter === null || matches(filter.for(row.type), get) === true);
        const isPermitted = mine === null || matches(mine.for(row.type), get) === true;
        return isAsked !== not && isPermitted && allow.includes(name) && !deny.includes(name);
      });
      const seqs = wanted.map(([seq]) => seq).sort((a, b) => (a < b ? -1 : 1));
      if (bound === undefined) {
        expect(seqs).toEqual([]);
        return;
      }
      expect(await rowSeqs(opened, bound)).toEqual(seqs);
      const reading = Reading.of(opened, bound);
      expect(await reading.count()).toBe(seqs.length);
      const question = { by: ['type', 'op'], sums: [], distribution: () => null };
      const groups = await groupsOf(reading.scanner, reading.plan, question, () => true);
      const names = groups.map(({ keys }) => keys.join('.')).sort();
      const all = wanted.map(([, row]) => `${row.type}.${cell(row, 'op')}`);
      expect(names).toEqual([...new Set(all)].sort());
      found += seqs.length;
    }),
    { seed: SEED, numRuns: 60 },
  );
  expect(found, `seed ${SEED}`).toBeGreaterThan(100);
});

test('a stream reads no column that is hidden', async () => {
  const hidden = new Set(redactableFields());
  const redact = [...hidden].map((field) => ({ field, mask: null }));
  const allow = new Map(
    EVENT_TYPES.map((type) => [
      type,
      new Set(OPS.filter((op) => op.startsWith(`${type}.`)).map((op) => op.split('.')[1] ?? '')),
    ]),
  );
  const rule = { who: ['*'], allow, deny: new Map(), filter: null, redact, limits: UNLIMITED };
  const grant = new Policy([rule]).grantFor(ANN);
  if (grant === null) throw new Error('all may be seen');
  const { selection, columns, redactor } = grant.bind({ selection: select(NONE) }, 0n);
  for (const type of EVENT_TYPES) {
    expect([...columns(type)].sort()).toEqual(['op', 'seq', 'ts', 'weight']);
  }
  let rows = 0;
  const events = new StoredEvents(opened.segments, selection, columns);
  for await (const runs of events.events()) {
    for (const { block, from, to } of runs) {
      expect([...block.columns.keys()].sort()).toEqual(['op', 'seq', 'ts', 'weight']);
      const shown = redactor.block(block).columns;
      for (let row = from; row < to; row++, rows++) {
        for (const [name, column] of shown) {
          expect(column.get(row) === null).toBe(!block.columns.has(name));
        }
      }
    }
  }
  expect(rows).toBe(made.rows.size);
});
