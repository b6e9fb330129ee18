// What conversion promises beyond the golden rows: ids, rebasing, the mapping's extent.

import { env } from 'node:process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fixtureConverter, fixtureRows, REBASE } from '../../fixtures/make-unified.ts';
import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { EVENTS } from '../../schemas/events.ts';
import { formatTs } from '../../src/event/clock.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';
import { Converter, columnsOf, type Origin } from '../../src/unified/convert.ts';
import { CATEGORIES, SEVERITIES, type UnifiedEvent } from '../../src/unified/event.ts';
import { hashWords, wordsOf, writeId } from '../../src/unified/id.ts';
import { DEFAULT_ONWARD_FILTER, MAPPING_VERSION, MEANINGS } from '../../src/unified/mapping.ts';
import { errorName, signalName } from '../../src/unified/numbers.ts';
import { take } from '../../src/unified/text.ts';
import { columnsWith, type PlainRow } from '../support/unified-rows.ts';

const SEED = Number(env.TAPIO_SEED ?? Date.now() % 1_000_000);
const MANY = 2_000_000;
const ORIGIN: Origin = { recording: 'r', host: 'h', boot_id: 'b', tsOffset: 1_000n };

const BASE: PlainRow = {
  ...{ seq: 1n, ts: 1_795_000_000_000_000_000n, cpu: 1, op: 'fork', pid: 7, pstart: 5n, tid: 8 },
  ...{ ppid: 1, uid: 0, gid: 0, comm: 'x', cgroup_id: 1n, kstack_id: 0n, ustack_id: 0n },
  ...{ weight: 1, flags: 0 },
};

function eventOf(
  row: PlainRow,
  converter = new Converter(ORIGIN),
  type: EventType = 'process',
): UnifiedEvent {
  const event = converter.convert(type, columnsWith(type, [{ ...BASE, ...row }]), 0);
  if (event === null) throw new Error('it is not mapped');
  return event;
}

test('every op of the event table has a meaning', () => {
  for (const type of EVENT_TYPES) {
    expect(Object.keys(MEANINGS[type]).sort()).toEqual(Object.keys(EVENTS[type].ops).sort());
    for (const { category } of Object.values(MEANINGS[type]))
      expect(CATEGORIES).toContain(category);
  }
});

test('a row of an unknown op gives nothing', () => {
  const columns = columnsWith('process', [{ ...BASE, op: 'levitate' }, BASE]);
  const converter = new Converter(ORIGIN);
  expect(converter.convert('process', columns, 0)).toBeNull();
  expect(converter.convert('process', columns, 1)).not.toBeNull();
});

test('a column that a segment lacks is null, and no other is needed than those that are asked for', () => {
  const all = columnsWith('network', [{ ...BASE, op: 'connect', error: 111, daddr: '::1' }]);
  const some = new Map([...all].filter(([name]) => columnsOf('network').includes(name)));
  some.delete('error');
  const event = new Converter(ORIGIN).convert('network', some, 0);
  expect(event?.severity).toBe('info');
  expect(event?.network?.dest_ip).toBe('::1');
});

