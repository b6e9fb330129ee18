// The books of an outbox, against a plain model: whatever is killed when, each row that is wanted is sent until it is through,
// and none is believed through that is not.

import { env } from 'node:process';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { diskFiles } from '../../src/segment/files.ts';
import { Checkpoint } from '../../src/sink/checkpoint.ts';
import { Progress } from '../../src/sink/progress.ts';
import type { OnwardEvent } from '../../src/sink/sink.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { onwardEvent } from '../support/sinks.ts';

const SEED = Number(env.TAPIO_SEED ?? Date.now() % 1_000_000);
const END = new AbortController().signal;

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

const doorOf = (recording: string, firstSeq = 1n) => ({
  origin: { recording, host: 'h', boot_id: 'b' },
  firstSeq,
});

interface Books {
  readonly progress: Progress;
  readonly checkpoint: Checkpoint;
  readonly said: string[];
}

function open(
  recording = 'r',
  from: 'now' | 'oldest' = 'oldest',
  firstSeq = 1n,
  name = 'n',
): Books {
  const checkpoint = new Checkpoint(diskFiles, directory.path, name);
  const said: string[] = [];
  const say = (text: string): void => void said.push(text);
  const door = (): ReturnType<typeof doorOf> => doorOf(recording, firstSeq);
  return { progress: new Progress({ checkpoint, from, door, say, end: END }), checkpoint, said };
}

/** A row is one thing that happened; which seq it has depends on the recorder. */
interface Row {
  readonly what: number;
  readonly isWanted: boolean;
}

/** What is done next. */
const STEP = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      rows: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('settle' as const), at: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('commit' as const), rows: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('save' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('back' as const), turn: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const), turn: fc.nat(9) }) },
);

test('whatever is killed or goes back when, each wanted row is sent until it is through', () => {
  const row = fc.record({ what: fc.nat(), isWanted: fc.boolean() });
  let run = 0;
  fc.assert(
    fc.property(
      fc.array(row, { maxLength: 60 }),
      fc.array(STEP, { maxLength: 80 }),
      (made, steps) => {
        const name = `n${run++}`;
        // Rows in the order of their seqs, which the recorder may give anew behind what is committed.
        const rows: Row[] = made.map((one, what) => ({ ...one, what }));
        const arrived = new Set<number>();
        let committed = 0;
        let books = open('r', 'oldest', 1n, name);
        let seq = Number(books.progress.through('r'));
        let underWay: { event: OnwardEvent; what: number }[] = [];
        const position = () => ({ recording: 'r', seq: BigInt(seq), committed: BigInt(committed) });
        const read = (count: number): void => {
          const last = Math.min(rows.length, seq + count);
          const events = rows
            .slice(seq, last)
            .map((one, i) => ({ ...one, event: onwardEvent(seq + i + 1) }))
            .filter(({ isWanted }) => isWanted);
          const wanted = new Set(
            books.progress.take(
              'r',
              events.map(({ event }) => event),
            ),
          );
          underWay.push(...events.filter(({ event }) => wanted.has(event)));
          seq = last;
          books.progress.pass(position());
        };
        const settle = (at: number): void => {
          const [one] = underWay.splice(at % Math.max(1, underWay.length), 1);
          if (one === undefined) return;
          arrived.add(one.what);
          books.progress.settle(one.event);
        };
        /** The recorder reads the rings from its last commit again, and rows that were late are not. */
        const anew = (turn: number): void => {
          const behind = rows.splice(committed);
          rows.push(...behind.slice(turn % 3), ...behind.slice(0, turn % 3));
        };
        const steady = (): void => {
          const { through, beyond } = new Checkpoint(diskFiles, directory.path, name).of('r');
          expect(through).toBeLessThanOrEqual(committed);
          for (const [, last] of beyond) expect(last).toBeLessThanOrEqual(committed);
        };
        for (const step of steps) {
          if (step.kind === 'read') read(step.rows);
          else if (step.kind === 'settle') settle(step.at);
          else if (step.kind === 'commit') committed = Math.min(rows.length, committed + step.rows);
          else if (step.kind === 'save') {
            books.progress.save(position());
            steady();
          } else if (step.kind === 'back') {
            anew(step.turn);
            if (seq > committed) {
              seq = committed;
              books.progress.wentBack('r', BigInt(committed));
            }
          } else {
            anew(step.turn);
            books = open('r', 'oldest', 1n, name);
            underWay = [];
            seq = Number(books.progress.through('r'));
          }
        }
        committed = rows.length;
        while (seq < rows.length) read(5);
        while (underWay.length > 0) settle(0);
        const missing = rows.filter(({ what, isWanted }) => isWanted && !arrived.has(what));
        expect(missing).toEqual([]);
        books.progress.save(position());
        const { through } = new Checkpoint(diskFiles, directory.path, name).of('r');
        expect(through).toBe(rows.length);
        expect(books.progress.lag(position(), 0).events).toBe(0);
      },
    ),
    { seed: SEED, numRuns: 300 },
  );
});

