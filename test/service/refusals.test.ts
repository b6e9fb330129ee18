// Refusals in the audit: the first at once, floods as counts.

import { expect, test } from 'vitest';
import { TapioError } from '../../src/errors.ts';
import { type Denied, Refusals } from '../../src/service/refusals.ts';

const ENTRY: Denied = {
  identity: 'token:ann',
  method: 'QueryRawEvents',
  request: { page_size: 1 },
  peer: '10.0.0.1:4444',
  reason: 'no',
};

function refusals(): { all: Refusals; lines: Denied[] } {
  const lines: Denied[] = [];
  const denied = (entry: Denied): Promise<void> => {
    lines.push(entry);
    return Promise.resolve();
  };
  return { all: new Refusals({ denied, say: () => {} }), lines };
}

test('the first is told whole, those alike from whatever port as a count', async () => {
  const { all, lines } = refusals();
  for (let i = 0; i < 1000; i++) await all.denied({ ...ENTRY, peer: `10.0.0.1:${i}` });
  expect(lines).toEqual([{ ...ENTRY, peer: '10.0.0.1:0' }]);
  await all.flush();
  expect(lines[1]).toEqual({ ...ENTRY, peer: '10.0.0.1', request: {}, count: 999 });
  await all.flush();
  expect(lines.length).toBe(2);
});

test('others are told beside them, and a second later anew', async () => {
  const { all, lines } = refusals();
  await all.denied(ENTRY);
  await all.denied({ ...ENTRY, peer: '10.0.0.2:1' });
  await all.denied({ ...ENTRY, reason: 'never' });
  expect(lines.length).toBe(3);
  await all.flush();
  await all.denied(ENTRY);
  expect(lines.map(({ count }) => count)).toEqual([undefined, undefined, undefined, undefined]);
});

test('however many kinds there are, a second has so many lines, and none is uncounted', async () => {
  const { all, lines } = refusals();
  for (let i = 0; i < 10_000; i++) await all.denied({ ...ENTRY, reason: `no ${i % 5000}` });
  await all.flush();
  expect(lines.length).toBeLessThanOrEqual(41);
  const told = lines.reduce((sum, { count }) => sum + (count ?? 1), 0);
  expect(told).toBe(10_000);
  expect(lines.at(-1)).toMatchObject({ identity: null, peer: '' });
});

test('a first that cannot be noted is told to who is refused, a count to the recorder’s log', async () => {
  const said: string[] = [];
  const denied = (): Promise<void> => Promise.reject(new TapioError('io', 'the disk is full'));
  const all = new Refusals({ denied, say: (text) => said.push(text) });
  await expect(all.denied(ENTRY)).rejects.toThrow('the disk is full');
  await all.denied(ENTRY);
  await all.flush();
  expect(said).toEqual(['the disk is full']);
});
