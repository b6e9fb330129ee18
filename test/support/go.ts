// A Go that tests can run.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Go 1.x. */
export const GO_MIN = 22;

/** The path of one that is new enough; null where there is none. */
export function findGo(): string | null {
  for (const go of ['go', '/usr/local/go/bin/go']) {
    if (go.startsWith('/') && !existsSync(go)) continue;
    const said = spawnSync(go, ['version'], { encoding: 'utf8' }).stdout ?? '';
    if (Number(/go1\.(\d+)/.exec(said)?.[1] ?? 0) >= GO_MIN) return go;
  }
  return null;
}