test('any value of any column gives valid events', () => {
  const value = fc.record({
    op: fc.constantFrom('fork', 'exec', 'exit', 'signal'),
    ts: fc.bigInt({ min: 1_000n, max: 2n ** 62n }),
    signal: fc.option(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
    result: fc.option(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
    exit_code: fc.option(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
    cpu_ns: fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
    comm: fc.string({ unit: 'binary' }),
  });
  fc.assert(
    fc.property(value, (row) => {
      const event = eventOf(row);
      expect(SEVERITIES).toContain(event.severity);
      expect(event.timestamp).toBe(formatTs(row.ts).replace(/\.?0*Z$/, 'Z'));
      expect(event.attributes?.ktime).toBe(String(row.ts - ORIGIN.tsOffset));
      if (row.op === 'exit' && row.cpu_ns !== null) {
        expect(JSON.stringify(event)).toContain(`"cpu_ns":${row.cpu_ns},`);
      }
    }),
    { seed: SEED },
  );
});

const PLACE = fc.record({
  ts: fc.bigInt({ min: 1_000n, max: 2n ** 62n }),
  cpu: fc.integer({ min: 0, max: 65_535 }),
  tid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  op: fc.constantFrom('fork', 'exec', 'exit', 'signal'),
});

test('an id is made of boot, CPU, ktime, op and tid, and of nothing else', () => {
  fc.assert(
    fc.property(PLACE, PLACE, fc.bigInt({ min: 0n, max: 999n }), (one, other, moved) => {
      const { id } = eventOf(one);
      expect(id).toMatch(/^[0-9a-f]{32}$/);
      const elsewhere = { ...ORIGIN, recording: 'q', host: 'g', tsOffset: ORIGIN.tsOffset + moved };
      const same = { ...one, ts: one.ts + moved, seq: 99n, pid: 1, comm: 'y', signal: 4, uid: 5 };
      expect(eventOf(same, new Converter(elsewhere)).id).toBe(id);
      const differs = Object.keys(one).some((key) => one[key as 'ts'] !== other[key as 'ts']);
      expect(eventOf(other).id === id).toBe(!differs);
      expect(eventOf(one, new Converter({ ...ORIGIN, boot_id: 'c' })).id).not.toBe(id);
    }),
    { seed: SEED },
  );
});

test('two million rows have two million ids', () => {
  const seeds = wordsOf('0f1d7a0c-6c1e-4d53-9a52-3c1d5f7f8a11');
  const ids = new Set<string>();
  let ktime = 86_400_000_000_000;
  // Times that lie as close together as they can, on four CPUs, of a few ops and threads.
  for (let i = 0; i < MANY; i++) {
    if (i % 4 === 0) ktime += 1 + (i % 3);
    const op = 1 + (Math.trunc(i / 8) % 37);
    writeId(ktime | 0, Math.trunc(ktime / 2 ** 32), (op << 16) | (i % 4), 4000 + (i % 5), seeds);
    ids.add(take().toString('latin1'));
  }
  expect(ids.size).toBe(MANY);
});

test('the hash is MurmurHash3_x86_128 as it is described, written out with BigInt', () => {
  expect(hashWords([0, 0, 0, 0], [0, 0, 0, 0]).map((word) => word >>> 0)).toEqual([
    ...murmur(Buffer.alloc(16), 0),
  ]);
  const ones = hashWords([0x01010101, 0x01010101, 0x01010101, 0x01010101], [1, 1, 1, 1]);
  expect(ones.map((word) => word >>> 0)).toEqual([...murmur(Buffer.alloc(16, 1), 1)]);
});

test('a rebased row has another time and id, and tells its own time and seq', () => {
  for (const { type, row } of fixtureRows()) {
    const columns = columnsWith(type, [row]);
    const plain = fixtureConverter().convert(type, columns, 0);
    const moved = fixtureConverter(REBASE).convert(type, columns, 0);
    const again = fixtureConverter({ ...REBASE, salt: 'play 2' }).convert(type, columns, 0);
    const goTime = formatTs((row.ts as bigint) + REBASE.shift).replace(/\.?0*Z$/, 'Z');
    expect(moved?.timestamp).toBe(goTime);
    expect(moved?.attributes).toEqual({
      ...plain?.attributes,
      original_timestamp: plain?.timestamp,
    });
    expect(moved?.attributes?.seq).toBe(String(row.seq));
    expect(new Set([plain?.id, moved?.id, again?.id]).size).toBe(3);
    expect(fixtureConverter(REBASE).convert(type, columns, 0)?.id).toBe(moved?.id);
  }
});

test('a rebase goes back as well, over the edge of a second', () => {
  const shifts = fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n });
  fc.assert(
    fc.property(shifts, fc.bigInt({ min: 10n ** 18n, max: 2n * 10n ** 18n }), (shift, ts) => {
      const { timestamp } = eventOf(
        { ts },
        new Converter(ORIGIN, { rebase: { shift, salt: 's' } }),
      );
      expect(timestamp).toBe(formatTs(ts + shift).replace(/\.?0*Z$/, 'Z'));
    }),
    { seed: SEED },
  );
});

test('rows after one another tell their own times and numbers', () => {
  const seqs = [1n, 998n, 10n ** 12n - 12n, 2n ** 53n - 9n, 2n ** 64n - 20n].flatMap((first) =>
    Array.from({ length: 18 }, (_, i) => first + BigInt(i)),
  );
  const near = fc.integer({ min: -3, max: 3 });
  const steps = fc.array(fc.tuple(near, fc.nat(999_999_999)), { minLength: 9, maxLength: 99 });
  fc.assert(
    fc.property(steps, (times) => {
      const rows = times.map(([s, ns], i) => ({
        ...BASE,
        ts: 1_795_000_000_000_000_000n + BigInt(s) * 1_000_000_000n + BigInt(ns),
        seq: seqs[i % seqs.length] as bigint,
        pstart: BigInt(ns),
      }));
      const [columns, converter] = [columnsWith('process', rows), new Converter(ORIGIN)];
      for (const [i, { ts, seq, pstart }] of rows.entries()) {
        const event = converter.convert('process', columns, i);
        expect(event?.timestamp).toBe(formatTs(ts).replace(/\.?0*Z$/, 'Z'));
        const told = { seq: `${seq}`, ktime: `${ts - ORIGIN.tsOffset}`, pstart: `${pstart}` };
        expect(event?.attributes).toMatchObject(told);
      }
    }),
    { seed: SEED },
  );
});

test('severities of what matters', () => {
  const of = (type: EventType, row: PlainRow): unknown =>
    eventOf(row, new Converter(ORIGIN), type).severity;
  expect(of('memory', { op: 'oom', target_pid: 3 })).toBe('critical');
  expect(of('network', { op: 'connect', error: 111 })).toBe('warning');
  expect(of('network', { op: 'connect', error: 0 })).toBe('info');
  expect(of('process', { op: 'exec', result: -2 })).toBe('warning');
  expect(of('process', { op: 'exit', signal: 11 })).toBe('error');
  expect(of('process', { op: 'exit', signal: 25 })).toBe('error');
  expect(of('process', { op: 'exit', exit_code: 0 })).toBe('info');
  expect(of('process', { op: 'fork' })).toBe('info');
  expect(of('file', { op: 'open', ret: -13n })).toBe('warning');
  expect(of('file', { op: 'write', ret: -5n })).toBe('error');
  expect(of('file', { op: 'read', ret: 10n })).toBe('debug');
});

test('names of numbers are those of Linux', () => {
  expect([1, 13, 41, 111, 133, 134].map(errorName)).toEqual([
    ...['EPERM', 'EACCES', 'errno 41', 'ECONNREFUSED', 'EHWPOISON', 'errno 134'],
  ]);
  expect([1, 11, 31, 34].map(signalName)).toEqual(['SIGHUP', 'SIGSEGV', 'SIGSYS', 'signal 34']);
});

test('the default filter is one, and the version of the mapping stands in every event', async () => {
  await expect(parseFilter(DEFAULT_ONWARD_FILTER)).resolves.toBeDefined();
  expect(eventOf({}).attributes?.mapping_version).toBe(MAPPING_VERSION);
});

/** MurmurHash3_x86_128 of one block, with BigInt, step by step as its author describes it. */
function murmur(block: Buffer, seed: number): number[] {
  const mask = 0xffffffffn;
  const mul = (a: bigint, b: bigint): bigint => (a * b) & mask;
  const rot = (a: bigint, by: bigint): bigint => ((a << by) | (a >> (32n - by))) & mask;
  const k = [0, 4, 8, 12].map((at) => BigInt(block.readUInt32LE(at)));
  const h = [0, 0, 0, 0].map(() => BigInt(seed));
  const c = [0x239b961bn, 0xab0e9789n, 0x38b34ae5n, 0xa1e38b93n];
  const turns = [15n, 16n, 17n, 18n];
  const later = [19n, 17n, 15n, 13n];
  const adds = [0x561ccd1bn, 0x0bcaa747n, 0x96cd1c35n, 0x32ac3b17n];
  for (let i = 0; i < 4; i++) {
    const next = (i + 1) % 4;
    const mixed = mul(rot(mul(k[i] ?? 0n, c[i] ?? 0n), turns[i] ?? 0n), c[next] ?? 0n);
    h[i] = (h[i] ?? 0n) ^ mixed;
    h[i] = (rot(h[i] ?? 0n, later[i] ?? 0n) + (h[next] ?? 0n)) & mask;
    h[i] = (mul(h[i] ?? 0n, 5n) + (adds[i] ?? 0n)) & mask;
  }
  const spread = (): void => {
    h[0] = h.reduce((a, b) => a + b) & mask;
    for (let i = 1; i < 4; i++) h[i] = ((h[i] ?? 0n) + (h[0] ?? 0n)) & mask;
  };
  const fmix = (a: bigint): bigint => {
    const b = mul(a ^ (a >> 16n), 0x85ebca6bn);
    const d = mul(b ^ (b >> 13n), 0xc2b2ae35n);
    return d ^ (d >> 16n);
  };
  for (let i = 0; i < 4; i++) h[i] = (h[i] ?? 0n) ^ 16n;
  spread();
  for (let i = 0; i < 4; i++) h[i] = fmix(h[i] ?? 0n);
  spread();
  return h.map(Number);
}
