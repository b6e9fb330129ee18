// Numbers for people.

export { escapeControls } from '../src/escape.ts';
export { countText } from '../src/event/count-text.ts';

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** 1536 → 1.5 KiB. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

/** A duration in ns as 1.5 ms. */
export function durationText(ns: number): string {
  if (ns < 1_000) return `${ns} ns`;
  if (ns < 1_000_000) return `${(ns / 1e3).toFixed(1)} µs`;
  if (ns < 1_000_000_000) return `${(ns / 1e6).toFixed(1)} ms`;
  return `${(ns / 1e9).toFixed(2)} s`;
}

const SPANS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const;

/** A span in seconds as 5 h 20 min: its two largest units. */
export function spanText(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'ever';
  let rest = Math.round(seconds);
  const parts: string[] = [];
  for (const [unit, size] of SPANS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.length === 0 ? '0 s' : parts.join(' ');
}

/** Sum of the leaves of nested counts. */
export function sumCounts(counts: unknown): number {
  if (typeof counts === 'number') return counts;
  return Object.values(counts as object).reduce((sum: number, part) => sum + sumCounts(part), 0);
}
