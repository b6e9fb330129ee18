// The recorder dies all over its life, killed or with the power, and starts again: what was acknowledged is
// there, each row once, and what is not there is told. Then each sync and each step whose order counts is
// broken in turn: every one of them must be missed.

import { env } from 'node:process';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  type Death,
  livesRuns,
  type MakeWorld,
  mutateLives,
  operationsOfLife,
  type Reach,
  replayLives,
  surveyLives,
} from '../support/lives.ts';
import { codeAt, type Mutation } from '../support/mutate.ts';
import { SCRIPT } from '../support/recorder-script.ts';
import { fakeTime, RecorderWorld } from '../support/recorder-world.ts';
import type { Operation } from '../support/sim-disk.ts';

const SEED = 20260101;
const POINTS = env.TAPIO_LONG === undefined ? 300 : 6000;
const MUTANTS = { points: 300, seed: SEED };
const TIMEOUT_MS = POINTS * 2000;

// With the smaller store, retention takes all that it may.
const make: MakeWorld = (directory, seed) =>
  new RecorderWorld(directory, seed, { script: SCRIPT, bytesMax: seed % 2 === 0 ? 60_000 : 1 });

beforeEach(fakeTime);
afterEach(() => {
  vi.useRealTimers();
});

/** What could be done too late: what is made must be there, and what is written has its sync. */
const isOrdered = ({ operation }: Operation): boolean =>
  /^sync/.test(operation) || ['rename', 'unlink', 'rmdir'].includes(operation);

let survey: Promise<ReadonlyMap<string, readonly Reach[]>> | null = null;
/** All runs, once. */
function surveyed(): NonNullable<typeof survey> {
  survey ??= operationsOfLife(make).then(({ length }) =>
    surveyLives(make, livesRuns(length, POINTS, SEED), isOrdered),
  );
  return survey;
}

test('acknowledged rows are there once, the rest is told, nothing is left half done', {
  timeout: TIMEOUT_MS,
}, async () => {
  await surveyed();
});

test('dying when rings were let go of and the next have no commit yet is no loss', async () => {
  // Found among 6,000 runs: of the two rings the first is gone, and the last commit is its.
  const killed = (at: number): Death => ({ ending: 'killed', at });
  const deaths = [killed(186), killed(38), { ending: 'power', at: 111 } as const];
  await replayLives(make, { deaths, seed: 2276235083 });
});

/** Breaks the chosen sites; gives those that no run noticed. */
async function unnoticed(
  kind: Mutation['kind'],
  chosen: (reach: Reach) => boolean,
): Promise<string[]> {
  // The segment's own are broken in turn by tests of their own, nearer to them.
  const sites = [...(await surveyed())].filter(
    ([site, [reach]]) => site.startsWith('src/recorder') && reach !== undefined && chosen(reach),
  );
  const outcomes = await mutateLives(kind, make, new Map(sites), MUTANTS);
  // In the report of a run: what there is, and what notices its loss.
  for (const { site, caught } of outcomes) {
    const said = caught?.said.split('\n')[0]?.slice(0, 160) ?? 'NOT NOTICED';
    console.info(`${kind} ${site} ${codeAt(site)} ${said}`);
  }
  return outcomes.filter(({ caught }) => caught === null).map(({ site }) => codeAt(site));
}

// These take many minutes: a long run makes them.
if (env.TAPIO_LONG !== undefined) {
  test('a sync that is left out is noticed, whichever it is', { timeout: TIMEOUT_MS }, async () => {
    expect(await unnoticed('skip', ({ operation }) => /^sync/.test(operation))).toEqual([]);
  });

  test('what is done too late is noticed', { timeout: TIMEOUT_MS }, async () => {
    expect(await unnoticed('delay', () => true)).toEqual([]);
  });
}
