// A program that dies and starts again on one disk: killed, or with the power. Deaths are set all over its
// lives, and its syncs and their order broken one by one, as in mutate.ts. Every run can be had again.

import { random } from './batches.ts';
import { type Budget, described, type Mutation, newDisk, saidBy } from './mutate.ts';
import { diskDirectory, type Operation, type OperationName, type SimDisk } from './sim-disk.ts';

/** How a life ends: alone, so that what it wrote is in the page cache still, or with the machine. */
export type Ending = 'killed' | 'power';

export interface Death {
  readonly ending: Ending;
  /** The operation of this life that does not happen any more, from 1. */
  readonly at: number;
  /** Of what is lost; by default it follows from that of the run. */
  readonly seed?: number;
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

/** Runs once; `onLife` is given the operations of each life. */
async function runOnce(
  make: MakeWorld,
  run: LivesRun,
  mutation: Mutation | null,
  onLife: (log: readonly Operation[]) => void = () => {},
): Promise<Failure | null> {
  const { path, remove } = diskDirectory();
  const told: string[] = [];
  const world = make(path, run.seed);
  let disk = newDisk(path, mutation);
  let before: Ending | null = null;
  try {
    for (const [i, death] of [...run.deaths, null].entries()) {
      const { operations } = disk;
      const at = operations + (death?.at ?? Number.POSITIVE_INFINITY);
      disk.cutAt(at);
      try {
        await world.live(disk, before);
        disk.finish();
      } catch (error) {
        // What a process makes of its end is of no account; an error before it is its own.
        if (!disk.off) throw error;
      }
      onLife(disk.log.slice(operations));
      if (death === null) break;
      before = death.ending;
      told.push(`life ${i + 1} ended (${before}) ${described(disk.log[at - 1])}`);
      if (before === 'power') {
        disk.lose(random(death.seed ?? run.seed + i));
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
  if (failure !== null) throw told(run, mutation, failure);
}

function told(run: LivesRun, mutation: Mutation | null, failure: Failure): Error {
  const mutated = mutation === null ? '' : `, ${JSON.stringify(mutation)}`;
  const lines = [
    saidBy(failure.error),
    ...failure.told.map((sentence) => `  ${sentence}`),
    `  again: replayLives(make, ${JSON.stringify(run)}${mutated})`,
  ];
  return new Error(lines.join('\n'), { cause: failure.error });
}

/** The operations of a life that nothing ends. */
export async function operationsOfLife(make: MakeWorld): Promise<readonly Operation[]> {
  let log: readonly Operation[] = [];
  const failure = await runOnce(make, { deaths: [], seed: 1 }, null, (done) => {
    log = done;
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

/** A call site, and how a run came to one of its operations. */
export interface Reach {
  readonly site: string;
  readonly operation: OperationName;
  /** Of the lives before. */
  readonly deaths: readonly Death[];
  /** Number of the operation in its life. */
  readonly at: number;
  /** Of the run. */
  readonly seed: number;
}

/** Ways to a site that are kept. */
const REACHES_MAX = 200;
/** Operations within which the power goes after a sync that is left out. */
const SOON = 40;

/** Runs all; throws at the first that breaks a promise. Gives how `chosen` operations were come to. */
export async function surveyLives(
  make: MakeWorld,
  runs: readonly LivesRun[],
  chosen: (operation: Operation) => boolean,
): Promise<ReadonlyMap<string, readonly Reach[]>> {
  const reaches = new Map<string, Reach[]>();
  const next = random(runs.length);
  for (const run of runs) {
    let life = 0;
    const failure = await runOnce(make, run, null, (log) => {
      const deaths = run.deaths.slice(0, life++);
      // The last one did not happen.
      const done = log.slice(0, run.deaths[life - 1] === undefined ? log.length : -1);
      // Of each life one, any of them, so that they differ.
      const ats = new Map<string, number[]>();
      done.forEach((one, i) => {
        if (chosen(one)) ats.set(one.site, [...(ats.get(one.site) ?? []), i + 1]);
      });
      for (const [site, all] of ats) {
        const known = reaches.get(site) ?? [];
        reaches.set(site, known);
        const at = all[Math.floor(next() * all.length)] ?? 1;
        if (known.length < REACHES_MAX)
          known.push({
            site,
            operation: done[at - 1]?.operation ?? 'sync',
            deaths,
            at,
            seed: run.seed,
          });
      }
    });
    if (failure !== null) throw told(run, null, failure);
  }
  return reaches;
}

/**
 * Tries a mutation at each site that was come to: the power goes soon after it, until a run notices. What is
 * put off is done behind the next operation: the power goes at once. Throws where the run fails without.
 */
export async function mutateLives(
  kind: Mutation['kind'],
  make: MakeWorld,
  reaches: ReadonlyMap<string, readonly Reach[]>,
  budget: Budget,
): Promise<LivesOutcome[]> {
  const outcomes: LivesOutcome[] = [];
  for (const [site, known] of reaches) {
    const next = random(budget.seed);
    let caught: LivesOutcome['caught'] = null;
    for (let i = 0; i < budget.points && caught === null; i++) {
      const { deaths, at, seed } = known[i % known.length] as Reach;
      const after = 1 + Math.floor(next() ** 2 * (kind === 'skip' ? SOON : 2));
      const run: LivesRun = {
        deaths: [
          ...deaths,
          { ending: 'power', at: at + after, seed: Math.floor(next() * 2 ** 32) },
        ],
        seed,
      };
      const failure = await runOnce(make, run, { kind, site });
      if (failure === null) continue;
      await replayLives(make, run);
      caught = { run, said: saidBy(failure.error) };
    }
    outcomes.push({ kind, site, caught });
  }
  return outcomes;
}
