// Rows as events that go onward: what is read without reading the text is what the text says.

import { expect, test } from 'vitest';
import { fixtureRows, REBASE, unifiedFixture } from '../../fixtures/make-unified.ts';
import { Onward } from '../../src/sink/onward.ts';
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
