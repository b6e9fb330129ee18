// Columns that do not hold what they should: the addon says so, and reads nothing that lies elsewhere.

import { env } from 'node:process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EventType } from '../../schemas/arrow.ts';
import { RawEventEncoder } from '../../src/raw/encoder.ts';
import type { Column } from '../../src/raw/layout.ts';
import { Strings } from '../../src/segment/strings.ts';
import { DictionaryVector, NumberVector, SliceVector } from '../../src/segment/vectors.ts';
import { rawEventNative } from '../../src/source/binding.ts';
import { RAW_KINDS } from '../../src/source/raw-events.ts';
import { decoded, messagesOf } from '../support/raw-events.ts';

const SEED = Number(env.TAPIO_SEED ?? Date.now() % 1_000_000);
const CASES = 20_000;
const NONE = new Uint8Array(0);
const ORIGIN = { recording: '01KB', host: 'host', boot_id: 'boot' };

function encode(
  type: EventType,
  columns: Readonly<Record<string, Column>>,
  rows: number,
): Buffer[] {
  const block = { type, origin: ORIGIN, tsOffset: 0n, columns: new Map(Object.entries(columns)) };
  return messagesOf(new RawEventEncoder().encode([{ block, from: 0, to: rows }]));
}

const pids = (length: number, validity = NONE): NumberVector =>
  new NumberVector(length, validity, new Uint32Array(8).fill(7));
const strings = (offsets: readonly number[], data = 'abcdef'): Strings =>
  new Strings({ offsets: Int32Array.from(offsets), data: Buffer.from(data) });
const comms = (indices: readonly number[], dictionary: Strings): DictionaryVector =>
  new DictionaryVector(indices.length, NONE, Uint16Array.from(indices), dictionary);
const paths = (indices: readonly number[], dictionary: Strings): DictionaryVector =>
  new DictionaryVector(indices.length, NONE, Int32Array.from(indices), dictionary);
const slices = (
  offsets: readonly number[],
  inner: Int32Array | BigUint64Array | null,
  heap = Buffer.from('abcdef'),
): SliceVector =>
  new SliceVector(1, NONE, { offsets: Int32Array.from(offsets), inner, heap }, () => null);

test('what lies outside its buffer is told', () => {
  const texts = (offsets: readonly number[], inner: readonly number[]): SliceVector =>
    slices(offsets, Int32Array.from(inner));
  const u64s = (offsets: readonly number[]): SliceVector => slices(offsets, new BigUint64Array(3));
  const cases: readonly (readonly [string, EventType, Readonly<Record<string, Column>>, number])[] =
    [
      ['more rows than values', 'file', { pid: pids(9) }, 9],
      ['more rows than the column', 'file', { pid: pids(4) }, 5],
      [
        'a short bitmap',
        'file',
        { pid: new NumberVector(9, new Uint8Array(1), new Uint32Array(9)) },
        9,
      ],
      [
        'a bitmap that is short for rows nobody wants',
        'file',
        { pid: new NumberVector(9, new Uint8Array(1), new Uint32Array(9)) },
        1,
      ],
      ['an index beyond', 'file', { comm: comms([2], strings([0, 3, 6])) }, 1],
      ['an index in no dictionary', 'file', { comm: comms([0], strings([])) }, 1],
      ['an index in an empty dictionary', 'file', { comm: comms([0], strings([0])) }, 1],
      ['a negative index', 'file', { path: paths([-1], strings([0, 3, 6])) }, 1],
      ['the largest index', 'file', { path: paths([2 ** 31 - 1], strings([0, 3, 6])) }, 1],
      ['a string that ends outside', 'file', { path: paths([0], strings([0, 7])) }, 1],
      ['a string that begins before', 'file', { path: paths([0], strings([-1, 3])) }, 1],
      ['a string that ends before it begins', 'file', { path: paths([0], strings([3, 2])) }, 1],
      ['a list beyond its strings', 'process', { args: texts([0, 3], [0, 1, 2]) }, 1],
      ['a list that begins before', 'process', { args: texts([-1, 1], [0, 1, 2]) }, 1],
      ['a list that ends before it begins', 'process', { args: texts([1, 0], [0, 1, 2]) }, 1],
      ['a string of a list outside', 'process', { args: texts([0, 2], [0, 1, 7]) }, 1],
      ['a string of a list before', 'process', { args: texts([0, 2], [0, -1, 2]) }, 1],
      ['a list with no end', 'process', { args: texts([0], [0, 1, 2]) }, 1],
      ['a list without strings', 'process', { args: slices([0, 1], new Int32Array(0)) }, 1],
      ['numbers beyond', 'syscall', { args: u64s([0, 4]) }, 1],
      ['numbers that begin before', 'syscall', { args: u64s([-2, 1]) }, 1],
      ['numbers that end before they begin', 'syscall', { args: u64s([2, 1]) }, 1],
      ['bytes beyond', 'network', { packet: slices([0, 7], null) }, 1],
      ['bytes that begin before', 'network', { packet: slices([-1, 2], null) }, 1],
      ['bytes that end before they begin', 'network', { packet: slices([2, 1], null) }, 1],
    ];
  for (const [name, type, columns, rows] of cases) {
    expect(() => encode(type, columns, rows), name).toThrow(RangeError);
  }
  expect(encode('file', { pid: pids(8) }, 8).map(decoded)).toEqual(
    Array(8).fill({ pid: 7, file: {} }),
  );
  // What no row names is nobody's.
  const unnamed = new DictionaryVector(1, new Uint8Array(1), Uint16Array.of(9), strings([]));
  expect(encode('file', { comm: unnamed, path: unnamed }, 1).map(decoded)).toEqual([{ file: {} }]);
});

