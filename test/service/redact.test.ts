// What is left of fields that are redacted, in every form in which rows are let out.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { JsonEncoder } from '../../src/event/json.ts';
import type { EventBlock } from '../../src/event/stream.ts';
import { DictionaryVector } from '../../src/segment/vectors.ts';
import { Redactor, redactableFields } from '../../src/service/redact.ts';
import { redactNative } from '../../src/source/binding.ts';
import type { Mask } from '../../src/source/redact.ts';
import { Converter } from '../../src/unified/convert.ts';
import { rowOf } from '../support/expressions.ts';
import { columnsWith, looseColumns, type PlainRow } from '../support/unified-rows.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const ORIGIN = { recording: 'r', host: 'h', boot_id: 'b' };

function blockOf(type: EventType, rows: readonly PlainRow[], columns = columnsWith): EventBlock {
  return { type, origin: ORIGIN, tsOffset: 0n, columns: columns(type, rows) };
}

const hiding = (...fields: string[]): Redactor =>
  new Redactor({ hidden: new Set(fields), masked: new Map() });

const masking = (field: string, ...masks: Mask[]): Redactor =>
  new Redactor({ hidden: new Set(), masked: new Map([[field, masks]]) });

const SOME: PlainRow = {
  ...{ seq: 1n, ts: 1_795_000_000_000_000_000n, cpu: 1, op: 'exec', pid: 7, pstart: 5n, tid: 8 },
  ...{ ppid: 1, uid: 0, gid: 0, comm: 'x', cgroup_id: 1n, kstack_id: 0n, ustack_id: 0n },
  ...{ weight: 1, flags: 0, filename: '/home/ann/bin/x', args: ['x', 'token=s3cret', '-v'] },
};

test.each<[masks: [pattern: string, to: string][], text: string, shown: string]>([
  [[['token=(\\S+)', '***']], 'a token=1 b token=22', 'a token=*** b token=***'],
  [[['^/home/[^/]+', '/home/***']], '/home/ann/x', '/home/***/x'],
  [[['^/home/[^/]+', '/home/***']], '/root/home/ann', '/root/home/ann'],
  [[['b', '$1\\0']], 'abc', 'a$1\\0c'],
  // Groups that overlap are one part, and a group that took no part is none.
  [[['((a)b)c', '-']], 'abc', '-c'],
  [[['k=(\\d+)|p=(\\w+)', '-']], 'k=1 p=x', 'k=- p=-'],
  [[['x(y)?', '-']], 'x xy', '- x-'],
  [[['x*', '-']], 'axxb', 'a-b'],
  [[['', '-']], 'aé😀', 'aé😀'],
  [[['.', '-']], 'é😀', '--'],
  [[['(?i)SECRET', '-']], 'a seCret', 'a -'],
  // Each looks at the text as it was: what one replaces hides nothing from the other.
  [
    [
      ['ab', '1'],
      ['bc', '2'],
    ],
    'abcd',
    '1d',
  ],
  [
    [
      ['bc', '2'],
      ['ab', '1'],
    ],
    'abcd',
    '1d',
  ],
  [
    [
      ['a', 'b'],
      ['b', 'a'],
    ],
    'ab',
    'ba',
  ],
])('masks %j make of %s %s', (masks, text, shown) => {
  const native = new (redactNative().TextRedactor)(
    masks.map(([pattern, to]) => ({ pattern, with: to })),
  );
  expect(native.redact([text, '', text])).toEqual([shown, '', shown]);
});

test('what a pattern matches is gone, whatever the texts', () => {
  const native = new (redactNative().TextRedactor)([{ pattern: 's(\\d+)', with: '' }]);
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[s0-9 é]{0,20}$/)), (texts) => {
      expect(native.redact(texts)).toEqual(texts.map((text) => text.replace(/s\d+/g, 's')));
    }),
    { seed: SEED },
  );
});

test('a pattern that would take others for ever takes no time', () => {
  const native = new (redactNative().TextRedactor)([{ pattern: '(a+)+$', with: '-' }]);
  const text = `${'a'.repeat(5000)}b`;
  const before = process.cpuUsage();
  expect(native.redact([text])).toEqual([text]);
  expect(process.cpuUsage(before).user).toBeLessThan(2_000_000);
});

test('a hidden field is null in every form, whichever it is', () => {
  for (const field of redactableFields()) {
    for (const type of EVENT_TYPES) {
      const [row] = fc.sample(rowOf(type), { numRuns: 1, seed: SEED });
      const rows = [row?.values ?? {}] as PlainRow[];
      for (const columns of [columnsWith, looseColumns]) {
        const block = hiding(field).block(blockOf(type, rows, columns));
        const json = JSON.parse(new JsonEncoder(type, null).encode(block.columns, 0, 0n));
        const whole = new JsonEncoder(type, null).encode(columns(type, rows), 0, 0n);
        const [of, name = ''] = field.split('.');
        const expected = JSON.parse(whole);
        if (of === type) expected[type][name] = null;
        else if (!field.includes('.')) expected[field] = null;
        expect(json, `${field} of ${type}, seed ${SEED}`).toEqual(expected);
        new Converter({ ...ORIGIN, tsOffset: 0n }).convert(type, block.columns, 0);
      }
    }
  }
});

test('an event is made from what is left', () => {
  const converter = new Converter({ ...ORIGIN, tsOffset: 0n });
  const block = blockOf('process', [SOME]);
  const whole = JSON.stringify(converter.convert('process', block.columns, 0));
  expect(whole).toContain('s3cret');
  const { columns } = hiding('process.args', 'process.filename', 'pid', 'pstart').block(block);
  const event = converter.convert('process', columns, 0);
  expect(JSON.stringify(event)).not.toMatch(/s3cret|ann|"pid"/);
});

test('a masked field keeps its rows, with and without buffers', () => {
  const rows = [SOME, { ...SOME, filename: null, args: null }, { ...SOME, filename: '/bin/sh' }];
  const home = masking('process.filename', { pattern: '^/home/[^/]+', with: '~' });
  const token = masking('process.args', { pattern: 'token=(.*)', with: '***' });
  for (const columns of [columnsWith, looseColumns]) {
    const block = blockOf('process', rows, columns);
    const filename = home.block(block).columns.get('filename');
    expect(rows.map((_, i) => filename?.get(i))).toEqual(['~/bin/x', null, '/bin/sh']);
    const args = token.block(block).columns.get('args');
    expect(args?.get(0)).toEqual(['x', 'token=***', '-v']);
    expect(args?.get(1)).toBeNull();
  }
});

test('a dictionary is gone through once, and its buffers hold nothing else', () => {
  const block = blockOf('process', [SOME]);
  const redactor = masking('process.filename', { pattern: 'ann', with: '-' });
  const [one, two] = [redactor.block(block), redactor.block({ ...block })].map(
    ({ columns }) => columns.get('filename') as DictionaryVector,
  );
  expect(one?.dictionary).toBe(two?.dictionary);
  expect(Buffer.from(one?.dictionary.buffers.data ?? []).toString()).toBe('/home/-/bin/x');
  const hidden = hiding('process.filename').block(block).columns.get('filename');
  expect(hidden).toBeInstanceOf(DictionaryVector);
  expect((hidden as DictionaryVector).dictionary.length).toBe(0);
});

test('a block of which nothing is redacted stays as it is', () => {
  const block = blockOf('process', [SOME]);
  expect(hiding().block(block)).toBe(block);
  const { columns } = hiding('file.path', 'network.packet').block(block);
  for (const { name } of EVENT_TABLES.process.columns) {
    expect(columns.get(name)).toBe(block.columns.get(name));
  }
});
