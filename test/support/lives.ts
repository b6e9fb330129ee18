// A program that dies and starts again on one disk: killed, or with the power. Deaths are set all over its
// lives, and its syncs and their order broken one by one, as in mutate.ts. Every run can be had again.

import { random } from './batches.ts';
import { described, type Mutation, newDisk, saidBy } from './mutate.ts';
import { diskDirectory, type Operation, type SimDisk } from './sim-disk.ts';

/** How a life ends: alone, so that what it wrote is in the page cache still, or with the machine. */
export type Ending = 'killed' | 'power';

export interface Death {
  readonly ending: Ending;
  /** The operation of this life that does not happen any more, from 1. */
  readonly at: number;
}

/** Lives that end one after the other; one more goes on to its end. */
export interface LivesRun {
  readonly deaths: readonly Death[];
  readonly seed: number;
}

/** What goes on through all lives. */
export interface World {
  /** One life; it ends by itself, or with what the disk throws. */
  live(disk: SimDisk, before: Ending | null): Promise<void>;
  /** Throws where a promise is broken, after the last life. */
  check(): void;
}

/** A world whose disk lies in `directory`. */
export type MakeWorld = (directory: string, seed: number) => World;

export interface LivesOutcome extends Mutation {
  readonly caught: { readonly run: LivesRun; readonly said: string } | null;
}

interface Failure {
  readonly error: unknown;
  readonly told: readonly string[];
}

/** Runs once; `onDisk` is given each disk as it is done with. */
async function runOnce(
  make: MakeWorld,
  run: LivesRun,
  mutation: Mutation | null,
  onDisk: (disk: SimDisk) => void = () => {},
): Promise<Failure | null> {
  const { path, remove } = diskDirectory();
  const told: string[] = [];
  const world = make(path, run.seed);
  let disk = newDisk(path, mutation);
  let before: Ending | null = null;
  try {
    for (const [i, death] of [...run.deaths, null].entries()) {
      const at = disk.operations + (death?.at ?? Number.POSITIVE_INFINITY);
      disk.cutAt(at);
      try {
        await world.live(disk, before);
        disk.finish();
      } catch (error) {
        // What a process makes of its end is of no account; an error before it is its own.
        if (!disk.off) throw error;
      }
      onDisk(disk);
      if (death === null) break;
      before = death.ending;
      told.push(`life ${i + 1} ended (${before}) ${described(disk.log[at - 1])}`);
      if (before === 'power') {
        disk.lose(random(run.seed + i));
        told.push(...disk.lost);
        disk = newDisk(path, mutation);
      } else {
        disk.restart();
      }
    }
    world.check();
    return null;
  } catch (error) {
    return { error, told };
  } finally {
    disk.close();
    remove();
  }
}

/** One run, by what a failure printed; throws what is wrong. */
export async function replayLives(
  make: MakeWorld,
  run: LivesRun,
  mutation: Mutation | null = null,
): Promise<void> {
  const failure = await runOnce(make, run, mutation);
  if (failure === null) return;
  const mutated = mutation === null ? '' : `, ${JSON.stringify(mutation)}`;
  const lines = [
    saidBy(failure.error),
    ...failure.told.map((sentence) => `  ${sentence}`),
    `  again: replayLives(make, ${JSON.stringify(run)}${mutated})`,
  ];
  throw new Error(lines.join('\n'), { cause: failure.error });
}

/** The operations of a life that nothing ends. */
export async function operationsOfLife(make: MakeWorld): Promise<readonly Operation[]> {
  let log: Operation[] = [];
  const failure = await runOnce(make, { deaths: [], seed: 1 }, null, (disk) => {
    log = disk.log.map((one) => ({ ...one, site: one.site }));
  });
  if (failure !== null) throw failure.error;
  return log;
}

/** Sequences of endings, in turn. */
const ENDINGS: readonly (readonly Ending[])[] = [
  ['power'],
  ['killed', 'power'],
  ['power', 'power'],
  ['killed'],
  ['power', 'killed'],
  ['killed', 'killed', 'power'],
];

/**
 * Runs whose first death is spread evenly over a life of `operations`, in a mixed order. The next deaths
 * come while the start puts the store in order, or anywhere.
 */
export function livesRuns(operations: number, points: number, seed: number): LivesRun[] {
  const next = random(seed);
  const places = operations + 1;
  const below = (limit: number): number => Math.floor(next() * limit);
  const runs = Array.from({ length: points }, (_, i): LivesRun => {
    const endings = ENDINGS[i % ENDINGS.length] ?? ['power'];
    const deaths = endings.map((ending, death) => {
      const later = next() < 0.7 ? below(40) : below(places);
      return { ending, at: 1 + (death === 0 ? Math.floor((i * places) / points) : later) };
    });
    return { deaths, seed: below(2 ** 32) };
  });
  for (let i = runs.length - 1; i > 0; i--) {
    const other = below(i + 1);
    const [a, b] = [runs[i], runs[other]];
    if (a !== undefined && b !== undefined) [runs[i], runs[other]] = [b, a];
  }
  return runs;
}

/** Call sites by operation that any of the runs reaches. */
export async function sitesOfLives(
  make: MakeWorld,
  runs: readonly LivesRun[],
  chosen: (operation: Operation) => boolean,
): Promise<string[]> {
  const sites = new Set<string>();
  for (const run of runs) {
    await runOnce(make, run, null, (disk) => {
      for (const one of disk.log) if (chosen(one)) sites.add(one.site);
    });
  }
  return [...sites].sort();
}

/** Tries a mutation at each of `sites` until a run notices it. */
export async function mutateLives(
  kind: Mutation['kind'],
  make: MakeWorld,
  sites: readonly string[],
  runs: readonly LivesRun[],
): Promise<LivesOutcome[]> {
  const outcomes: LivesOutcome[] = [];
  for (const site of sites) {
    let caught: LivesOutcome['caught'] = null;
    for (const run of runs) {
      const failure = await runOnce(make, run, { kind, site });
      if (failure !== null) caught = { run, said: saidBy(failure.error) };
      if (caught !== null) break;
    }
    outcomes.push({ kind, site, caught });
  }
  return outcomes;
}
