// One line per result; the value is the median of the runs.

import { stdout } from 'node:process';

export interface Result {
  readonly name: string;
  readonly values: readonly number[];
  readonly unit: string;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

export function report({ name, values, unit }: Result): void {
  const value = median(values);
  const spread = value === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / Math.abs(value);
  const line = {
    name,
    value: Number(value.toPrecision(4)),
    unit,
    runs: values.length,
    spread: Number(spread.toPrecision(2)),
  };
  stdout.write(`${JSON.stringify(line)}\n`);
}
