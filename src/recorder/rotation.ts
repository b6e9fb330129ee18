// When a segment is ended by itself.

/** When a segment is ended. */
export interface RotationLimits {
  readonly bytesMax: number;
  /** Age from which one above `agedBytesMin` is ended, ms. */
  readonly agedMs: number;
  readonly agedBytesMin: number;
  readonly ageMaxMs: number;
  /** Processes of one segment: they are kept in memory until it is sealed. */
  readonly processesMax: number;
}

export const ROTATION: RotationLimits = {
  bytesMax: 256 * 2 ** 20,
  agedMs: 5 * 60_000,
  agedBytesMin: 16 * 2 ** 20,
  ageMaxMs: 60 * 60_000,
  processesMax: 65_536,
};

/** Whether a segment is to be ended: age in ms, bytes, processes. */
export function isDue(
  { bytesMax, agedMs, agedBytesMin, ageMaxMs, processesMax }: RotationLimits,
  age: number,
  bytes: number,
  processes: number,
): boolean {
  return (
    bytes >= bytesMax ||
    (age >= agedMs && bytes >= agedBytesMin) ||
    age >= ageMaxMs ||
    processes >= processesMax
  );
}
