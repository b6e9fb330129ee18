import { expect, test } from 'vitest';
import { RunningTotals } from '../../src/recorder/running-totals.ts';
import { NO_TOTALS } from '../metrics/measured.ts';

test('a thread that takes the place of another counts on', () => {
  const totals = new RunningTotals();
  expect(totals.last).toBe(null);
  totals.hear({
    ...NO_TOTALS,
    events: { process: { exec: 5, exit: 2 }, file: { open: 1 } },
    lost: { ring: { overwritten: { file: 3 } } },
    ...{ segments: 2, bytes: 100, retired: 1, filtered: 40, late: 4, firstTs: '10', lastTs: '20' },
  });
  totals.restart();
  // Before its first cut a thread knows nothing of the rings.
  const early = totals.hear(NO_TOTALS);
  expect(early).toMatchObject({
    events: { process: { exec: 5, exit: 2 }, file: { open: 1 } },
    ...{ filtered: 40, late: 4, firstTs: '10', lastTs: '20' },
  });
  const later = totals.hear({
    ...NO_TOTALS,
    events: { process: { exec: 1 }, network: { close: 6 } },
    lost: { ring: { overwritten: { file: 1, process: 2 } }, recorder: { crash: { unknown: 0 } } },
    ...{ segments: 1, bytes: 7, retired: 2, filtered: 45, late: 4, firstTs: '30', lastTs: '40' },
    storeBytes: 50,
  });
  expect(later).toEqual({
    ...NO_TOTALS,
    events: { process: { exec: 6, exit: 2 }, file: { open: 1 }, network: { close: 6 } },
    lost: { ring: { overwritten: { file: 4, process: 2 } }, recorder: { crash: { unknown: 0 } } },
    ...{ segments: 3, bytes: 107, retired: 3, filtered: 45, late: 4, firstTs: '10', lastTs: '40' },
    storeBytes: 50,
  });
  expect(totals.last).toEqual(later);
  totals.restart();
  totals.hear({ ...NO_TOTALS, events: { process: { exec: 1 } } });
  expect(totals.last?.events.process).toEqual({ exec: 7, exit: 2 });
});
