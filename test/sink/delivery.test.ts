// A delivery gets every event there, or knows that it cannot, whatever the receiver does.

import { env } from 'node:process';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BACKOFF_MS_MAX, BACKOFF_MS_MIN, Delivery } from '../../src/sink/delivery.ts';
import type { OnwardEvent, Outcomes, Sink } from '../../src/sink/sink.ts';

const SEED = Number(env.TAPIO_SEED ?? Date.now() % 1_000_000);

const event = (seq: number): OnwardEvent =>
  ({
    seq: BigInt(seq),
    type: 'file',
    op: 'open',
    json: Buffer.from(`{"seq":${seq}}`),
  }) as OnwardEvent;
const events = (count: number, from = 1): OnwardEvent[] =>
  Array.from({ length: count }, (_, i) => event(from + i));
const seqs = (list: readonly OnwardEvent[]): number[] => list.map(({ seq }) => Number(seq));

type Answer = 'taken' | 'refused' | 'returned' | 'nothing';

/** A receiver that answers as it is told, later or at once. */
class FakeSink implements Sink {
  readonly place = 'fake';
  readonly window: number;
  readonly outcomes: Outcomes;
  readonly sent: OnwardEvent[][] = [];
  readonly #answer: (event: OnwardEvent, time: number) => Answer;
  readonly #later: boolean;
  readonly #times = new Map<bigint, number>();
  #pending = 0;
  most = 0;
  closed = false;

  constructor(
    outcomes: Outcomes,
    window: number,
    later: boolean,
    answer: (event: OnwardEvent, time: number) => Answer,
  ) {
    this.outcomes = outcomes;
    this.window = window;
    this.#later = later;
    this.#answer = answer;
  }

  send(some: readonly OnwardEvent[]): void {
    this.sent.push([...some]);
    this.#pending += some.length;
    this.most = Math.max(this.most, this.#pending);
    if (this.#later) void setImmediate().then(() => this.#tell(some));
    else this.#tell(some);
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  #tell(some: readonly OnwardEvent[]): void {
    for (const one of some) {
      const time = (this.#times.get(one.seq) ?? 0) + 1;
      this.#times.set(one.seq, time);
      const answer = this.#answer(one, time);
      if (answer === 'nothing') continue;
      this.#pending--;
      if (answer === 'taken') this.outcomes.taken(one);
      else this.outcomes[answer](one, `it says ${answer}`);
    }
  }
}

interface World {
  readonly delivery: Delivery;
  readonly sink: FakeSink;
  readonly taken: number[];
  readonly refused: [number, string][];
  readonly said: string[];
  readonly slept: number[];
}

async function open(
  answer: (event: OnwardEvent, time: number) => Answer,
  {
    window = 10,
    later = true,
    random = (): number => 0.5,
    sleep = async () => setImmediate(),
  } = {},
): Promise<World> {
  const [taken, refused, said, slept]: [number[], [number, string][], string[], number[]] = [
    ...([[], []] as [number[], [number, string][]]),
    ...([[], []] as [string[], number[]]),
  ];
  const sinks: FakeSink[] = [];
  let now = 0;
  const delivery = await Delivery.open({
    make: async (outcomes) => {
      sinks.push(new FakeSink(outcomes, window, later, answer));
      return sinks[0] as FakeSink;
    },
    settled: ({ seq }, why) => {
      if (why === null) taken.push(Number(seq));
      else refused.push([Number(seq), why]);
    },
    say: (text) => said.push(text),
    sleep: async (ms) => {
      slept.push(ms);
      now += ms;
      await sleep();
    },
    random,
    now: () => now,
  });
  return { delivery, sink: sinks[0] as FakeSink, taken, refused, said, slept };
}

test('every event gets one end, in any mix of answers, and no more are under way than there is room', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.constantFrom('taken', 'refused', 'returned'), { maxLength: 4 }), {
        maxLength: 60,
      }),
      fc.integer({ min: 1, max: 20 }),
      fc.boolean(),
      async (script, window, later) => {
        const answers = (one: OnwardEvent, time: number): Answer =>
          (script[Number(one.seq) - 1]?.[time - 1] as Answer | undefined) ?? 'taken';
        const { delivery, sink, taken, refused } = await open(answers, { window, later });
        const all = events(script.length);
        expect(await delivery.send(all)).toBe(true);
        expect(await delivery.settle()).toBe(true);
        const ends = [...taken, ...refused.map(([seq]) => seq)].sort((a, b) => a - b);
        expect(ends).toEqual(seqs(all));
        expect(sink.most).toBeLessThanOrEqual(window);
        const { sent, returned } = delivery.counts;
        expect(sent).toBe(all.length);
        expect(seqs(sink.sent.flat()).length).toBe(sent + returned);
        expect(await delivery.close()).toBe(0);
      },
    ),
    { seed: SEED },
  );
});

