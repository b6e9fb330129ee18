// tapio-replay run to its end, beside others.

import { spawn } from 'node:child_process';
import { execPath } from 'node:process';
import { ROOT } from './recording.ts';

export interface Replayed {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs a command; its environment is that of the test, with `env`. */
export function replay(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Replayed> {
  const child = spawn(execPath, ['cli/tapio-replay.ts', ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const parts: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout: Buffer.concat(parts), stderr }));
  });
}
