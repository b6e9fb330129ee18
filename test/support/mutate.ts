// Cuts the power all over a scenario and checks what is left; then breaks the scenario's syncs and order
// one by one, to see that the checks would notice. Budgets are numbers of runs, and every run can be had
// again from its point and seed.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { random } from './batches.ts';
import { ROOT } from './recording.ts';
import { diskDirectory, type Operation, SimDisk } from './sim-disk.ts';

/** Writes through `disk` under `directory`. It runs many times: state of its own is set anew each time. */
export type Scenario = (disk: SimDisk, directory: string) => void;
/** Throws where what is in the directory after a power cut breaks a promise. */
export type Check = (directory: string) => void;

/** How many runs, and which. */
export interface Budget {
  readonly points: number;
  readonly seed: number;
}

/** One run: the operation that does not happen any more, and the seed of what is lost. */
export interface Run {
  readonly point: number;
  readonly seed: number;
}

/** A scenario broken on purpose, at a call site. */
export interface Mutation {
  readonly kind: 'skip' | 'delay';
  readonly site: string;
}

/** What became of a mutation: the run that noticed it, and what that said, or null. */
export interface Outcome extends Mutation {
  readonly caught: (Run & { readonly said: string }) | null;
}

interface Failure {
  readonly error: unknown;
  readonly cutAt: Operation | undefined;
  readonly lost: readonly string[];
}

/** Where the power was cut, in words. */
export function described(operation: Operation | undefined): string {
  if (operation === undefined) return 'after the end';
  return `before operation ${operation.number}, ${operation.operation} of ${operation.path || 'the root'} at ${operation.site}`;
}

/** What an error says. */
export function saidBy(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The line of code at a call site: unlike its number it stays when others come before it. */
export function codeAt(site: string): string {
  const [path = '', line] = site.split(':');
  const text = readFileSync(join(ROOT, path), 'utf8').split('\n')[Number(line) - 1] ?? '';
  return `${path}: ${text.trim()}`;
}

/** A disk that is broken as a mutation says. */
export function newDisk(directory: string, mutation: Mutation | null): SimDisk {
  const disk = new SimDisk(directory);
  if (mutation?.kind === 'skip') disk.skip = new Set([mutation.site]);
  if (mutation?.kind === 'delay') disk.delay = mutation.site;
  return disk;
}

/** The operations of a scenario that runs to its end. */
export function operationsOf(scenario: Scenario): readonly Operation[] {
  const { path, remove } = diskDirectory();
  const disk = new SimDisk(path);
  try {
    scenario(disk, path);
    // Call sites are read while the disk is there.
    return disk.log.map((one) => ({ ...one, site: one.site }));
  } finally {
    disk.close();
    remove();
  }
}

function runOnce(
  scenario: Scenario,
  check: Check,
  run: Run,
  mutation: Mutation | null,
): Failure | null {
  const { path, remove } = diskDirectory();
  const disk = newDisk(path, mutation);
  disk.cutAt(run.point);
  const failed = (error: unknown): Failure => {
    return { error, cutAt: disk.log.find(({ number }) => number === run.point), lost: disk.lost };
  };
  try {
    try {
      scenario(disk, path);
      disk.finish();
    } catch (error) {
      // What a process makes of the power cut is of no account; an error before it is the scenario's.
      if (!disk.off) return failed(error);
    }
    disk.lose(random(run.seed));
    check(path);
    return null;
  } catch (error) {
    return failed(error);
  } finally {
    disk.close();
    remove();
  }
}

/** Points spread evenly over a run of `operations` and its end, each with a seed, in a mixed order. */
function runsOf(operations: number, { points, seed }: Budget): Run[] {
  const places = operations + 1;
  const next = random(seed);
  const shift = Math.floor(next() * places);
  const runs = Array.from({ length: points }, (_, i) => ({
    point: 1 + ((Math.floor((i * places) / points) + shift) % places),
    seed: Math.floor(next() * 2 ** 32),
  }));
  for (let i = runs.length - 1; i > 0; i--) {
    const other = Math.floor(next() * (i + 1));
    const [a, b] = [runs[i], runs[other]];
    if (a !== undefined && b !== undefined) [runs[i], runs[other]] = [b, a];
  }
  return runs;
}

function message(run: Run, mutation: Mutation | null, failure: Failure): string {
  const mutated =
    mutation === null ? '' : `, { kind: '${mutation.kind}', site: '${mutation.site}' }`;
  return [
    saidBy(failure.error),
    `  the power was cut ${described(failure.cutAt)}`,
    ...failure.lost.map((sentence) => `  ${sentence}`),
    `  again: replay(scenario, check, { point: ${run.point}, seed: ${run.seed} }${mutated})`,
  ].join('\n');
}

/** One run, by what a failure printed. Throws as crashPoints does. */
export function replay(
  scenario: Scenario,
  check: Check,
  run: Run,
  mutation: Mutation | null = null,
): void {
  const failure = runOnce(scenario, check, run, mutation);
  if (failure === null) return;
  throw new Error(message(run, mutation, failure), { cause: failure.error });
}

/** Runs a scenario `points` times, cut all over; throws at the first run whose check does. */
export function crashPoints(scenario: Scenario, check: Check, budget: Budget): void {
  const operations = operationsOf(scenario).length;
  for (const run of runsOf(operations, budget)) replay(scenario, check, run);
}

function sitesOf(scenario: Scenario, chosen: (operation: Operation) => boolean): string[] {
  const sites = operationsOf(scenario).filter(chosen);
  return [...new Set(sites.map(({ site }) => site))];
}

/** Where a scenario syncs, in order of first use. */
export function syncSites(scenario: Scenario): string[] {
  return sitesOf(scenario, ({ operation }) => /^sync/.test(operation));
}

/** Where a scenario does what could be done too late. */
export function orderSites(scenario: Scenario): string[] {
  return sitesOf(scenario, ({ operation }) => !['create', 'open', 'mkdir'].includes(operation));
}

/** Tries a mutation at each of `sites` until a run notices it, in up to `points` runs. */
export function mutate(
  kind: Mutation['kind'],
  scenario: Scenario,
  check: Check,
  sites: readonly string[],
  budget: Budget,
): Outcome[] {
  const runs = runsOf(operationsOf(scenario).length, budget);
  return sites.map((site) => {
    for (const run of runs) {
      const failure = runOnce(scenario, check, run, { kind, site });
      if (failure !== null) {
        return { kind, site, caught: { ...run, said: saidBy(failure.error) } };
      }
    }
    return { kind, site, caught: null };
  });
}

/** The sites that no run noticed. */
export function survivorsOf(outcomes: readonly Outcome[]): string[] {
  return outcomes.filter(({ caught }) => caught === null).map(({ site }) => site);
}

/** The sites whose syncs can be left out without any check noticing. */
export function survivors(
  scenario: Scenario,
  check: Check,
  sites: readonly string[],
  budget: Budget,
): string[] {
  return survivorsOf(mutate('skip', scenario, check, sites, budget));
}

/** The sites whose operations can change places with the next one without any check noticing. */
export function orderSurvivors(
  scenario: Scenario,
  check: Check,
  sites: readonly string[],
  budget: Budget,
): string[] {
  return survivorsOf(mutate('delay', scenario, check, sites, budget));
}
