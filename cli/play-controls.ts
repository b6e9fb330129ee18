// What steers a player from outside: keys of a terminal with a status line, lines of stdin, signals.

import { stderr, stdin } from 'node:process';
import { createInterface, type Interface } from 'node:readline';
import type { WriteStream } from 'node:tty';
import type { Player } from '../src/replay/player.ts';
import type { Pace } from '../src/replay/schedule.ts';
import { countText, spanText } from './format.ts';
import { localTime } from './rows.ts';
import { isForeground, LiveLine, takeKeys } from './terminal.ts';

const SEEK_NS = 10_000_000_000n;
const PERIOD_MS = 250;
/** From here on people want to know what they wait for. */
const LONG_NS = 3e9;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface ControlOptions {
  readonly stepping: boolean;
  readonly loops: number;
  readonly pace: Pace;
  /** Called when somebody ends it: others may have to be ended as well. */
  readonly onStop?: () => void;
}

export class PlayControls {
  readonly #player: Player;
  readonly #options: ControlOptions;
  readonly #line: LiveLine | null = null;
  readonly #undo: (() => void)[] = [];
  #shownAt = 0;
  #interrupted = false;

  /** `keys`: whether the terminal's are taken, where there is one. */
  constructor(player: Player, options: ControlOptions, keys: boolean) {
    this.#player = player;
    this.#options = options;
    const stop = (): void => this.#stop();
    // A second one ends the program at once: what it writes to may never take it.
    for (const signal of SIGNALS) process.once(signal, stop);
    this.#undo.push(() => {
      for (const signal of SIGNALS) process.off(signal, stop);
    });
    if (keys && stdin.isTTY && stderr.isTTY && isForeground()) {
      this.#line = new LiveLine(stderr);
      this.#takeKeys();
      const timer = setInterval(() => this.#draw(), PERIOD_MS);
      this.#undo.push(() => clearInterval(timer));
    } else if (options.stepping) this.#takeLines();
  }

  /** Whether somebody ended it. */
  get interrupted(): boolean {
    return this.#interrupted;
  }

  /** Rows are about to be written to `out`: on a terminal the status line makes room. */
  clearFor(out: WriteStream): void {
    if (out.isTTY) this.#line?.clear();
  }

  /** Rows were written. */
  show(): void {
    if (performance.now() - this.#shownAt > PERIOD_MS) this.#draw();
  }

  /** Gives everything back. */
  end(): void {
    this.#line?.clear();
    for (const undo of this.#undo.splice(0)) undo();
  }

  #stop(): void {
    this.#interrupted = true;
    this.#player.stop();
    this.#options.onStop?.();
  }

  #takeKeys(): void {
    let pausedBefore = false;
    const free = takeKeys(stdin, {
      onKey: (key) => {
        this.#key(key);
        this.#draw();
      },
      onInterrupt: () => {
        // As the second signal, where the first did not help.
        if (this.#interrupted) process.exit(130);
        this.#stop();
      },
      onSuspend: () => {
        pausedBefore = this.#player.paused;
        this.#player.pause();
        this.#line?.clear();
      },
      onContinue: () => {
        if (!pausedBefore) this.#player.resume();
      },
    });
    this.#undo.push(free);
  }

  #key(key: string): void {
    const player = this.#player;
    switch (key) {
      case ' ':
        if (this.#options.stepping) player.step();
        else if (player.paused) player.resume();
        else player.pause();
        break;
      case 's':
      case '\r':
      case '\n':
        player.step();
        break;
      case 'left':
        player.seek(-SEEK_NS);
        break;
      case 'right':
        player.seek(SEEK_NS);
        break;
      case '+':
      case '=':
        player.scale(2);
        break;
      case '-':
        player.scale(0.5);
        break;
      case 'q':
        this.#stop();
        break;
    }
  }

  #takeLines(): void {
    const lines: Interface = createInterface({ input: stdin });
    lines.on('line', () => this.#player.step());
    lines.on('close', () => this.#player.endSteps());
    this.#undo.push(() => {
      lines.close();
      stdin.pause();
    });
  }

  #draw(): void {
    this.#shownAt = performance.now();
    this.#line?.show(this.#text());
  }

  #text(): string {
    const { paused, factor, ts, rows, loop, wait } = this.#player;
    const { loops } = this.#options;
    const pace = factor === Number.POSITIVE_INFINITY ? 'max' : this.#paceText(factor);
    return [
      `${paused ? '⏸' : '▶'} ${pace}`,
      ts === null ? 'before the first row' : localTime(ts),
      ...(!paused && wait > LONG_NS ? [`next in ${spanText(wait / 1e9)}`] : []),
      `${countText(rows)} rows`,
      ...(loops > 1
        ? [`loop ${loop}${loops < Number.POSITIVE_INFINITY ? ` of ${loops}` : ''}`]
        : []),
      this.#options.stepping ? 'space: next row, q: quit' : 'space ← → s + - q',
    ].join(' · ');
  }

  #paceText(factor: number): string {
    const text = Number(factor.toPrecision(3)).toString();
    const { pace } = this.#options;
    return pace !== 'max' && 'rate' in pace ? `${text}/s` : `${text}×`;
  }
}
