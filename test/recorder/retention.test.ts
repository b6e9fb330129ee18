// Which segments go, and how: oldest first, no more than must, and a start finishes what was begun.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  countToRetire,
  type HeldSegment,
  RETIRED_AT_ONCE,
  Retention,
  type RetentionLimits,
} from '../../src/recorder/retention.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { temporaryDirectory } from '../support/recording.ts';

const NOW = 1_000_000;
const ROOMY = { total: 1000, free: 1000 };
const LIMITS: RetentionLimits = { bytesMax: 1e9, ageMaxMs: 1e9, freeMin: { share: 0 } };

const held = (...sizes: number[]): HeldSegment[] =>
  sizes.map((bytes, i) => ({ name: `s-${i}`, bytes, lastMs: i * 1000 }));

const total = (all: readonly HeldSegment[]): number => all.reduce((sum, one) => sum + one.bytes, 0);

test('the oldest go until the rest and the open segment are within the limit', () => {
  const all = held(10, 20, 30, 40);
  const count = (bytesMax: number, open = 0): number =>
    countToRetire(all, total(all), open, ROOMY, NOW, { ...LIMITS, bytesMax });
  expect([100, 99, 91, 90, 89, 70, 69, 0].map((max) => count(max))).toEqual([
    0, 1, 1, 1, 2, 2, 3, 4,
  ]);
  expect(count(100, 1)).toBe(1);
});

test('age counts from a segment’s last row; what is younger stays', () => {
  const all = held(1, 1, 1);
  const count = (ageMaxMs: number): number =>
    countToRetire(all, 3, 0, ROOMY, NOW, { ...LIMITS, ageMaxMs });
  expect([NOW + 1, NOW, NOW - 1, NOW - 1001, NOW - 2001].map(count)).toEqual([0, 0, 1, 2, 3]);
});

test('free room is a share or a size, and what goes gives its own', () => {
  const all = held(50, 50, 50);
  const disk = { total: 1000, free: 20 };
  const count = (freeMin: RetentionLimits['freeMin']): number =>
    countToRetire(all, 150, 0, disk, NOW, { ...LIMITS, freeMin });
  expect(count({ share: 0.02 })).toBe(0);
  expect(count({ share: 0.05 })).toBe(1);
  expect(count({ bytes: 71 })).toBe(2);
  // More than all of it can give: everything goes, and that is all.
  expect(count({ bytes: 500 })).toBe(3);
});

test('never one more than must go, whatever the limits', () => {
  const sizes = fc.array(fc.nat(1000), { maxLength: 30 });
  fc.assert(
    fc.property(sizes, fc.nat(20_000), fc.nat(500), (list, bytesMax, open) => {
      const all = held(...list);
      const count = countToRetire(all, total(all), open, ROOMY, 0, { ...LIMITS, bytesMax });
      const left = total(all.slice(count)) + open;
      if (count < all.length) expect(left).toBeLessThanOrEqual(bytesMax);
      if (count > 0) expect(total(all.slice(count - 1)) + open).toBeGreaterThan(bytesMax);
    }),
  );
});

test('what a failing disk left half removed goes with the next step; what is gone already is no error', () => {
  const directory = temporaryDirectory();
  try {
    const all = held(10, 10, 10, 10);
    for (const { name } of all) mkdirSync(join(directory.path, name));
    let fails = true;
    const files = {
      ...diskFiles,
      syncDirectory(path: string): void {
        if (fails) throw Object.assign(new Error('simulated'), { code: 'EIO' });
        diskFiles.syncDirectory(path);
      },
    };
    const retention = new Retention(files, directory.path, { ...LIMITS, bytesMax: 30 }, all);
    expect(() => retention.step(null, 0, NOW)).toThrow('simulated');
    expect(retention.bytes).toBe(30);
    expect(readdirSync(directory.path)).toContain(`.gone-${all[0]?.name}`);
    fails = false;
    diskFiles.remove(join(directory.path, all[1]?.name ?? ''));
    expect([retention.step(null, 0, NOW), retention.step(null, 10, NOW)]).toEqual([0, 1]);
    expect(readdirSync(directory.path).sort()).toEqual([all[2]?.name, all[3]?.name]);
  } finally {
    directory.remove();
  }
});

test('the newest stays where nothing is committed after it: it says where the recording stands', () => {
  const directory = temporaryDirectory();
  try {
    const all = held(10, 10);
    for (const { name } of all) mkdirSync(join(directory.path, name));
    const limits = { ...LIMITS, bytesMax: 0 };
    const retention = new Retention(diskFiles, directory.path, limits, all);
    expect([retention.step(null, 0, NOW), retention.step(null, 0, NOW, true)]).toEqual([1, 0]);
    expect(readdirSync(directory.path)).toEqual([all[1]?.name]);
    expect(retention.step(null, 1, NOW)).toBe(1);
    expect(readdirSync(directory.path)).toEqual([]);
  } finally {
    directory.remove();
  }
});

test('a few at a time, oldest first, and nothing is left of them', () => {
  const directory = temporaryDirectory();
  try {
    const all = held(...Array.from({ length: 100 }, () => 10));
    for (const { name } of all) {
      mkdirSync(join(directory.path, name));
      writeFileSync(join(directory.path, name, 'commits.ndjson'), 'x');
    }
    const limits = { ...LIMITS, bytesMax: 200 };
    const retention = new Retention(diskFiles, directory.path, limits, all);
    const steps: number[] = [];
    for (let i = 0; i < 5; i++) steps.push(retention.step(null, 0, NOW));
    expect(steps).toEqual([RETIRED_AT_ONCE, RETIRED_AT_ONCE, 80 - 2 * RETIRED_AT_ONCE, 0, 0]);
    expect(retention.bytes).toBe(200);
    expect(readdirSync(directory.path).sort()).toEqual(
      all
        .slice(80)
        .map(({ name }) => name)
        .sort(),
    );
    // A write that found no room makes at least one go.
    expect(retention.step(null, 0, NOW, true)).toBe(1);
    retention.add({ name: 's-100', bytes: 500, lastMs: NOW });
    expect(existsSync(join(directory.path, 's-81'))).toBe(true);
    expect(retention.bytes).toBe(690);
  } finally {
    directory.remove();
  }
});
