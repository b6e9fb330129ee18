// Rows as events that go onward: what is read without reading the text is what the text says.

import { expect, test } from 'vitest';
import { fixtureRows, REBASE, unifiedFixture } from '../../fixtures/make-unified.ts';
import { Onward } from '../../src/sink/onward.ts';
import { decoded, expectedRaw } from '../support/raw-events.ts';
import { columnsWith } from '../support/unified-rows.ts';

test('heads, texts and objects of events agree, and rows of unknown ops are counted', () => {
  const { ts_offset, ...origin } = JSON.parse(unifiedFixture('segment.json'));
  const runs = fixtureRows().map(({ type, row }) => {
    const columns = columnsWith(type, [row, { ...row, op: 'levitate' }]);
    return { block: { type, origin, tsOffset: BigInt(ts_offset), columns }, from: 0, to: 2 };
  });
  const onward = new Onward();
  for (const name of ['events.ndjson', 'events-rebased.ndjson']) {
    const events = onward.events(runs);
    expect(events.map(({ json }) => `${json}\n`).join('')).toBe(unifiedFixture(name));
    for (const { head, unified } of events) expect(unified).toMatchObject(head);
    onward.rebase(REBASE);
  }
  expect(onward.unknown.get('memory.levitate')).toBeGreaterThan(1);
});

test('with its row in it an event is the same otherwise, and the row is all there', () => {
  const { ts_offset, ...origin } = JSON.parse(unifiedFixture('segment.json'));
  const tsOffset = BigInt(ts_offset);
  const rows = fixtureRows();
  const runs = rows.map(({ type, row }) => {
    const unknown = { ...row, op: 'levitate' };
    const columns = columnsWith(type, [unknown, row, unknown]);
    return { block: { type, origin, tsOffset, columns }, from: 0, to: 3 };
  });
  const [plain, raw] = [new Onward(), new Onward({ raw: true })];
  for (const name of ['events.ndjson', 'events-rebased.ndjson']) {
    const events = raw.events(runs);
    const texts = plain.events(runs).map(({ json }) => `${json}`);
    expect(events.length).toBe(rows.length);
    for (const [i, { json, head, unified }] of events.entries()) {
      const { type, row } = rows[i] as (typeof rows)[number];
      const message = Buffer.from(unified.raw_data ?? '', 'base64');
      // Last of all, behind what is there without it.
      const text = texts[i]?.slice(0, -1);
      expect(`${json}`).toBe(`${text},"raw_data":"${message.toString('base64')}"}`);
      expect(decoded(message)).toEqual(expectedRaw(type, row, tsOffset));
      expect(unified).toMatchObject(head);
    }
    expect(texts.map((text) => `${text}\n`).join('')).toBe(unifiedFixture(name));
    for (const one of [plain, raw]) one.rebase(REBASE);
  }
});

test('columns that only the row itself wants are read with it', () => {
  const [plain, raw] = [new Onward(), new Onward({ raw: true })];
  expect(plain.columns('network')).not.toContain('packet');
  expect(raw.columns('network')).toContain('packet');
  for (const type of ['process', 'file', 'memory', 'syscall'] as const) {
    expect(new Set(raw.columns(type))).toEqual(new Set(plain.columns(type)));
  }
});
