// What a batch holds at a glance: readers skip it where that rules every row out.

import type { BatchItem, ColumnRegion } from '../event/batch.ts';

/** Per column: smallest and largest number, or the set of strings where it is small. */
export type Zones = Readonly<
  Record<
    string,
    { readonly min: number; readonly max: number } | { readonly in: readonly string[] }
  >
>;

const SET_MAX = 32;

function numberZone(values: Uint32Array): { min: number; max: number } {
  let min = values[0] ?? 0;
  let max = min;
  for (const value of values) {
    if (value < min) min = value;
    else if (value > max) max = value;
  }
  return { min, max };
}

function setZone(values: Uint16Array, text: (index: number) => string): { in: string[] } | null {
  const seen = new Set<number>();
  let last = -1;
  for (const value of values) {
    if (value === last) continue;
    last = value;
    seen.add(value);
    if (seen.size > SET_MAX) return null;
  }
  return { in: [...seen].map(text) };
}

/** Zones of the columns that people ask by: op, comm, pid. */
export function zonesOf(
  batch: BatchItem,
  regions: readonly ColumnRegion[],
  memory: ArrayBuffer,
  text: (column: number, index: number) => string,
): Zones {
  const zones: Record<string, Zones[string]> = {};
  regions.forEach((region, column) => {
    if (region.name === 'pid') {
      zones.pid = numberZone(new Uint32Array(memory, region.data, batch.rows));
    } else if (region.name === 'op' || region.name === 'comm') {
      const values = new Uint16Array(memory, region.data, batch.rows);
      const zone = setZone(values, (index) => text(column, index));
      if (zone !== null) zones[region.name] = zone;
    }
  });
  return zones;
}
