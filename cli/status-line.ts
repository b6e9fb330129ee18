// One line on the terminal, rewritten each second: rates and losses by type, bytes, CPU.

import type { WriteStream } from 'node:tty';
import type { Daemon, Summary } from '../src/daemon.ts';
import { bytesText, countText, sumCounts } from './format.ts';

const PERIOD_MS = 1000;

/** Losses by type, over all stages and causes. */
function lostByType(lost: Summary['lost']): Map<string, number> {
  const out = new Map<string, number>();
  for (const types of Object.values(lost).flatMap((causes) => Object.values(causes))) {
    for (const [type, n] of Object.entries(types)) out.set(type, (out.get(type) ?? 0) + n);
  }
  return out;
}

/** The line; it is cut to the terminal's width. */
export class StatusLine {
  readonly #out: WriteStream;
  #timer: NodeJS.Timeout | null = null;
  #before: Readonly<Record<string, number>> = {};
  #beforeCpu = 0;
  #beforeAt = performance.now();

  constructor(out: WriteStream) {
    this.#out = out;
  }

  /** Writes the line each second, until clear(). */
  follow(daemon: Daemon): void {
    // A recording that ends while it is asked has told so elsewhere.
    this.#timer = setInterval(() => void this.#show(daemon).catch(() => {}), PERIOD_MS);
  }

  clear(): void {
    if (this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
    this.#out.write('\r\x1b[K');
  }

  async #show(daemon: Daemon): Promise<void> {
    const status = await daemon.status();
    if (this.#timer === null) return;
    const now = performance.now();
    const seconds = (now - this.#beforeAt) / 1000;
    const counts = Object.fromEntries(
      Object.entries(status.events).map(([type, ops]) => [type, sumCounts(ops)]),
    );
    const losses = lostByType(status.lost);
    const rates = Object.entries(counts).map(([type, count]) => {
      const rate = countText((count - (this.#before[type] ?? 0)) / seconds);
      const lost = losses.get(type) ?? 0;
      losses.delete(type);
      return `${type} ${rate}/s${lost > 0 ? ` LOST ${countText(lost)}` : ''}`;
    });
    const lost = sumCounts(status.lost);
    const others = [...losses].map(([type, n]) => `${type} LOST ${countText(n)}`);
    const cpu = ((status.cpu_s - this.#beforeCpu) / seconds) * 100;
    const parts = [
      ...rates,
      ...(lost > 0 ? others : ['lost 0']),
      bytesText(status.bytes),
      `CPU ${cpu.toFixed(1)} %`,
    ];
    const text = parts.join(' · ').slice(0, (this.#out.columns ?? 80) - 1);
    this.#out.write(`\r\x1b[K${text}`);
    this.#before = counts;
    this.#beforeCpu = status.cpu_s;
    this.#beforeAt = now;
  }
}