test('a new sink begins with what is recorded from then on, or with all that is held', () => {
  const held = new Map([
    ['old', 70n],
    ['r', 40n],
  ]);
  const now = open('r', 'now', 31n, 'now');
  now.progress.held(held);
  expect([now.progress.through('old'), now.progress.through('r')]).toEqual([70n, 30n]);
  // It is no longer new when it comes back, though nothing was through.
  const again = open('r', 'now', 41n, 'now');
  again.progress.held(held);
  expect(again.progress.through('r')).toBe(30n);
  const all = open('r', 'oldest', 31n, 'all');
  all.progress.held(held);
  expect([all.progress.through('old'), all.progress.through('r')]).toEqual([0n, 0n]);
});

test('what is gone is counted once, less what was through, and told with its range', () => {
  const { progress, checkpoint, said } = open();
  progress.through('r');
  const events = [onwardEvent(2), onwardEvent(5)];
  progress.take('r', events);
  progress.settle(events[1] as OnwardEvent);
  const gap = { recording: 'r', first: 1n, last: 9n, rows: 9n, why: 'it is gone' };
  progress.missed(gap);
  progress.missed(gap);
  // 3 to 5 were through by the event at 5.
  expect(checkpoint.lostRows).toBe(6);
  expect(said).toEqual(['6 rows are lost to it (recording r, seq 1 to 9): it is gone']);
  // Rows of one type in a range, of which the others can be read.
  progress.missed({ recording: 'r', first: 20n, last: 40n, rows: 3n, why: 'a batch is damaged' });
  expect(checkpoint.lostRows).toBe(9);
  progress.save({ recording: 'r', seq: 40n, committed: 40n });
  expect(new Checkpoint(diskFiles, directory.path, 'n').lostRows).toBe(9);
});

test('to a new sink nothing is lost of what went before it', () => {
  const { progress, checkpoint, said } = open('r', 'oldest', 1n, 'fresh');
  progress.held(new Map([['a', 50n]]));
  progress.through('a');
  progress.missed({ recording: 'a', first: 1n, last: 30n, rows: 30n, why: 'it is gone' });
  expect([checkpoint.lostRows, checkpoint.of('a').through, said]).toEqual([0, 30, []]);
  progress.missed({ recording: 'a', first: 35n, last: 36n, rows: 2n, why: 'it is gone' });
  expect(checkpoint.lostRows).toBe(2);
});

test('a recording that is not held any more is lost from where it was; the one that is recorded is not', () => {
  const { progress } = open();
  progress.held(new Map([['a', 50n]]));
  progress.through('a');
  const event = onwardEvent(10);
  progress.take('a', [event]);
  progress.settle(event);
  progress.save({ recording: 'a', seq: 10n, committed: 50n });
  const later = open();
  later.progress.held(new Map());
  expect(later.said).toEqual([
    '40 rows are lost to it (recording a, seq 11 to 50): the store does not hold it any more',
  ]);
  later.progress.held(new Map());
  expect(later.checkpoint.lostRows).toBe(40);
});

test('an acknowledgement of a row that was given anew says nothing of the one in its place', () => {
  const { progress, checkpoint } = open();
  progress.through('r');
  const before = [1, 2, 3].map((seq) => onwardEvent(seq));
  progress.take('r', before);
  progress.wentBack('r', 1n);
  for (const event of before) progress.settle(event);
  // The first was durable, and stays what it was.
  expect(checkpoint.of('r').through).toBe(1);
  const after = [2, 3].map((seq) => onwardEvent(seq));
  expect(progress.take('r', after)).toEqual(after);
});
