import { expect, test } from 'vitest';
import { forecast } from '../../src/recorder/forecast.ts';

const DAY_MS = 86_400_000;

test('the smaller of what size and age allow decides how far back a store reaches', () => {
  const fast = forecast({ bytes: 1000, seconds: 10, storeBytes: 1000, retired: 0 }, 10_000, DAY_MS);
  expect(fast).toMatchObject({ bytes_per_s: 100, keeps_s: 100, limit: 'max-bytes', full_in_s: 90 });
  const slow = forecast({ bytes: 10, seconds: 10, storeBytes: 10, retired: 0 }, 1e9, DAY_MS);
  expect(slow).toMatchObject({ keeps_s: 86_400, limit: 'max-age', full_in_s: 86_400 });
});

test('nothing recorded keeps for as long as the age allows; once segments go, it is full', () => {
  const idle = forecast({ bytes: 0, seconds: 5, storeBytes: 0, retired: 0 }, 1000, DAY_MS);
  expect(idle).toMatchObject({ bytes_per_s: 0, keeps_s: 86_400, full_in_s: 86_400 });
  const full = forecast({ bytes: 100, seconds: 1, storeBytes: 900, retired: 3 }, 1000, DAY_MS);
  expect(full).toMatchObject({ full_in_s: 0, retired: 3 });
});
