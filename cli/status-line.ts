// One line on the terminal, rewritten each second: rates and losses by type, bytes, CPU.

import type { WriteStream } from 'node:tty';
import type { Daemon } from '../src/daemon.ts';
import { bytesText, countText, sumCounts } from './format.ts';

const PERIOD_MS = 1000;

export class StatusLine {
  readonly #out: WriteStream;
  #timer: NodeJS.Timeout | null = null;
  #before: Readonly<Record<string, number>> = {};
  #beforeCpu = 0;
  #beforeAt = performance.now();

  constructor(out: WriteStream) {
    this.#out = out;
  }

  follow(daemon: Daemon): void {
    this.#timer = setInterval(() => void this.#show(daemon), PERIOD_MS);
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
    const rates = Object.entries(counts).map(
      ([type, count]) => `${type} ${countText((count - (this.#before[type] ?? 0)) / seconds)}/s`,
    );
    const lost = sumCounts(status.lost);
    const cpu = ((status.cpu_s - this.#beforeCpu) / seconds) * 100;
    const parts = [
      ...rates,
      lost > 0 ? `LOST ${countText(lost)}` : 'lost 0',
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
