// Lines on stderr, for the user: names of processes may be in them.

import { stderr } from 'node:process';
import { escapeControls } from './escape.ts';

const LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LEVELS)[number];

export class Log {
  readonly #program: string;
  level: LogLevel;

  constructor(program: string, level: LogLevel) {
    this.#program = program;
    this.level = level;
  }

  warn(text: string): void {
    this.#write('warn', `warning: ${text}`);
  }

  info(text: string): void {
    this.#write('info', text);
  }

  #write(level: LogLevel, text: string): void {
    if (LEVELS.indexOf(level) > LEVELS.indexOf(this.level)) return;
    const clear = stderr.isTTY ? '\r\x1b[K' : '';
    stderr.write(`${clear}${this.#program}: ${escapeControls(text)}\n`);
  }
}
