// What a recorder knows of itself, made up for a test.

import { allOps } from '../../src/config/config.ts';
import type { Measured } from '../../src/metrics/measured.ts';
import type { Totals } from '../../src/recorder/totals.ts';

export const NO_TOTALS: Totals = {
  ...{ events: {}, lost: {}, rates: {}, filtered: 0, sampled: 0, late: 0, segments: 0, bytes: 0 },
  ...{ storeBytes: 0, disk: null, retired: 0, firstTs: null, lastTs: null, drainCpuNs: 0 },
  ...{ backlog: 0, unattached: {}, outage: null, masked: {} },
};

export const measuredWith = (totals: Partial<Totals>): Measured => ({
  totals: { ...NO_TOTALS, ...totals },
  ops: [...allOps().values()].filter(({ recorded }) => recorded).map(({ id }) => id),
  fullestRing: 0,
  limits: { bytesMax: 1e9, ageMaxMs: 86_400_000, freeMin: { bytes: 5 } },
  silentMs: 0,
  restarts: 0,
  isEnding: false,
  sinks: [],
  server: null,
  mainBusyMs: 1500,
  beganAt: 1_795_000_000_000,
  failures: {},
});
