// Numbers as bars and sparklines.

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const LEVELS = '▁▂▃▄▅▆▇█';

/** A bar of up to `width` characters for a share of 0 to 1. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  return '█'.repeat(eighths >> 3) + (EIGHTHS[eighths & 7] ?? '');
}

/** A character per value, as high as its share of the largest; a space where there is nothing. */
export function sparkline(values: readonly number[]): string {
  const largest = values.reduce((a, b) => Math.max(a, b), 0);
  return values
    .map((value) =>
      value === 0 ? ' ' : (LEVELS[Math.min(7, Math.floor((value / largest) * 8))] ?? ' '),
    )
    .join('');
}
