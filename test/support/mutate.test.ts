// The harness notices what it is there to notice, and nothing else.

import { ok } from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  crashPoints,
  mutate,
  orderSites,
  orderSurvivors,
  replay,
  type Scenario,
  survivors,
  syncSites,
} from './mutate.ts';

const BUDGET = { points: 60, seed: 7 };

/** A file written in the way that `how` says, once it is acknowledged it must be there whole. */
function written(how: { data: boolean; name: boolean; more?: boolean }): {
  scenario: Scenario;
  check: (d: string) => void;
} {
  let acknowledged = false;
  return {
    scenario(disk, directory) {
      acknowledged = false;
      if (how.more) disk.syncDirectory(directory);
      const file = disk.create(join(directory, 'f.new'));
      file.append([Buffer.from('content')]);
      if (how.data) file.sync();
      file.close();
      disk.rename(join(directory, 'f.new'), join(directory, 'f'));
      if (how.name) disk.syncDirectory(directory);
      acknowledged = true;
    },
    check(directory) {
      const path = join(directory, 'f');
      ok(existsSync(path) || !acknowledged, 'the file is missing');
      if (existsSync(path)) ok(readFileSync(path, 'utf8') === 'content', 'the file is torn');
    },
  };
}

test('a file that is written with care passes', () => {
  const { scenario, check } = written({ data: true, name: true });
  crashPoints(scenario, check, BUDGET);
});

test('control: one that is written without fdatasync is noticed, and the run can be had again', () => {
  const { scenario, check } = written({ data: false, name: true });
  let message = '';
  try {
    crashPoints(scenario, check, BUDGET);
  } catch (error) {
    message = (error as Error).message;
  }
  expect(message).toContain('the file is torn');
  expect(message).toMatch(
    /the power was cut (before operation \d, \w+ of .* at test\/support|after the end)/,
  );
  const [, point, seed] = /point: (\d+), seed: (\d+)/.exec(message) ?? [];
  const run = { point: Number(point), seed: Number(seed) };
  expect(() => replay(scenario, check, run)).toThrow(message);
});

test('control: a rename without a sync of the parent is noticed', () => {
  const { scenario, check } = written({ data: true, name: false });
  expect(() => crashPoints(scenario, check, BUDGET)).toThrow('the file is missing');
});

test('every sync that is needed is missed, and one that is not survives', () => {
  const { scenario, check } = written({ data: true, name: true });
  const needed = syncSites(scenario);
  expect(needed.length).toBe(2);
  expect(survivors(scenario, check, needed, BUDGET)).toEqual([]);
  const more = written({ data: true, name: true, more: true });
  const sites = syncSites(more.scenario);
  expect(survivors(more.scenario, more.check, sites, BUDGET)).toEqual(sites.slice(0, 1));
  const outcomes = mutate('skip', more.scenario, more.check, sites, BUDGET);
  expect(outcomes.map(({ caught }) => caught?.said)).toEqual([
    undefined,
    'the file is torn',
    'the file is missing',
  ]);
});

test('order that matters is missed', () => {
  const { scenario, check } = written({ data: true, name: true });
  const sites = orderSites(scenario);
  expect(sites.length).toBe(4);
  expect(orderSurvivors(scenario, check, sites, BUDGET)).toEqual([]);
});

test('the same seed gives the same runs', () => {
  const points = (seed: number): string[] => {
    const seen: string[] = [];
    const { scenario } = written({ data: true, name: true });
    const check = (directory: string): void => {
      const path = join(directory, 'f');
      seen.push(existsSync(path) ? readFileSync(path, 'utf8') : '-');
    };
    crashPoints(scenario, check, { points: 30, seed });
    return seen;
  };
  expect(points(3)).toEqual(points(3));
  expect(points(3)).not.toEqual(points(4));
});

test('an error of the scenario itself is not taken for a power cut', () => {
  const scenario: Scenario = (disk, directory) => {
    disk.syncDirectory(directory);
    if (disk.operations > 0 && existsSync(join(directory, 'none'))) return;
    throw new Error('of its own');
  };
  expect(() => crashPoints(scenario, () => {}, BUDGET)).toThrow('of its own');
});
