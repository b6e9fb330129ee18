// Which secrets of command lines are masked before they are stored, as it is configured.

import type { Given } from './settings.ts';
import { usage } from './values.ts';

/** RE2, over bytes. Arguments are lines: see native/secrets.h. Its groups are masked; where it has none, all that matches. */
export interface MaskPattern {
  /** By which what was masked is counted. */
  readonly name: string;
  readonly pattern: string;
}

/** Names of values that are secrets, and what may stand behind that. */
const NAME = String.raw`[\w.-]*(?:passw(?:or)?d|passphrase|passcode|(?:\b|[-_.])pass(?:in|out)?|[-_.]pwd|(?-i:\bpwd|\bPwd)|secret|token|credentials?|api[-_.]?key|(?:access|secret|private|signing|encryption|shared|account|storage)[-_.]?key)(?:[-_.]?(?:key|value|id|json|base64|b64))?\d*`;
/** Where something begins within an argument; a line break is a NUL there. */
const BEGIN = String.raw`(?:^|[^\w.\n-])`;
/** A word as shells have them, with its quotes; one that is not closed goes on to the end. */
const QUOTED = String.raw`"[^"\n]*"?|'[^'\n]*'?`;
const REST = String.raw`(?:${QUOTED}|[^\s"'\x00])*`;
const WORD = String.raw`((?:${QUOTED}|[^\s"'\x00])${REST})`;
/** One that is not another flag. */
const VALUE = String.raw`((?:${QUOTED}|[^-\s"'\x00])${REST})`;
/** A program's name where a command line begins, as arguments and as a text for a shell. */
const program = (names: string): string => String.raw`\A(?:[^\n]*/)?(?:${names})\n(?:[^\n]*\n)*?`;
const command = (names: string): string => String.raw`\b(?:${names})[ \t](?:[^;|&\n\x00]*?[ \t])?`;

const SQL = String.raw`(?:mysql|mariadb)[\w-]*`;
const USER_FLAG = '(?:-[a-zA-Z]*[uU]|--user|--proxy-user)';

/** What is masked where nobody says otherwise, by name. */
export const MASK_DEFAULTS: readonly MaskPattern[] = [
  {
    name: 'assignment',
    pattern: String.raw`(?im)^${NAME}["']?[ \t]*[:=][ \t]*(.+)|${BEGIN}-{0,2}${NAME}["']?[ \t]*[:=][ \t]*${WORD}`,
  },
  {
    name: 'flag',
    pattern: String.raw`(?im)^-${NAME}\n((?:-?[^-\n]|-----).*)|${BEGIN}-${NAME}[ \t\x00]+${VALUE}`,
  },
  {
    name: 'url',
    pattern: String.raw`(?i)[a-z][a-z0-9+.-]*://[^\s/?#@:"'\x00]*:([^\s/?#"'\x00]+)@`,
  },
  {
    name: 'header',
    pattern: String.raw`(?i)\b(?:proxy-)?authorization["']?[ \t]*[:=][ \t]*["']?(?:(?:bearer|basic|digest|token|negotiate|apikey|aws4-hmac-sha256)[ \t]+)?([^"'\n]+)|\b(?:set-)?cookie["']?[ \t]*:[ \t]*["']?([^"'\n]+)|\bbearer[ \t\n]+([\w.~+/=-]{8,})`,
  },
  {
    name: 'key',
    pattern: String.raw`\b(?:AKIA|ASIA)[A-Z0-9]{8,}|\bgh[pousr]_\w{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}|\bxox[a-z]-[\w-]{8,}|\bsk-[\w-]{16,}|\b[rs]k_(?:live|test)_\w{8,}|\bAIza[\w-]{20,}|\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?|-----BEGIN [A-Z ]*PRIVATE KEY-----([^\n]*)`,
  },
  {
    name: 'program',
    pattern: [
      String.raw`${program('curl')}${USER_FLAG}[\n=]?[^\n:]*:([^\n]*)`,
      String.raw`${command('curl')}${USER_FLAG}[ \t=]*["']?[^\s:"'\x00]*:([^\s"'\x00]+)`,
      String.raw`${program(SQL)}-p([^\n]+)`,
      `${command(SQL)}-p${WORD}`,
      String.raw`${program('sshpass')}-p\n?([^\n]+)`,
      String.raw`${command('sshpass')}-p[ \t]*${WORD}`,
      String.raw`${program('redis-cli')}-a\n([^\n]+)`,
      String.raw`${command('redis-cli')}-a[ \t]+${WORD}`,
    ].join('|'),
  },
];

/** In the place of a pattern: those above are not for this recording. */
const NONE = 'none';

/** The patterns that a setting means: those above, where it does not say none, and its own, each once. */
export function maskOf({ mask }: Given): MaskPattern[] {
  // A pattern may have commas.
  const given = mask === undefined ? [] : [mask].flat().map(String);
  const own = [...new Set(given.filter((one) => one !== NONE))];
  if (own.includes('')) throw usage('--mask is empty: write a pattern, or none');
  return [
    ...(given.includes(NONE) ? [] : MASK_DEFAULTS),
    ...own.map((pattern) => ({ name: pattern, pattern })),
  ];
}