test('buffers that are gone are told', () => {
  const values = new Uint32Array(4);
  const block = {
    ...({ type: 'file', origin: ORIGIN, tsOffset: 0n } as const),
    columns: new Map([['pid', new NumberVector(4, NONE, values)]]),
  };
  const encoder = new RawEventEncoder();
  const run = { block, from: 0, to: 4 };
  expect(encoder.encode([run]).ends.length).toBe(4);
  structuredClone(values.buffer, { transfer: [values.buffer] });
  expect(() => encoder.encode([run])).toThrow(RangeError);
});

test('rows that no block has are told', () => {
  const block = {
    type: 'file',
    origin: ORIGIN,
    tsOffset: 0n,
    columns: new Map([['pid', pids(8)]]),
  } as const;
  const bare = { ...block, columns: new Map() };
  const encoder = new RawEventEncoder();
  for (const [from, to] of [
    [-1, 3],
    [3, 2],
    [0, 9],
    [2 ** 32 - 1, 2 ** 32 - 1 + 2],
  ]) {
    expect(() => encoder.encode([{ block, from: from ?? 0, to: to ?? 0 }]), `${from}`).toThrow(
      RangeError,
    );
  }
  expect(encoder.encode([{ block: bare, from: 0, to: 3 }]).ends.length).toBe(3);
  // Memory that nobody touches.
  const data = new Uint8Array(2 ** 30);
  const long = new Strings({ offsets: Int32Array.of(0, data.length), data });
  expect(() => encode('file', { path: paths([0], long) }, 1)).toThrow(/too large/);
});

test('strings that are no UTF-8 are marked as Node marks them', () => {
  const parts = [
    [0xc3],
    [0xe2, 0x82],
    [0xf0, 0x9f, 0x98],
    [0xff],
    [0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80],
    [0xc0, 0xaf],
    [0xe0, 0x9f],
    [0xf0, 0x8f],
    [0xf8],
  ];
  const texts = parts.flatMap((broken) => [
    Buffer.from(broken),
    Buffer.from([...broken, 0x61]),
    Buffer.from([0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0xc3, 0xa4, ...broken, 0xc3, 0xa4]),
    Buffer.from([...broken, ...broken, 0x20]),
  ]);
  const check = (bytes: Buffer): void => {
    const dictionary = new Strings({ offsets: Int32Array.of(0, bytes.length), data: bytes });
    const [message = NONE] = encode('file', { path: paths([0], dictionary) }, 1);
    expect(decoded(message)).toEqual({ file: { path: bytes.toString('utf8') } });
  };
  for (const text of texts) check(text);
  const edge = fc.constantFrom(
    0x00,
    0x61,
    0x7f,
    0x80,
    0x8f,
    0x90,
    0x9f,
    0xa0,
    0xbf,
    0xc1,
    0xc2,
    0xe0,
    0xe1,
    0xed,
    0xef,
    0xf0,
    0xf1,
    0xf4,
    0xf5,
    0xff,
  );
  fc.assert(
    fc.property(fc.array(edge, { minLength: 1, maxLength: 20 }), (bytes) =>
      check(Buffer.from(bytes)),
    ),
    { seed: SEED, numRuns: 2000 },
  );
});

