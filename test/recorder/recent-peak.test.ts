import { expect, test } from 'vitest';
import { RecentPeak } from '../../src/recorder/recent-peak.ts';

test('the largest of the last minute, whoever asks and how often', () => {
  const peak = new RecentPeak();
  expect(peak.at(0)).toBe(0);
  for (let at = 0; at <= 200_000; at += 100) {
    peak.note(at, at === 30_000 ? 0.9 : 0.1);
    if (at === 30_000) expect(peak.at(at)).toBe(0.9);
    if (at === 80_000) expect([peak.at(at), peak.at(at)]).toEqual([0.9, 0.9]);
  }
  expect(peak.at(200_000)).toBe(0.1);
  expect(peak.at(300_000)).toBe(0);
});
