// Work that is dear: in turn, bounded, and for each peer no more than its part.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TapioError } from '../../src/errors.ts';
import { Gate } from '../../src/service/gate.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const LIMITS = { atOnce: 2, most: 6, perPeer: 4 };

test('never more at once, nor waiting, nor of one peer, than may be; all that is let in is done', async () => {
  const peers = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(peers, fc.integer({ min: 1, max: 8 }), async (all, turns) => {
      const gate = new Gate(LIMITS);
      let [running, most, done, refused] = [0, 0, 0, 0];
      const inside = new Map<string, number>();
      const work = async (): Promise<void> => {
        running++;
        most = Math.max(most, running);
        for (let i = 0; i < turns; i++) await Promise.resolve();
        running--;
        done++;
      };
      const letIn = (peer: string): boolean => {
        const own = inside.get(peer) ?? 0;
        const whole = [...inside.values()].reduce((sum, count) => sum + count, 0);
        const isIn = own < LIMITS.perPeer && whole < LIMITS.most;
        if (isIn) inside.set(peer, own + 1);
        return isIn;
      };
      const asked = all.map(async (peer) => {
        const isIn = letIn(peer);
        try {
          await gate.pass(peer, work);
          expect(isIn).toBe(true);
        } catch (error) {
          expect([isIn, (error as TapioError).code]).toEqual([false, 'exhausted']);
          refused++;
        }
      });
      await Promise.all(asked);
      expect(most).toBeLessThanOrEqual(LIMITS.atOnce);
      expect(done + refused).toBe(all.length);
      // Nothing is left behind.
      await gate.pass('a', work);
      expect(running).toBe(0);
    }),
    { seed: SEED, numRuns: 200 },
  );
});

test('what throws gives its place to the next', async () => {
  const gate = new Gate({ atOnce: 1, most: 3, perPeer: 3 });
  const failing = gate.pass('a', () => Promise.reject(new TapioError('io', 'no')));
  const next = gate.pass('a', () => Promise.resolve('done'));
  await expect(failing).rejects.toThrow('no');
  expect(await next).toBe('done');
});
