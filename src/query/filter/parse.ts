// Text to syntax tree. The grammar is CEL's, the parser a library's; limits are checked before it sees the
// text, and its errors become one sentence.

import type { ASTNode, ParseError } from '@marcbachmann/cel-js';
import type { Source } from './source.ts';

export type { ASTNode };

/** Longest expression, bytes of UTF-8. */
export const LENGTH_MAX = 4096;
/** Deepest nesting of brackets and operators; chains of && and || are one level. */
export const DEPTH_MAX = 64;

const TOO_DEEP = `this is nested more than ${DEPTH_MAX} deep`;

/** Refuses what is nested too deeply. */
export function refuseDepth(source: Source, at: number): never {
  return source.refuse(at, TOO_DEEP);
}

const TOKENS: Readonly<Record<string, string>> = {
  EOF: 'the end',
  NUMBER: 'a number',
  STRING: 'a string',
  BYTES: 'bytes',
  BOOLEAN: 'a literal',
  NULL: 'null',
  IDENTIFIER: 'a name',
  LPAREN: '(',
  RPAREN: ')',
  LBRACKET: '[',
  RBRACKET: ']',
  LBRACE: '{',
  RBRACE: '}',
  COLON: ':',
};

/** What people write, and what CEL has. */
const MEANT: Readonly<Record<string, string>> = {
  '=': '==',
  '&': '&&',
  and: '&&',
  '|': '||',
  or: '||',
};

// Comments and strings, as the parser reads them, then what nests.
const NESTING =
  /\/\/[^\n]*|"""(?:\\.|[^\\])*?"""|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n\r])*"|'(?:\\.|[^'\\\n\r])*'|[([{]|[)\]}]|(?:[!-]\s*){65,}/gs;

function checkLimits(source: Source): void {
  const { text } = source;
  if (text.trim() === '') source.refuse(0, 'the expression is empty');
  if (!text.isWellFormed()) source.refuse(0, 'the expression is not UTF-8');
  if (Buffer.byteLength(text) > LENGTH_MAX) {
    source.refuse(0, `the expression is longer than ${LENGTH_MAX / 1024} KiB`);
  }
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(NESTING)) {
    if ('([{'.includes(token)) depth++;
    else if (')]}'.includes(token)) depth--;
    if (depth > DEPTH_MAX || token.startsWith('!') || token.startsWith('-')) {
      refuseDepth(source, index);
    }
  }
}

function sentence(error: ParseError, text: string, start: number, end: number): string {
  const { code, summary } = error;
  const found = text.slice(start, end).trim();
  switch (code) {
    case 'unexpected_token':
    case 'expected_token': {
      const wanted = /^Expected (\w+)/.exec(summary)?.[1] ?? '';
      if (found === '') {
        return wanted === '' ? 'the expression ends too early' : `${TOKENS[wanted]} is missing`;
      }
      return wanted === ''
        ? `${found} is out of place`
        : `expected ${TOKENS[wanted]}, not ${found}`;
    }
    case 'unexpected_character': {
      const meant = Object.hasOwn(MEANT, found) ? MEANT[found] : undefined;
      return meant === undefined ? `${found} is out of place` : `write ${meant}, not ${found}`;
    }
    case 'invalid_integer':
    case 'invalid_hex_integer':
    case 'invalid_number':
      return `${found} is no number`;
    case 'reserved_identifier':
      return `${found} is a reserved word`;
    case 'invalid_macro_argument':
      return `${found} cannot be a variable: write a name, as in process.args.exists(a, a == "-c")`;
    case 'unterminated_string':
    case 'unterminated_triple_quoted_string':
      return 'the string does not end';
    case 'newline_in_string':
      return 'the line ends within a string: write \\n';
    case 'limit_exceeded':
      if (summary.includes('maxListElements')) return 'a list has at most 1,000 elements';
      return summary.includes('maxDepth') ? TOO_DEEP : 'the expression is too large';
    default:
      return summary.charAt(0).toLowerCase() + summary.slice(1);
  }
}

const isParseError = (error: unknown): error is ParseError =>
  error instanceof Error && error.name === 'ParseError';

/** Parses an expression; throws TapioError('usage') for what is none. */
export async function parse(source: Source): Promise<ASTNode> {
  checkLimits(source);
  const { parse } = await import('@marcbachmann/cel-js');
  try {
    return parse(source.text).ast;
  } catch (error) {
    if (!isParseError(error)) throw error;
    const { start, end } = error.range ?? { start: 0, end: source.text.length };
    return source.refuse(start, sentence(error, source.text, start, end));
  }
}
