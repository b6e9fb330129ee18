// Asks a recorder's metrics port as Prometheus does.

import { type Family, parseExposition } from './exposition.ts';

const OPEN_METRICS = 'application/openmetrics-text;version=1.0.0';

/** The metrics of a port. Throws where the answer is not what it should be. */
export async function scrape(port: number, openMetrics = false): Promise<Map<string, Family>> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`, {
    headers: openMetrics ? { accept: `${OPEN_METRICS},text/plain;q=0.5` } : {},
  });
  const type = response.headers.get('content-type') ?? '';
  if (!response.ok || type.includes('openmetrics') !== openMetrics) {
    throw new Error(`${response.status} ${type}: ${await response.text()}`);
  }
  return parseExposition(await response.text(), openMetrics);
}

/** Status and text of a path. */
export async function asked(
  port: number,
  path: string,
  init?: RequestInit,
): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
  return { status: response.status, text: await response.text() };
}

/** Port of the line in which a recorder tells where its metrics are. */
export const portIn = (stderr: string): number =>
  Number(/metrics at http:\/\/[^\s]+:(\d+)\/metrics/.exec(stderr)?.[1]);
