// Errors that a user sees: a stable code, one sentence that names the remedy, the cause.

import { constants } from 'node:os';

/** Codes are stable: scripts match on them. */
export type ErrorCode =
  | 'usage'
  | 'not_permitted'
  | 'unauthenticated'
  | 'exhausted'
  | 'unsupported_kernel'
  | 'unsupported_node'
  | 'store_missing'
  | 'store_unwritable'
  | 'store_too_open'
  | 'store_locked'
  | 'store_newer'
  | 'segment_missing'
  | 'segment_damaged'
  | 'not_held'
  | 'not_running'
  | 'io'
  | 'internal';

/** Exit code of the programs for each error: 2 for wrong usage, 1 for everything else. */
export function exitCodeOf(code: ErrorCode): number {
  return code === 'usage' ? 2 : 1;
}

/** An error whose message is written for the user; anything else that is thrown is a bug. */
export class TapioError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TapioError';
    this.code = code;
  }
}

/** The name of a system error such as ENOSPC; Node knows some by their number alone. */
export function systemCode(error: unknown): string | undefined {
  const { code, errno } = error as NodeJS.ErrnoException;
  return errno === -constants.errno.EDQUOT ? 'EDQUOT' : code;
}

/** The entry of `names` nearest to `word` by edit distance, or null when none is near. */
export function nearestName(word: string, names: Iterable<string>): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(word.length / 2)) + 1;
  for (const name of names) {
    const distance = editDistance(word, name);
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next[j] = Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1);
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