test('what is no block, no buffer and no run is told', () => {
  const { encodeRawEvents } = rawEventNative();
  const layout = Float64Array.of(101, 0, 0);
  const good = { layout, buffers: [] };
  const run = Uint32Array.of(0, 0, 1);
  expect(encodeRawEvents([good], run).ends.length).toBe(1);
  const wrong: readonly (readonly unknown[])[] = [
    [],
    [null, run],
    [[null], run],
    [[{}], run],
    [[{ layout, buffers: [NONE] }], run],
    [[{ layout, buffers: [new SharedArrayBuffer(8)] }], run],
    [[{ layout: [...layout], buffers: [] }], run],
    [[{ layout: Float64Array.of(), buffers: [] }], run],
    [[{ layout: Float64Array.of(0, 0, 0), buffers: [] }], run],
    [[{ layout: Float64Array.of(2048, 0, 0), buffers: [] }], run],
    [[{ layout: Float64Array.of(101, 0, 0, 1), buffers: [] }], run],
    [[good], [...run]],
    [[good], Uint32Array.of(0, 0)],
    [[good], Uint32Array.of(1, 0, 1)],
    [[good], Uint32Array.of(0, 1, 0)],
  ];
  for (const [i, args] of wrong.entries()) {
    expect(() => (encodeRawEvents as (...args: unknown[]) => unknown)(...args), `${i}`).toThrow(
      RangeError,
    );
  }
  const thrower = {
    get layout(): never {
      throw new TypeError('mine');
    },
  };
  expect(() => encodeRawEvents([thrower as never], run)).toThrow('mine');
  // A block that takes another's memory away while it is asked.
  const memory = new ArrayBuffer(8);
  const number = [1, RAW_KINDS.u64, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0];
  const first = { layout: Float64Array.of(...layout, ...number), buffers: [memory] };
  const thief = {
    layout,
    get buffers() {
      structuredClone(memory, { transfer: [memory] });
      return [];
    },
  };
  expect(() => encodeRawEvents([first, thief], run)).toThrow(RangeError);
});

test(`layouts and buffers of any content are encoded or told (seed ${SEED})`, {
  timeout: 120_000,
}, () => {
  const { encodeRawEvents } = rawEventNative();
  const few = fc.integer({ min: 0, max: 12 });
  const size = fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom(0, 4, 8, 16, 32, 64) },
    fc.constantFrom(65, 2 ** 32, 2 ** 53, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY),
  );
  const slice = fc.tuple(
    fc.oneof({ weight: 20, arbitrary: fc.nat(1) }, size),
    fc.constantFrom(0, 0, 0, 8, 63),
    size,
  );
  const column = fc
    .tuple(
      fc.tuple(
        fc.integer({ min: 1, max: 40 }),
        fc.nat(11),
        fc.nat(1),
        fc.constantFrom(0, 0, 0, 1),
        fc.oneof(few, size),
      ),
      fc.tuple(slice, slice, slice, slice),
    )
    .map(([head, slices]) => [...head, ...slices.flat()]);
  const block = fc.record({
    layout: fc
      .tuple(fc.constantFrom(101, 102), fc.array(column, { maxLength: 3 }))
      .map(([event, columns]) => Float64Array.from([event, 1, 0, ...columns.flat()])),
    // Small numbers, as offsets are; sometimes none.
    buffers: fc.array(
      fc
        .array(fc.oneof({ weight: 30, arbitrary: few }, fc.integer()), {
          minLength: 16,
          maxLength: 16,
        })
        .map((words) => Int32Array.from(words).buffer),
      { minLength: 2, maxLength: 2 },
    ),
  });
  const run = fc.tuple(fc.nat(2), few, few);
  const counts = { encoded: 0, told: 0 };
  fc.assert(
    fc.property(
      fc.array(block, { minLength: 1, maxLength: 3 }),
      fc.array(run, { maxLength: 4 }),
      (blocks, runs) => {
        try {
          const ok = runs.map(([at, a, b]) => [at % blocks.length, Math.min(a, b), Math.max(a, b)]);
          const { bytes, ends } = encodeRawEvents(blocks, Uint32Array.from(ok.flat()));
          messagesOf({ bytes, ends });
          counts.encoded++;
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          counts.told++;
        }
      },
    ),
    { seed: SEED, numRuns: CASES },
  );
  expect(counts.encoded).toBeGreaterThan(CASES / 50);
  expect(counts.told).toBeGreaterThan(CASES / 10);
});
