// The text of an expression, and how what is wrong with it is shown.

import { TapioError } from '../../errors.ts';

const LINE_MAX = 100;
const BEFORE_CARET_MAX = 60;

/** What a terminal might obey: controls and marks of direction. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

const shown = (text: string): string =>
  text.replace(UNSAFE, (one) => (one === '\t' ? ' ' : '\ufffd'));

export class Source {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** Part of the text, on one line and short. */
  excerpt(start: number, end: number): string {
    const part = this.text.slice(start, end).replace(/\s+/g, ' ');
    return part.length > 40 ? `${part.slice(0, 39)}…` : part;
  }

  /** Refuses the expression: the message, then the line that it is about with a caret under the place. */
  refuse(at: number, message: string): never {
    const start = this.text.lastIndexOf('\n', at - 1) + 1;
    const newline = this.text.indexOf('\n', at);
    const end = newline === -1 ? this.text.length : newline;
    const from = end - start <= LINE_MAX ? start : Math.max(start, at - BEFORE_CARET_MAX);
    const to = Math.min(end, from + LINE_MAX);
    const head = from > start ? '…' : '';
    const tail = to < end ? '…' : '';
    const line = head + shown(this.text.slice(from, to)) + tail;
    const column = head.length + [...this.text.slice(from, at)].length;
    const caret = `${' '.repeat(column)}^`;
    throw new TapioError('usage', `${shown(message)}\n  ${line}\n  ${caret}`);
  }
}
