// kill -9 at any moment, again and again, under a workload that never stops: each event is stored once,
// also what happened while no recorder ran.

import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, describe, expect, test } from 'vitest';
import { Recording, ROOT, temporaryDirectory, whyNoKernel } from '../support/recording.ts';
import { accountsOf, cleanUp, damageOf, pinsOf, sleep } from './cli.ts';
import { Shim } from './shim.ts';
import { Found, NUMBERED_OPS, Workload } from './workload.ts';

const why = whyNoKernel();
if (why !== null && process.env.CI !== undefined) throw new Error(`crash tests must run: ${why}`);

const LONG = process.env.TAPIO_LONG !== undefined;
const MOMENTS = LONG ? 300 : 30;
/** Numbers a second of each of two drivers; each makes two events. */
const RATE = 1000;
/** How long a recorder that is to die in a call may live, should it never come to it, ms. */
const LIFE_MS_MAX = 10_000;
/** Time between looks at what is stored, ms. */
const LOOK_MS = 300;
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

/** Small numbers that follow from a seed. */
function randomOf(seed: number): (below: number) => number {
  let state = BigInt(seed) * 2n + 1n;
  return (below) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
    return Number(state >> 33n) % below;
  };
}

/** A moment to die at: in the nth of the calls that match, at most `calls`; or after some time. */
interface Moment {
  readonly name: string;
  readonly pattern: string | null;
  readonly calls: number;
  /** When the order is given: as the program starts, or as events flow. */
  readonly armed: 'at the start' | 'as events flow';
  /** When the segment's end is asked for so that it comes, ms after events flow. */
  readonly rotations: readonly number[];
  readonly oldCatalogue?: true;
}

const MOMENT: Moment = {
  name: '',
  pattern: null,
  calls: 1,
  armed: 'as events flow',
  rotations: [],
};
const MOMENTS_OF: readonly Moment[] = [
  { ...MOMENT, name: 'any time' },
  { ...MOMENT, name: 'while it starts', armed: 'at the start' },
  { ...MOMENT, name: 'any call', pattern: '*', calls: 100 },
  { ...MOMENT, name: 'any call of a start', pattern: '*', calls: 60, armed: 'at the start' },
  { ...MOMENT, name: 'a commit', pattern: '*/.open-*/commits.ndjson', calls: 4 },
  { ...MOMENT, name: 'a merge', pattern: '*/.seal-*', calls: 8, rotations: [1200] },
  {
    ...MOMENT,
    name: 'a seal in place',
    pattern: '*/.open-*/index.arrow',
    calls: 2,
    rotations: [0, 120],
  },
  { ...MOMENT, name: 'a rename', pattern: 'rename */.[os]*', calls: 1, rotations: [500] },
  { ...MOMENT, name: 'a retirement', pattern: '*/.gone-*', calls: 6, rotations: [0] },
  { ...MOMENT, name: 'the catalogue', pattern: '*/catalog.db*', calls: 4, rotations: [0] },
  {
    ...MOMENT,
    name: 'a migration',
    pattern: '*/catalog.db*',
    calls: 10,
    armed: 'at the start',
    oldCatalogue: true,
  },
];

/** Puts a catalogue of the first version in the place of the one that is there. */
function putOldCatalogue(store: string): void {
  for (const suffix of ['', '-wal', '-shm'])
    rmSync(join(store, `catalog.db${suffix}`), { force: true });
  const database = new Database(join(store, 'catalog.db'));
  database.exec(readFileSync(join(ROOT, 'schemas/catalog/0001_init.sql'), 'utf8'));
  database.pragma('user_version = 1');
  database.close();
}

const directory = temporaryDirectory();
const store = join(directory.path, 'store');
const open: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of open) await one.stop();
  cleanUp(store);
  directory.remove();
});

const FLAGS = [...NUMBERED_OPS, '--ring-size', '64MiB', '--max-bytes', '2MiB', '--min-free', '0%'];

