// Regular expressions: RE2's syntax, which is CEL's. The plain executor runs them on JavaScript's engine, in
// a translation; what RE2 would refuse (lookaround, backreferences) is refused here. Known to differ: with (?i)
// JavaScript counts K (Kelvin) and ſ among the ASCII letters of \b and \W.

/** Largest count of a repetition, nested ones multiplied: RE2's. */
const REPEAT_MAX = 1000;

/** Classes as pairs of characters, first and last of each run. */
const CLASSES: Readonly<Record<string, string>> = {
  d: '09',
  w: '09AZ__az',
  s: '\t\n\f\r  ',
};

const NAMED_CLASSES: Readonly<Record<string, string>> = {
  alnum: '09AZaz',
  alpha: 'AZaz',
  ascii: '\0\x7f',
  blank: '\t\t  ',
  cntrl: '\0\x1f\x7f\x7f',
  digit: '09',
  graph: '!~',
  lower: 'az',
  print: ' ~',
  punct: '!/:@[`{~',
  space: '\t\r  ',
  upper: 'AZ',
  word: '09AZ__az',
  xdigit: '09AFaf',
};

const CONTROLS: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };

const LOOKAROUND = 'RE2 has no lookaround';
const BACKREFERENCE = 'RE2 has no backreferences';

class PatternError extends Error {}

const point = (code: number): string => `\\u{${code.toString(16)}}`;

/** What stands between brackets for a class, or for all that is not in it. */
function membersOf(pairs: string, not: boolean): string {
  const ends = [...pairs].map((one) => one.codePointAt(0) ?? 0);
  const bounds = not
    ? [0, ...ends.map((code, i) => (i % 2 === 0 ? code - 1 : code + 1)), 0x10ffff]
    : ends;
  let out = '';
  for (let i = 0; i < bounds.length; i += 2) {
    const [low = 0, high = 0] = bounds.slice(i, i + 2);
    if (low <= high) out += `${point(low)}-${point(high)}`;
  }
  return out;
}

interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
}

interface Group {
  flags: Flags;
  /** Wrappers that a (?i) inside has opened. */
  readonly opened: string[];
  /** Largest product of repetitions so far. */
  repeat: number;
}

/** Reads an RE2 pattern and writes JavaScript's, for the flag u. */
class Translator {
  readonly #text: string;
  readonly #groups: Group[];
  #at = 0;
  #out = '';
  /** Product of repetitions of what was last written, which a repetition would multiply. */
  #last = 1;

  constructor(text: string, flags: Flags) {
    this.#text = text;
    this.#groups = [{ flags, opened: [], repeat: 1 }];
  }

  translate(): string {
    while (this.#at < this.#text.length) this.#part();
    if (this.#groups.length > 1) throw new PatternError('a ) is missing');
    return this.#out + ')'.repeat(this.#group.opened.length);
  }

  get #group(): Group {
    const group = this.#groups.at(-1);
    if (group === undefined) throw new PatternError('there is a ) too many');
    return group;
  }

  /** Takes what the regex, a sticky one, finds here. */
  #take(regex: RegExp): RegExpExecArray | null {
    regex.lastIndex = this.#at;
    const match = regex.exec(this.#text);
    if (match !== null) this.#at = regex.lastIndex;
    return match;
  }

  #write(atom: string): void {
    this.#out += atom;
    this.#last = 1;
  }

