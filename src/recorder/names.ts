// Names of segments: the time at which they begin and a number, so that names sort as time goes.

/** `20261122T180000.123Z-0000042` of a wall-clock time in ns and a number. */
export function segmentName(realtime: bigint, number: number): string {
  const iso = new Date(Number(realtime / 1_000_000n)).toISOString();
  return `${iso.replaceAll('-', '').replaceAll(':', '')}-${number.toString().padStart(7, '0')}`;
}

/** One past the highest number among names of segments, open ones included. */
export function nextNumber(names: readonly string[]): number {
  return names.reduce((next, name) => {
    const number = Number(/-(\d{7,})$/.exec(name)?.[1] ?? -1);
    return Math.max(next, number + 1);
  }, 0);
}
