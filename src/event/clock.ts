// Clocks: ktime is CLOCK_MONOTONIC, ts is wall-clock time. A segment has one offset between them.

/** Readings taken together, ns. */
export interface Clocks {
  readonly realtime: bigint;
  readonly monotonic: bigint;
  readonly boottime: bigint;
}

/** A step of the wall clock beyond this seals the segment, ns. */
export const CLOCK_STEP_NS = 1_000_000n;

/** ts − ktime. */
export function tsOffset(clocks: Clocks): bigint {
  return clocks.realtime - clocks.monotonic;
}

/** What happened to the clocks between two readings, or null. */
export function clockChange(before: Clocks, now: Clocks): 'clock_step' | 'suspend' | null {
  const slept = now.boottime - now.monotonic - (before.boottime - before.monotonic);
  if (slept > CLOCK_STEP_NS) return 'suspend';
  const step = tsOffset(now) - tsOffset(before);
  return step > CLOCK_STEP_NS || step < -CLOCK_STEP_NS ? 'clock_step' : null;
}

const NS_PER_S = 1_000_000_000n;

/** RFC 3339 in UTC with all nine digits. */
export function formatTs(ts: bigint): string {
  // Also before 1970 the digits count up from a whole second.
  const rest = ts % NS_PER_S;
  const fraction = rest < 0n ? rest + NS_PER_S : rest;
  const text = new Date(Number((ts - fraction) / 1_000_000n)).toISOString();
  return `${text.slice(0, 19)}.${fraction.toString().padStart(9, '0')}Z`;
}
