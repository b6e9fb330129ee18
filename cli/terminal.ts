// A terminal while a program has it: its keys, and one line that is written again and again.

import { readFileSync } from 'node:fs';
import type { ReadStream, WriteStream } from 'node:tty';

const CTRL_C = '\x03';
const CTRL_Z = '\x1a';
const NOT_STOPPED_MS = 100;
// An arrow is one key, however the terminal spells it.
// biome-ignore lint/suspicious/noControlCharactersInRegex: keys are what is looked for.
const KEY = /\x1b(?:\[|O)[A-D]|[\s\S]/gu;

/** Whether keys come to us: a program in the background that asks for them is stopped. */
export function isForeground(): boolean {
  // After the name: state, parent, process group, session, terminal, the terminal's process group.
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return fields[2] === fields[5];
}

export interface Keys {
  /** Arrows come as `left`, `right`, `up`, `down`. */
  onKey(key: string): void;
  /** Ctrl-C. */
  onInterrupt(): void;
  /** Ctrl-Z: the program stops, and later goes on. */
  onSuspend(): void;
  onContinue(): void;
}

const ARROWS: Readonly<Record<string, string>> = { A: 'up', B: 'down', C: 'right', D: 'left' };

/** Takes single keys, unechoed; gives back what ends that. The terminal is then as it was. */
export function takeKeys(input: ReadStream, keys: Keys): () => void {
  let suspended = false;
  let ended = false;
  const onData = (text: string): void => {
    for (const [key] of text.matchAll(KEY)) {
      if (key === CTRL_C) keys.onInterrupt();
      else if (key === CTRL_Z) {
        suspended = true;
        keys.onSuspend();
        input.setRawMode(false);
        // The whole job, as the terminal would have done it. Without a shell that could let it go on
        // it does not stop.
        process.kill(0, 'SIGTSTP');
        setTimeout(onContinue, NOT_STOPPED_MS);
      } else keys.onKey(key.length > 1 ? (ARROWS[key.slice(-1)] ?? key) : key);
    }
  };
  const onContinue = (): void => {
    if (ended) return;
    // The shell has set the terminal for itself meanwhile.
    input.setRawMode(true);
    if (suspended) keys.onContinue();
    suspended = false;
  };
  const restore = (): void => {
    input.setRawMode(false);
  };
  input.setEncoding('utf8');
  input.setRawMode(true);
  input.on('data', onData);
  process.on('SIGCONT', onContinue);
  // However it ends: Node does the same where a signal ends it.
  process.on('exit', restore);
  return () => {
    ended = true;
    restore();
    input.off('data', onData);
    input.pause();
    process.off('SIGCONT', onContinue);
    process.off('exit', restore);
  };
}

/** One line that is always the last; it is cut to the terminal's width. */
export class LiveLine {
  readonly #out: WriteStream;
  #shown = false;

  constructor(out: WriteStream) {
    this.#out = out;
  }

  show(text: string): void {
    this.#out.write(`\r\x1b[K${text.slice(0, (this.#out.columns || 80) - 1)}`);
    this.#shown = true;
  }

  /** Makes room for other output. */
  clear(): void {
    if (this.#shown) this.#out.write('\r\x1b[K');
    this.#shown = false;
  }
}
