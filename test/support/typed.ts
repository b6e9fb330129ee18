// tapio-replay as it is typed.

import { spawnSync } from 'node:child_process';
import { execPath } from 'node:process';
import { ROOT } from './recording.ts';

/** What a command said. */
export interface Said {
  /** Lines. */
  readonly out: string[];
  readonly err: string;
  readonly code: number | null;
}

/** Runs a command to its end, with times in UTC and no store of the environment's. */
export function replay(...words: string[]): Said {
  const done = spawnSync(execPath, ['cli/tapio-replay.ts', ...words], {
    cwd: ROOT,
    env: { ...process.env, TZ: 'UTC', TAPIO_STORE: '' },
  });
  const out = done.stdout.toString().split('\n').slice(0, -1);
  return { out, err: done.stderr.toString(), code: done.status };
}
