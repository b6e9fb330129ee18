// Texts for filters that are none, or hardly.

import fc from 'fast-check';
import { EVENT_TYPES } from '../../schemas/arrow.ts';
import { expressionOf } from './expressions.ts';

const TOKENS = [
  ...['pid', 'ts', 'comm', 'type', 'network', 'process', 'syscall', '.dport', '.args', '.daddr'],
  ...['==', '!=', '<', '<=', '>', '>=', '+', '-', '*', '/', '%', '&&', '||', '!', '?', ':', ','],
  ...['(', ')', '[', ']', '{', '}', '.', ' in ', 'true', 'null', '0', '1', '5u', '0xff', '1.5'],
  ...['1e9', '18446744073709551615', '"a"', "'b'", 'r"\\d"', 'b"x"', '"""c"""', '"\\x41"', ' '],
  ...['has(', 'size(', 'duration("1s")', 'timestamp("2026-11-22T18:00:00Z")', 'cidr("::/0")'],
  ...['.exists(a, ', '.all(a, ', '.matches(', '.startsWith(', '.containsIP(', '.size()', ' a '],
  ...['"(?i)[[:alpha:]]\\\\pL{2,3}"', '__proto__', 'constructor', '.toString', '\n', '//', '\\'],
];

const good = fc
  .constantFrom(...EVENT_TYPES)
  .chain((type) => expressionOf(type).map(({ ours }) => ours));

/** A good expression that something was done to: a part lost, doubled, moved, or replaced. */
const mutated = fc
  .record({
    text: good,
    edits: fc.array(
      fc.record({
        at: fc.nat(300),
        length: fc.nat(8),
        with: fc.oneof(fc.constantFrom(...TOKENS), fc.string({ unit: 'binary', maxLength: 3 })),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  })
  .map(({ text, edits }) =>
    edits.reduce((sum, edit) => {
      const at = edit.at % (sum.length + 1);
      return sum.slice(0, at) + edit.with + sum.slice(at + edit.length);
    }, text),
  );

const WORDS = /"(?:\\.|[^"\\])*"|[A-Za-z_][\w.]*|[\d.]+|\s+|&&|\|\||[=!<>]=|./gsu;

const KINDS = [
  /^"/,
  /^\d/,
  /^[a-z_]+\.[a-z_]+$/,
  /^[A-Za-z_]/,
  /^([=!]=|[<>]=?)$/,
  /^(&&|\|\|)$/,
  /^[-+*/%]$/,
  /^[([{]$/,
  /^[)\]}]$/,
  /^\s/,
];

/** What kind of word it is: others of its kind can take its place. */
const kindOf = (word: string): number => KINDS.findIndex((kind) => kind.test(word));

/** The same by whole words, so that the outcome often is an expression again: another one. */
const reworded = fc
  .record({
    text: good,
    other: good,
    edits: fc.array(fc.tuple(fc.nat(100), fc.nat(100), fc.nat(5)), { minLength: 1, maxLength: 3 }),
  })
  .map(({ text, other, edits }) => {
    const words = text.match(WORDS) ?? [];
    const others = [...words, ...(other.match(WORDS) ?? []), ...TOKENS];
    for (const [to, from, how] of edits) {
      const at = to % (words.length + 1);
      const word = words[at] ?? '';
      const alike = others.filter((one) => kindOf(one) === kindOf(word));
      if (how === 0) words.splice(at, 1);
      else if (how === 1) words.splice(at, 0, ...words.slice(at, at + (from % 20)));
      else words.splice(at, 1, alike[from % alike.length] ?? word);
    }
    return words.join('');
  });

/** Text that nobody would take for a filter, or words of the language in any order. */
export const randomFilter = fc.oneof(
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
  {
    weight: 3,
    arbitrary: fc.array(fc.constantFrom(...TOKENS), { maxLength: 20 }).map((t) => t.join('')),
  },
);

/** A good expression that was changed: now and then it is good still. */
export const changedFilter = fc.oneof(mutated, reworded);
