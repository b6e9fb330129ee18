import { existsSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

// Kernel, crash and end-to-end tests watch the whole host: they run one after another, on their own.
const ALONE = ['kernel', 'crash', 'e2e', 'examples'].map((name) => `test/${name}/**/*.test.ts`);

export default defineConfig({
  test: {
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
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
