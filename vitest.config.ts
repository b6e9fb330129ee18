import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// Kernel, crash and end-to-end tests watch the whole host: they run one after another, on their own. Those that record nothing of
// the kernel, and only ask, may run beside others.
const ASKING = 'metrics|serve|serve-access|serve-audit|serve-identity|serve-recorder';
const ALONE = [
  'test/kernel/**/*.test.ts',
  'test/crash/**/*.test.ts',
  `test/e2e/!(${ASKING}).test.ts`,
  'test/e2e/serve-hostile.test.ts',
  'test/examples/**/*.test.ts',
];

export default defineConfig({
  test: {
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // One less than there are cores is one, of two.
    maxWorkers: Math.max(2, availableParallelism()),
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          // In memory, where there is such a place: a sync of a real disk takes milliseconds.
          env: existsSync('/dev/shm') ? { TMPDIR: '/dev/shm' } : {},
          include: ['test/**/*.test.ts'],
          exclude: ALONE,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'alone',
          include: ALONE,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
