// How long a store lasts at the rate of late.

/** What a store keeps, and how long it will. */
export interface Forecast {
  /** Of the whole store, and per second of late. */
  readonly bytes: number;
  readonly bytes_per_s: number;
  /** How far back it will reach at this rate, s; what of the limits decides it. */
  readonly keeps_s: number;
  readonly limit: 'max-bytes' | 'max-age';
  /** Until the first segment has to go, s; 0 where they go already. */
  readonly full_in_s: number;
  /** Segments that have gone since the recorder began. */
  readonly retired: number;
}

/** What a recording has come to. */
export interface Progress {
  /** Bytes that it wrote in so many seconds. */
  readonly bytes: number;
  readonly seconds: number;
  readonly storeBytes: number;
  readonly retired: number;
}

/** The forecast for limits in bytes and ms. */
export function forecast(progress: Progress, maxBytes: number, maxAgeMs: number): Forecast {
  const { bytes, seconds, storeBytes, retired } = progress;
  const rate = seconds > 0 ? bytes / seconds : 0;
  const byBytes = rate > 0 ? maxBytes / rate : Number.POSITIVE_INFINITY;
  const byAge = maxAgeMs / 1000;
  const left = rate > 0 ? Math.max(0, maxBytes - storeBytes) / rate : byAge;
  return {
    bytes: storeBytes,
    bytes_per_s: rate,
    keeps_s: Math.min(byBytes, byAge),
    limit: byBytes < byAge ? 'max-bytes' : 'max-age',
    full_in_s: retired > 0 ? 0 : Math.min(left, byAge),
    retired,
  };
}
