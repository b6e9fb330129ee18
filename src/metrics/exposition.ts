// The metrics as text: the format of Prometheus, or OpenMetrics where it is asked for.

import { Counter, Gauge, Registry, type RegistryContentType } from 'prom-client';
import type { Measured } from './measured.ts';
import { METRICS } from './table.ts';

export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

/** Whether a request's header Accept names OpenMetrics. */
export const wantsOpenMetrics = (accept: string | undefined): boolean =>
  accept?.includes('application/openmetrics-text') === true;

/** Writes what was measured. Counters are kept elsewhere, so nothing is kept here. */
export async function exposition(measured: Measured, openMetrics: boolean): Promise<Exposition> {
  const contentType: RegistryContentType = openMetrics
    ? Registry.OPENMETRICS_CONTENT_TYPE
    : Registry.PROMETHEUS_CONTENT_TYPE;
  const registry = new Registry<RegistryContentType>();
  registry.setContentType(contentType);
  for (const { name, type, labels, help, samples } of METRICS) {
    const found = samples(measured);
    // Without labels there would be a 0 for what nobody knows.
    if (found.length === 0 && labels.length === 0) continue;
    const options = { name, help, labelNames: labels, registers: [registry] };
    const metric = type === 'counter' ? new Counter(options) : new Gauge(options);
    for (const [value, ...values] of found) {
      metric.inc(Object.fromEntries(labels.map((label, i) => [label, values[i] ?? ''])), value);
    }
  }
  return { contentType, text: await registry.metrics() };
}