test('what was returned is sent again in order, later and later while nothing is taken', async () => {
  const { delivery, sink, slept, taken } = await open((_, time) =>
    time <= 12 ? 'returned' : 'taken',
  );
  await delivery.send(events(3));
  await delivery.settle();
  expect(taken).toEqual([1, 2, 3]);
  expect(sink.sent.every((some) => seqs(some).join() === '1,2,3')).toBe(true);
  expect(slept[0]).toBe(BACKOFF_MS_MIN * 0.75);
  expect(slept.slice(1, 4)).toEqual([150, 300, 600]);
  expect(slept.at(-1)).toBe(BACKOFF_MS_MAX * 0.75);
  // It begins anew once something was taken.
  await delivery.send(events(1, 4));
  await delivery.settle();
  expect(slept[12]).toBe(BACKOFF_MS_MIN * 0.75);
});

test('waits are spread over their upper half', async () => {
  for (const [random, ms] of [
    [0, 50],
    [0.999, 99.95],
  ] as const) {
    const { delivery, slept } = await open((_, time) => (time === 1 ? 'returned' : 'taken'), {
      random: () => random,
    });
    await delivery.send(events(1));
    await delivery.settle();
    expect(slept[0]).toBeCloseTo(ms, 5);
  }
});

test('trouble is told once for each kind, not for each event, and so is its end', async () => {
  const { delivery, said } = await open((one, time) =>
    time === 1 || (time === 2 && one.seq === 5n) ? 'returned' : 'taken',
  );
  await delivery.send(events(9));
  expect(said).toEqual([]);
  await delivery.settle();
  expect(said).toEqual([
    'fake does not take events: it says returned; they are sent again',
    'fake takes events again, after 0.1 s',
    'fake does not take events: it says returned; they are sent again',
    'fake takes events again, after 0.1 s',
  ]);
  expect(delivery.trouble).toBeNull();
});

test('while it waits nothing new is sent', async () => {
  let release: () => void = () => {};
  const sleep = (): Promise<void> =>
    new Promise((resolve) => {
      release = resolve;
    });
  const { delivery, sink } = await open((_, time) => (time === 1 ? 'returned' : 'taken'), {
    sleep,
  });
  await delivery.send(events(2));
  await setImmediate();
  expect(delivery.trouble).toBe('it says returned');
  const more = delivery.send(events(2, 3));
  await setImmediate();
  expect(sink.sent.length).toBe(1);
  release();
  await more;
  expect(sink.sent.map(seqs).slice(0, 2)).toEqual([
    [1, 2],
    [1, 2],
  ]);
});

test('a close frees who waits, and says how many did not arrive', async () => {
  const { delivery, sink } = await open(() => 'nothing', { window: 4 });
  const sending = delivery.send(events(9));
  const settling = delivery.settle();
  await setImmediate();
  expect(delivery.underWay).toBe(4);
  expect(await delivery.close()).toBe(4);
  expect(await sending).toBe(false);
  expect(await settling).toBe(false);
  expect(sink.closed).toBe(true);
});

test('an outcome that comes twice, or of what was never sent, changes nothing', async () => {
  const { delivery, sink, taken, refused } = await open(() => 'taken');
  const [one, other] = events(2) as [OnwardEvent, OnwardEvent];
  await delivery.send([one]);
  await delivery.settle();
  sink.outcomes.taken(one);
  sink.outcomes.refused(one, 'late');
  sink.outcomes.returned(one, 'late');
  sink.outcomes.taken(other);
  expect(taken).toEqual([1]);
  expect(refused).toEqual([]);
  expect(delivery.counts).toEqual({ sent: 1, taken: 1, refused: 0, returned: 0 });
});
