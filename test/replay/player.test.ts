// The player under a clock that moves only when somebody waits: what comes, in which order, and when.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Player, type PlayOptions } from '../../src/replay/player.ts';
import {
  FakeClock,
  MadeEvents,
  type MadeRow,
  MS,
  OFFSET,
  rowsAt,
  rowsOfRuns,
  S,
  TS0,
} from '../support/streams.ts';

const ONCE: Omit<PlayOptions, 'clock'> = {
  pace: { speed: 1 },
  maxGapNs: Number.POSITIVE_INFINITY,
  loops: 1,
  rebase: false,
  stepping: false,
};
/** Rows closer together than that may go together. */
const GRAIN = 0.25 * MS;

interface Played extends MadeRow {
  readonly ktime: bigint;
  /** ns after the clock's beginning. */
  readonly at: number;
}

interface Setup {
  readonly options?: Partial<PlayOptions>;
  readonly atATime?: number;
  /** What happens meanwhile: at so many ns after the beginning. */
  readonly plans?: readonly (readonly [number, (player: Player) => void])[];
  /** What the taker does with rows. */
  readonly onRows?: (rows: readonly Played[], player: Player, clock: FakeClock) => void;
}

async function play(
  rows: readonly MadeRow[],
  { options = {}, atATime, plans = [], onRows }: Setup = {},
): Promise<{ played: Played[]; player: Player; clock: FakeClock; source: MadeEvents }> {
  const clock = new FakeClock();
  const begun = clock.time;
  const source = new MadeEvents(rows, atATime);
  const player = new Player(source, { ...ONCE, ...options, clock });
  for (const [at, act] of plans) clock.plan(begun + at, () => act(player));
  const played: Played[] = [];
  for await (const runs of player.events()) {
    const taken = rowsOfRuns(runs).map((row) => ({ ...row, at: clock.time - begun }));
    played.push(...taken);
    onRows?.(taken, player, clock);
  }
  return { played, player, clock, source };
}

const seqs = (rows: readonly MadeRow[]): number[] => rows.map(({ seq }) => seq);
const ats = (rows: readonly Played[]): number[] => rows.map(({ at }) => at);

test('all rows, in order, none before it is due, none later than the grain, whatever the pace', async () => {
  const times = fc.array(
    fc.oneof(fc.integer({ min: -30 * MS, max: MS }), fc.integer({ min: 0, max: 3 * S })),
    { minLength: 1, maxLength: 50 },
  );
  const speeds = fc.constantFrom(0.5, 1, 2, 10);
  await fc.assert(
    fc.asyncProperty(
      times,
      speeds,
      fc.integer({ min: 1, max: 9 }),
      async (gaps, speed, atATime) => {
        let time = 0;
        const made = rowsAt(gaps.map((gap) => (time += gap)));
        const { played, player } = await play(made, { options: { pace: { speed } }, atATime });
        expect(seqs(played)).toEqual(seqs(made));
        let latest = made[0]?.ts ?? 0n;
        played.forEach(({ at }, i) => {
          const { ts } = made[i] as MadeRow;
          // A late row is due when the row before it was.
          if (ts > latest) latest = ts;
          const due = Number(latest - (made[0]?.ts ?? 0n)) / speed;
          expect(at - due).toBeGreaterThanOrEqual(-0.01);
          expect(at - due).toBeLessThanOrEqual(GRAIN + 0.01);
        });
        const { rows, errorNs, lateRows } = player.stats();
        expect([rows, lateRows]).toEqual([made.length, 0]);
        expect(errorNs?.max).toBeLessThanOrEqual(GRAIN * 1.001);
      },
    ),
  );
});

test('--speed max: everything, in order, without a wait', async () => {
  const made = rowsAt(Array.from({ length: 1000 }, (_, i) => i * S));
  const { played, player } = await play(made, { options: { pace: 'max', loops: 2 } });
  expect(seqs(played)).toEqual([...seqs(made), ...seqs(made)]);
  expect(ats(played)).toEqual(played.map(() => 0));
  expect(player.stats()).toMatchObject({ rows: 2000, loops: 2, errorNs: null, scheduledNs: null });
});

test('--rate: evenly, over rounds too', async () => {
  const { played } = await play(rowsAt([0, 0, 1, 50 * S]), {
    options: { pace: { rate: 100 }, loops: 3 },
  });
  expect(ats(played)).toEqual(Array.from({ length: 12 }, (_, i) => i * 10 * MS));
});