describe.skipIf(why !== null)(`killed ${why ?? ''}`, () => {
  test(
    `at ${MOMENTS} moments: nothing is missing, nothing is there twice`,
    async () => {
      const random = randomOf(SEED);
      const shim = new Shim(directory.path, store);
      const found = new Found();
      const died = new Map<string, number>();
      const fates = new Map<string, number>();
      let [late, whileDead] = [0, 0];
      mkdirSync(store, { mode: 0o700 });
      // The first recorder is there before the first event.
      const first = await Recording.start(store, FLAGS);
      const workload = new Workload(directory.path, RATE);
      open.push(workload);
      await sleep(300);
      await first.kill();
      const unmet = (): Moment[] =>
        MOMENTS_OF.filter(({ name, pattern }) => pattern !== null && (died.get(name) ?? 0) === 0);
      let kills = 0;
      // On a busy machine a recorder may be too slow for its moment: that is tried again.
      while (kills < MOMENTS || (kills < 2 * MOMENTS && unmet().length > 0)) {
        const again = kills < MOMENTS ? undefined : unmet()[0];
        const moment = again ?? (MOMENTS_OF[kills % MOMENTS_OF.length] as Moment);
        kills++;
        const diedAt = workload.total();
        found.take(store);
        if (moment.oldCatalogue) putOldCatalogue(store);
        await sleep(random(500));
        whileDead += workload.total() - diedAt;
        const arm = (): void => {
          if (moment.pattern !== null) shim.killAt(1 + random(moment.calls), moment.pattern);
        };
        shim.clear();
        if (moment.armed === 'at the start') arm();
        const recorder = new Recording(store, FLAGS, { env: shim.env });
        open.push({ stop: () => recorder.kill() });
        const life = sleep(moment.pattern === null ? random(1500) : LIFE_MS_MAX);
        if (moment.armed === 'as events flow' && (await recorder.records())) {
          arm();
          for (const ms of moment.rotations) {
            await sleep(ms);
            recorder.signal('SIGUSR2');
          }
        }
        // What retires is looked at before it goes.
        const over = Promise.race([life, recorder.ended()]).then(() => true);
        while (!(await Promise.race([over, sleep(LOOK_MS).then(() => false)]))) found.take(store);
        if (!recorder.hasEnded) {
          if (moment.pattern !== null) late++;
          recorder.signal('SIGKILL');
        }
        await recorder.ended();
        expect(recorder.child.signalCode, `seed ${SEED}: ${recorder.stderr}`).toBe('SIGKILL');
        const fate = moment.pattern === null ? null : shim.fate();
        died.set(moment.name, (died.get(moment.name) ?? 0) + (fate === null ? 0 : 1));
        if (fate !== null) {
          const call = fate.replace(store, '').replace(/\d{8}T[\d.]+Z-\d+/, 'NAME');
          fates.set(call, (fates.get(call) ?? 0) + 1);
        }
      }
      shim.clear();
      const last = await Recording.start(store, FLAGS, { env: shim.env });
      await workload.stop();
      await sleep(500);
      const { summary } = await last.stop();
      found.take(store);
      const done = workload.done();
      const total = workload.total();
      console.log(
        `killed ${kills} times (seed ${SEED}), ${late} of them later than meant; ${total * 2} events driven, ${whileDead * 2} of them while no recorder ran; found ${found.count('file')} + ${found.count('syscall')}, ${found.unseen} retired unseen`,
      );
      console.log(Object.fromEntries(died), Object.fromEntries([...fates].sort()));
      expect([...found.wrong, ...found.doubled], `seed ${SEED}`).toEqual([]);
      expect(found.unseen, `seed ${SEED}: rows retired before they were looked at`).toBe(0);
      expect(found.missing(done), `seed ${SEED}`).toEqual([]);
      expect([found.count('file'), found.count('syscall')]).toEqual([total, total]);
      expect([...found.losses.values()].flat()).toEqual([]);
      // Each kind of moment was met at least once.
      expect(
        unmet().map(({ name }) => name),
        `seed ${SEED}`,
      ).toEqual([]);
      // Segments retire all the time: what is held begins later than the recording, and says so.
      const [account, ...more] = accountsOf(store);
      expect(more).toEqual([]);
      expect(account).toMatchObject({ holds: true, reasons: [], causes: [] });
      expect(account?.from).toBeGreaterThan(0);
      expect(damageOf(store)).toBe('');
      expect(summary.lost).toEqual({});
      expect(existsSync(pinsOf(store))).toBe(false);
    },
    LONG ? 1_800_000 : 600_000,
  );
});
