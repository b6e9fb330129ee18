// Bearer tokens, and the lines of a file that know them by their hashes. TOKENS.md says it for people.

import { randomBytes, type ScryptOptions, scrypt } from 'node:crypto';
import { usage } from '../config/values.ts';

const SECRET_BYTES = 32;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** No stored hash may ask for more, bytes. */
const MEMORY_MAX = 64 << 20;
const TOKENS_MAX = 10_000;

/** Names begin and end with a letter or digit; an underscore would end them in a token. */
const NAME = '[A-Za-z0-9](?:[A-Za-z0-9.-]{0,62}[A-Za-z0-9])?';
const TOKEN = new RegExp(`^tapio_(${NAME})_[A-Za-z0-9_-]{43}$`);
const LINE = new RegExp(
  `^(${NAME})[ \\t]+\\$scrypt\\$ln=(\\d{1,2}),r=(\\d{1,2}),p=(\\d{1,2})\\$([A-Za-z0-9+/]{22,64})\\$([A-Za-z0-9+/]{43})$`,
);

/** What scrypt is told; `ln`: logarithm of its N. */
export interface Cost {
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

/** 16 MiB, some 30 ms: a token is 256 random bits, so no more is needed. */
export const COST: Cost = { ln: 14, r: 8, p: 1 };

/** A token as its file knows it. */
export interface TokenHash {
  readonly name: string;
  readonly cost: Cost;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** The name of a token by its form, or null. */
export function nameOfToken(token: string): string | null {
  return TOKEN.exec(token)?.[1] ?? null;
}

/** Throws TapioError('usage') for what is no name of a token. */
export function checkTokenName(name: string): void {
  if (new RegExp(`^${NAME}$`).test(name)) return;
  throw usage(
    `${name} is no name of a token: 1 to 64 letters, digits, dots and hyphens, as in grafana`,
  );
}

const memoryOf = ({ ln, r }: Cost): number => 128 * 2 ** ln * r;

/** What a token comes to; on another thread. */
export function hashOf(
  token: string,
  { cost, salt }: Pick<TokenHash, 'cost' | 'salt'>,
): Promise<Buffer> {
  const { ln, r, p } = cost;
  const options: ScryptOptions = { N: 2 ** ln, r, p, maxmem: memoryOf(cost) + (1 << 20) };
  return new Promise((resolve, reject) => {
    scrypt(token, salt, HASH_BYTES, options, (error, hash) => {
      if (error === null) resolve(hash);
      else reject(error);
    });
  });
}

const base64 = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '');

/** A new token of this name, and the line of a file that knows it. Throws as checkTokenName(). */
export async function makeToken(name: string): Promise<{ token: string; line: string }> {
  checkTokenName(name);
  const token = `tapio_${name}_${randomBytes(SECRET_BYTES).toString('base64url')}`;
  const salt = randomBytes(SALT_BYTES);
  const hash = await hashOf(token, { cost: COST, salt });
  const { ln, r, p } = COST;
  const line = `${name} $scrypt$ln=${ln},r=${r},p=${p}$${base64(salt)}$${base64(hash)}`;
  return { token, line };
}

function tokenOfLine(line: string, where: string): TokenHash {
  const [, name = '', ln, r, p, salt = '', hash = ''] = LINE.exec(line) ?? [];
  if (name === '') {
    throw usage(
      `${where}: this is no token’s line: write those that tapio-record token NAME prints`,
    );
  }
  const cost = { ln: Number(ln), r: Number(r), p: Number(p) };
  if (cost.ln < 10 || cost.r < 1 || cost.p < 1 || cost.p > 4 || memoryOf(cost) > MEMORY_MAX) {
    throw usage(
      `${where}: scrypt with ln=${ln}, r=${r}, p=${p}: ln is 10 or more, p up to 4, and 128 × 2^ln × r bytes are 64 MiB at most`,
    );
  }
  return { name, cost, salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') };
}

/** The tokens of a file's text, by name. Throws TapioError('usage') with the line of what it does not understand. */
export function parseTokens(text: string, path: string): ReadonlyMap<string, TokenHash> {
  const tokens = new Map<string, TokenHash>();
  for (const [i, whole] of text.split('\n').entries()) {
    const line = whole.trim();
    if (line === '' || line.startsWith('#')) continue;
    const where = `${path}:${i + 1}`;
    const token = tokenOfLine(line, where);
    if (tokens.has(token.name)) {
      throw usage(`${where}: there is a token ${token.name} already: give this one another name`);
    }
    if (tokens.size >= TOKENS_MAX) throw usage(`${where}: a file has up to ${TOKENS_MAX} tokens`);
    tokens.set(token.name, token);
  }
  return tokens;
}