  /** RE2 repeats even what has no width. */
  #assert(assertion: string): void {
    this.#write(`(?:${assertion})`);
  }

  #part(): void {
    const group = this.#group;
    if (this.#take(/\(/y)) this.#open();
    else if (this.#take(/\)/y)) this.#close();
    else if (this.#take(/\|/y)) {
      // Flags that were set inside go on in the next alternative.
      this.#write(`${')'.repeat(group.opened.length)}|${group.opened.join('')}`);
    } else if (this.#take(/\[/y)) this.#write(this.#class());
    else if (this.#take(/\\/y)) this.#escape();
    else if (this.#take(/\./y)) this.#write(group.flags.s ? '[^]' : '[^\\n]');
    else if (this.#take(/\^/y)) this.#assert(group.flags.m ? '(?<![^\\n])' : '^');
    else if (this.#take(/\$/y)) this.#assert(group.flags.m ? '(?![^\\n])' : '$');
    else if (!this.#repetition()) {
      this.#write(point(this.#take(/./suy)?.[0].codePointAt(0) ?? 0));
    }
  }

  #repetition(): boolean {
    const match = this.#take(/[*+?]\??|\{(\d+)(?:(,)(\d*))?\}\??/y);
    if (match === null) return false;
    const [text, low, , high] = match;
    const count = Math.max(Number(low ?? 1), Number(high ?? 1));
    const product = Math.max(1, count) * this.#last;
    if (product > REPEAT_MAX) throw new PatternError(`it repeats more than ${REPEAT_MAX} times`);
    this.#out += text;
    this.#last = product;
    this.#group.repeat = Math.max(this.#group.repeat, product);
    return true;
  }

  #open(): void {
    if (this.#take(/\?<?[=!]/y)) throw new PatternError(LOOKAROUND);
    if (this.#take(/\?P[=>]/y)) throw new PatternError(BACKREFERENCE);
    const { flags } = this.#group;
    const named = this.#take(/\?P<\w+>/y);
    const flagged = named === null ? this.#take(/\?([imsU]*)(?:(-)([imsU]+))?([:)])/y) : null;
    if (flagged === null) {
      if (named === null && this.#text[this.#at] === '?') {
        throw new PatternError('RE2 has no such group');
      }
      this.#out += '(?:';
      this.#groups.push({ flags, opened: [], repeat: 1 });
      return;
    }
    const [text, on = '', , off = '', end] = flagged;
    if (text === '?)') throw new PatternError('there is nothing to set in (?)');
    const set = (name: 'i' | 'm' | 's'): boolean =>
      !off.includes(name) && (flags[name] || on.includes(name));
    const changed = { i: set('i'), m: set('m'), s: set('s') };
    // Only case is left to JavaScript: its m and s know more line ends than RE2's.
    const wrapper = changed.i === flags.i ? '(?:' : changed.i ? '(?i:' : '(?-i:';
    this.#out += wrapper;
    if (end === ':') {
      this.#groups.push({ flags: changed, opened: [], repeat: 1 });
    } else {
      this.#group.opened.push(wrapper);
      this.#group.flags = changed;
    }
  }

  #close(): void {
    const { opened, repeat } = this.#group;
    this.#groups.pop();
    this.#group.repeat = Math.max(this.#group.repeat, repeat);
    this.#out += ')'.repeat(opened.length + 1);
    this.#last = repeat;
  }

  #escape(): void {
    if (this.#take(/Q/y)) {
      const [, quoted = ''] = this.#take(/(.*?)(?:\\E|$)/suy) ?? [];
      for (const one of quoted) this.#write(point(one.codePointAt(0) ?? 0));
    } else if (this.#take(/A/y)) this.#assert('^');
    else if (this.#take(/z/y)) this.#assert('$');
    else {
      const boundary = this.#take(/[bB]/y);
      if (boundary !== null) this.#assert(`\\${boundary[0]}`);
      else {
        const members = this.#members();
        this.#write(members === null ? point(this.#single()) : `[${members}]`);
      }
    }
  }

  /** After a backslash: the members of a class such as \d or \pL, or null. */
  #members(): string | null {
    const perl = this.#take(/[dDwWsS]/y);
    if (perl !== null) {
      const name = perl[0].toLowerCase();
      return membersOf(CLASSES[name] ?? '', name !== perl[0]);
    }
    const unicode = this.#take(/([pP])(?:\{(\^?)(\w+)\}|([A-Z]))/y);
    if (unicode === null) return null;
    const [, p, caret, name = '', letter] = unicode;
    const not = (p === 'P') !== (caret === '^');
    const property = letter ?? (name.length <= 2 || name === 'Any' ? name : `Script=${name}`);
    return `\\${not ? 'P' : 'p'}{${property}}`;
  }

  /** After a backslash: the code of one character. */
  #single(): number {
    const hex = this.#take(/x(?:([\da-fA-F]{2})|\{([\da-fA-F]{1,6})\})/y);
    if (hex !== null) {
      const code = Number.parseInt(hex[1] ?? hex[2] ?? '', 16);
      if (code > 0x10ffff) throw new PatternError('there is no such character');
      return code;
    }
    const octal = this.#take(/0[0-7]{0,2}|[1-7][0-7]{1,2}/y);
    if (octal !== null) return Number.parseInt(octal[0], 8);
    if (this.#take(/\d/y)) throw new PatternError(BACKREFERENCE);
    const next = this.#take(/./suy)?.[0];
    if (next === undefined) throw new PatternError('a \\ ends it');
    const control = CONTROLS[next];
    if (control !== undefined) return control;
    if (/[a-z]|[^\0-\x7f]/iu.test(next)) throw new PatternError(`RE2 has no \\${next}`);
    return next.codePointAt(0) ?? 0;
  }

  /** After a bracket. */
  #class(): string {
    let out = this.#take(/\^/y) ? '[^' : '[';
    for (let first = true; first || !this.#take(/\]/y); first = false) {
      const named = this.#take(/\[:(\^?)(\w+):\]/y);
      if (named !== null) {
        const pairs = NAMED_CLASSES[named[2] ?? ''];
        if (pairs === undefined) throw new PatternError(`RE2 has no ${named[0]}`);
        out += membersOf(pairs, named[1] === '^');
        continue;
      }
      out += this.#range();
    }
    return `${out}]`;
  }

  #range(): string {
    const low = this.#classItem();
    if (typeof low === 'string' || !this.#take(/-(?!\])/y)) {
      return typeof low === 'string' ? low : point(low);
    }
    const high = this.#classItem();
    if (typeof high === 'string' || high < low) throw new PatternError('a range is the wrong way');
    return `${point(low)}-${point(high)}`;
  }

  #classItem(): string | number {
    if (this.#take(/\\/y)) return this.#members() ?? this.#single();
    const next = this.#take(/./suy)?.[0];
    if (next === undefined) throw new PatternError('a ] is missing');
    return next.codePointAt(0) ?? 0;
  }
}

function compile(pattern: string): RegExp {
  // A (?i) that begins the pattern is the common one, and older engines know only a flag of the whole.
  const leading = /^\(\?([imsU]+)\)/.exec(pattern);
  const on = leading?.[1] ?? '';
  const flags = { i: on.includes('i'), m: on.includes('m'), s: on.includes('s') };
  const source = new Translator(pattern.slice(leading?.[0].length ?? 0), flags).translate();
  return new RegExp(source, flags.i ? 'iu' : 'u');
}

const compiled = new Map<string, RegExp>();
const COMPILED_MAX = 256;

/** The JavaScript form of an RE2 pattern that checkPattern has let through. */
export function regexOf(pattern: string): RegExp {
  let regex = compiled.get(pattern);
  if (regex === undefined) {
    regex = compile(pattern);
    if (compiled.size >= COMPILED_MAX) compiled.clear();
    compiled.set(pattern, regex);
  }
  return regex;
}

/** Why RE2 would refuse a pattern, or null where it takes it. */
export function checkPattern(pattern: string): string | null {
  try {
    regexOf(pattern);
    return null;
  } catch (error) {
    if (error instanceof PatternError) return error.message;
    if (!(error instanceof SyntaxError)) throw error;
    // Invalid regular expression: /…/u: Nothing to repeat
    const reason = error.message.slice(error.message.lastIndexOf(': ') + 2);
    return reason.charAt(0).toLowerCase() + reason.slice(1);
  }
}
