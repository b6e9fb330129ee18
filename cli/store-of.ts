// The store that a command of tapio-record is about.

import { env } from 'node:process';
import { defaultStore } from '../src/segment/store.ts';
import type { Flags } from './program.ts';

/** --store, else TAPIO_RECORD_STORE as for start, else the default. */
export function storeOf(flags: Flags): string {
  return (flags.store as string | undefined) ?? (env.TAPIO_RECORD_STORE || defaultStore());
}
