// Whether a recorder lives, and whether it does its work: a sentence says what is wrong.

import { LOSS_CAUSES } from '../../schemas/losses.ts';
import type { Measured } from './measured.ts';

/** A recording thread that has been silent for so long is stuck, ms: a slow sync of a disk takes less. */
export const STUCK_MS = 5000;

/** What keeps it from being alive, or null. */
export function whyUnhealthy(measured: Measured | null): string | null {
  if (measured === null || measured.silentMs < STUCK_MS) return null;
  const seconds = (measured.silentMs / 1000).toFixed(0);
  return `the recording thread has not answered for ${seconds} s: see the recorder’s log and the disk of the store`;
}

/** What keeps it from recording, or null. */
export function whyNotReady(measured: Measured | null): string | null {
  if (measured === null) return 'events do not flow yet: ask again';
  if (measured.isEnding) return 'the recording is ending';
  const { outage } = measured.totals;
  if (outage !== null) {
    const { doc, remedy } = LOSS_CAUSES[outage.cause];
    return `the store cannot be written (${outage.cause}). ${doc} ${remedy}`;
  }
  return whyUnhealthy(measured);
}