test('--max-gap: long gaps end early, short ones do not, and the speed does not lengthen them', async () => {
  const made = rowsAt([0, S, 3601 * S, 3602 * S, 9000 * S]);
  const slow = await play(made, { options: { pace: { speed: 0.5 }, maxGapNs: 3 * S } });
  expect(ats(slow.played)).toEqual([0, 2 * S, 5 * S, 7 * S, 10 * S]);
  const fast = await play(made, { options: { pace: { speed: 10 }, maxGapNs: 3 * S } });
  expect(ats(fast.played)).toEqual([0, 0.1 * S, 3.1 * S, 3.2 * S, 6.2 * S]);
});

test('--loop: each round is paced as the first, and none is late for it', async () => {
  const made = rowsAt([0, S, 1.5 * S]);
  const { played, player } = await play(made, { options: { pace: { speed: 2 }, loops: 4 } });
  expect(seqs(played)).toEqual([1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
  const grain = GRAIN + 1;
  played.forEach(({ at }, i) => {
    const due = Math.floor(i / 3) * 0.75 * S + ([0, 0.5 * S, 0.75 * S][i % 3] ?? 0);
    expect(at).toBeGreaterThanOrEqual(due);
    expect(at).toBeLessThanOrEqual(due + grain);
  });
  expect(player.stats()).toMatchObject({ loops: 4, scheduledNs: 3 * S });
});

test('--loop forever ends when it is told to, and with a stream that has nothing', async () => {
  const { played } = await play(rowsAt([0, S]), {
    options: { loops: Number.POSITIVE_INFINITY },
    onRows: (_, player) => player.rows >= 20 && player.stop(),
  });
  expect(played.length).toBeGreaterThanOrEqual(21);
  const nothing = await play([], { options: { loops: Number.POSITIVE_INFINITY } });
  expect([nothing.played, nothing.source.begun, nothing.player.stats().loops]).toEqual([[], 1, 0]);
});

test('--step: rows come one by one, when they are asked for', async () => {
  const { played, player } = await play(rowsAt([0, 60 * S, 120 * S]), {
    options: { stepping: true },
    plans: [
      [S, (p) => p.step()],
      [
        2 * S,
        (p) => {
          p.step();
          p.step();
        },
      ],
    ],
  });
  expect(played.map(({ seq, at }) => [seq, at])).toEqual([
    [1, S],
    [2, 2 * S],
    [3, 2 * S],
  ]);
  expect(player.stats().errorNs).toBe(null);
});

test('--step ends with the last of its steps', async () => {
  const { played } = await play(rowsAt([0, 1, 2, 3]), {
    options: { stepping: true },
    plans: [
      [
        S,
        (p) => {
          p.step();
          p.step();
          p.endSteps();
        },
      ],
    ],
  });
  expect(seqs(played)).toEqual([1, 2]);
});

test('--step --loop --rebase together', async () => {
  const steps = [1, 2, 3, 4].map((n) => [n * S, (p: Player) => p.step()] as const);
  const { played, clock } = await play(rowsAt([0, 10 * S]), {
    options: { stepping: true, loops: 2, rebase: true },
    plans: steps,
  });
  const wall = (at: number): bigint => clock.wall() - BigInt(clock.time - 5 * S) + BigInt(at);
  expect(played.map(({ ts }) => ts)).toEqual([
    wall(S),
    wall(S) + BigInt(10 * S),
    wall(3 * S),
    wall(3 * S) + BigInt(10 * S),
  ]);
});

test('--rebase now: the first row of each round is now, ktime and all distances stay', async () => {
  const made = rowsAt([0, 2 * S, 1 * S, 4 * S]);
  const { played, player, clock } = await play(made, {
    options: { pace: { speed: 4 }, rebase: true, loops: 2 },
  });
  const begun = clock.wall() - BigInt(clock.time - 5 * S);
  for (const [first, rows] of [
    [0, played.slice(0, 4)],
    [4, played.slice(4)],
  ] as const) {
    const at = BigInt(played[first]?.at ?? 0);
    expect(rows.map(({ ts }) => ts - begun - at)).toEqual(made.map(({ ts }) => ts - TS0));
    expect(rows.map(({ ktime }) => ktime)).toEqual(made.map(({ ts }) => ts - OFFSET));
  }
  expect(player.shift).toBe((played[4]?.ts ?? 0n) - TS0);
  // The rest of the program knows recorded time: seeking goes by it.
  expect(player.ts).toBe(made.at(-1)?.ts);
});

test('a pause holds everything, and moves the rest by its length', async () => {
  const { played, player } = await play(rowsAt([0, S, 2 * S, 3 * S]), {
    plans: [
      [1.5 * S, (p) => p.pause()],
      [9.5 * S, (p) => p.resume()],
    ],
  });
  expect(ats(played)).toEqual([0, S, 10 * S, 11 * S]);
  expect(player.stats()).toMatchObject({ scheduledNs: 11 * S, lateRows: 0 });
});

test('a step while it plays gives the next row and pauses', async () => {
  const { played, player } = await play(rowsAt([0, 100 * S, 101 * S]), {
    plans: [
      [S, (p) => p.step()],
      [3 * S, (p) => void expect(p.paused).toBe(true)],
      [4 * S, (p) => p.resume()],
    ],
  });
  expect(ats(played)).toEqual([0, S, 5 * S]);
  expect(player.paused).toBe(false);
});

test('seeking goes on elsewhere in recorded time, at once; before the first row is the first', async () => {
  const made = rowsAt([0, S, 2 * S, 3 * S, 30 * S, 31 * S]);
  const forward = await play(made, { plans: [[1.5 * S, (p) => p.seek(BigInt(10 * S))]] });
  expect(forward.played.map(({ seq, at }) => [seq, at])).toEqual([
    [1, 0],
    [2, S],
    [5, 1.5 * S],
    [6, 2.5 * S],
  ]);
  const back = await play(made.slice(0, 4), { plans: [[2.5 * S, (p) => p.seek(BigInt(-10 * S))]] });
  expect(seqs(back.played)).toEqual([1, 2, 3, 1, 2, 3, 4]);
  expect(ats(back.played).slice(3)).toEqual([2.5, 3.5, 4.5, 5.5].map((s) => s * S));
  // Two at a time add up; what lies behind the end is the end of this round.
  const twice = await play(made, {
    options: { loops: 2 },
    plans: [
      [
        0.5 * S,
        (p) => {
          p.seek(BigInt(20 * S));
          p.seek(BigInt(20 * S));
        },
      ],
    ],
  });
  expect(seqs(twice.played)).toEqual([1, 1, 2, 3, 4, 5, 6]);
  expect([twice.source.begun, twice.source.ended]).toEqual([4, 4]);
});

test('seeking while it is paused shows nothing until it goes on', async () => {
  const { played } = await play(rowsAt([0, S, 20 * S, 21 * S]), {
    plans: [
      [0.5 * S, (p) => p.pause()],
      [S, (p) => p.seek(BigInt(15 * S))],
      [2 * S, (p) => void expect([p.rows, p.ts]).toEqual([1, TS0 + BigInt(15 * S)])],
      [3 * S, (p) => p.resume()],
    ],
  });
  expect(played.map(({ seq, at }) => [seq, at])).toEqual([
    [1, 0],
    [3, 3 * S],
    [4, 4 * S],
  ]);
});

test('the speed changes in the middle of a wait', async () => {
  const { played, player } = await play(rowsAt([0, 10 * S, 20 * S]), {
    plans: [[2 * S, (p) => p.scale(4)]],
  });
  expect(ats(played)).toEqual([0, 4 * S, 6.5 * S]);
  expect(player.factor).toBe(4);
});

test('a slow reader makes rows late: counted, none dropped, and the schedule stays where it was', async () => {
  const made = rowsAt(Array.from({ length: 30 }, (_, i) => i * 100 * MS));
  const { played, player } = await play(made, {
    onRows: ([row], _, clock) => {
      if (row?.seq === 5) clock.time += S;
    },
  });
  expect(seqs(played)).toEqual(seqs(made));
  // The fifth is due at 0.4 s and is taken at 1.4 s; those until then go together.
  const late = played.filter(({ seq, at }) => at > (seq - 1) * 100 * MS + MS);
  expect(seqs(late)).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14]);
  expect(new Set(ats(late))).toEqual(new Set([1.4 * S]));
  const { lateRows, errorNs } = player.stats();
  expect(lateRows).toBe(late.length + 1);
  expect(errorNs?.max).toBeCloseTo(S, -6);
  expect(played.at(-1)?.at).toBe(2.9 * S);
});

test('whoever leaves early leaves nothing open', async () => {
  const clock = new FakeClock();
  const source = new MadeEvents(rowsAt(Array.from({ length: 200_000 }, (_, i) => i)));
  const player = new Player(source, { ...ONCE, pace: 'max', clock });
  for await (const _ of player.events()) break;
  expect([source.begun, source.ended]).toEqual([1, 1]);
});

test('what goes wrong in the stream is told, after the rows before it', async () => {
  const clock = new FakeClock();
  const made = new MadeEvents(rowsAt([0, 1, 2]), 1);
  const player = new Player(
    {
      async *events() {
        yield* made.events();
        throw new Error('the disk is gone');
      },
    },
    { ...ONCE, clock },
  );
  const played: MadeRow[] = [];
  await expect(async () => {
    for await (const runs of player.events()) played.push(...rowsOfRuns(runs));
  }).rejects.toThrow('the disk is gone');
  expect(seqs(played)).toEqual([1, 2, 3]);
});
