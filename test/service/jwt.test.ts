// JSON Web Tokens: whose are taken, and all that is not one.

import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { exportJWK } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { JwtSettings } from '../../src/config/identities.ts';
import { TapioError } from '../../src/errors.ts';
import { groupsOf, shownName } from '../../src/service/identity.ts';
import { JwtVerifier } from '../../src/service/jwt.ts';
import { keysOf } from '../../src/service/jwt-keys.ts';
import { Unproven } from '../../src/service/standing.ts';
import { AUDIENCE, type Claims, ISSUER, type Issuer, issuerOf, writeKeys } from '../support/jwt.ts';
import { temporaryDirectory } from '../support/recording.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);

let directory: ReturnType<typeof temporaryDirectory>;
let keys = '';
let said: string[] = [];
let issuer: Issuer;
beforeEach(async () => {
  directory = temporaryDirectory();
  keys = join(directory.path, 'keys.json');
  said = [];
  issuer = await issuerOf();
  writeKeys(keys, issuer);
});
afterEach(() => directory.remove());

const ownUid = process.geteuid?.() ?? 0;
const open = (more: Partial<JwtSettings> = {}): Promise<JwtVerifier> =>
  JwtVerifier.open({
    settings: {
      ...{ issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'], groupsClaim: 'groups', keys },
      ...more,
    },
    ownUid,
    say: (text) => said.push(text),
  });

const failureOf = (asked: Promise<unknown>): Promise<TapioError> =>
  asked.then(
    () => {
      throw new Error('it was let in');
    },
    (error) => error,
  );

const base64 = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const nowS = (): number => Math.floor(Date.now() / 1000);

test('whom it is about, and the groups that its issuer says', async () => {
  const verifier = await open();
  const { identity } = await verifier.prove(await issuer.token({ groups: ['a', 'b'] }), 'here');
  expect([shownName(identity), groupsOf(identity)]).toEqual(['sub:ann', ['a', 'b']]);
  const others = await open({ groupsClaim: 'roles' });
  const token = await issuer.token({ groups: ['a'], roles: ['c'], aud: ['x', AUDIENCE] });
  expect(groupsOf((await others.prove(token, 'here')).identity)).toEqual(['c']);
});

const minute = 60;
test.each<[string, Claims, RegExp, string | null]>([
  ['expired', { exp: nowS() - minute }, /has expired/, 'sub:ann'],
  ['not valid yet', { nbf: nowS() + 10 * minute }, /does not hold yet/, 'sub:ann'],
  ['another issuer', { iss: 'https://other.test' }, /not of the issuer/, 'sub:ann'],
  ['no issuer', { iss: undefined }, /not of the issuer/, 'sub:ann'],
  ['another audience', { aud: 'other' }, /not meant for this recorder/, 'sub:ann'],
  ['no audience', { aud: undefined }, /not meant for this recorder/, 'sub:ann'],
  ['no subject', { sub: undefined }, /whom it is about/, null],
  ['an empty subject', { sub: '' }, /whom it is about/, null],
  ['a subject that is no text', { sub: 7 }, /whom it is about/, null],
  ['a long subject', { sub: 'x'.repeat(257) }, /whom it is about/, null],
  ['no expiry', { exp: undefined }, /no time at which it expires/, 'sub:ann'],
  ['an expiry that is no number', { exp: 'never' }, /expires/, 'sub:ann'],
  ['groups as one text', { groups: 'admins' }, /groups are no list of names/, 'sub:ann'],
  ['groups that are no names', { groups: ['a', 1] }, /groups are no list of names/, 'sub:ann'],
])('%s: refused in one sentence', async (_what, claims, said, claimed) => {
  const verifier = await open();
  const error = await failureOf(verifier.prove(await issuer.token(claims), 'here'));
  expect(error).toBeInstanceOf(Unproven);
  expect([error.code, error.message]).toEqual(['unauthenticated', expect.stringMatching(said)]);
  const name = (error as Unproven).claimed;
  expect(name === null ? null : shownName(name)).toBe(claimed);
});

test('clocks may differ by a little', async () => {
  const verifier = await open();
  for (const claims of [{ exp: nowS() - 3 }, { nbf: nowS() + 3 }]) {
    await verifier.prove(await issuer.token(claims), 'here');
  }
});

test('the algorithm is the one that was named, whatever the token says', async () => {
  const rsa = await issuerOf('RS256', 'rsa');
  const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'ann', exp: nowS() + minute };
  const signedWith = (secret: string | Buffer, alg: string): string => {
    const text = `${base64({ alg, kid: rsa.kid })}.${base64(claims)}`;
    const hash = `sha${alg.slice(-3)}`;
    return `${text}.${createHmac(hash, secret).update(text).digest('base64url')}`;
  };
  const none = (alg: string): string => `${base64({ alg })}.${base64(claims)}.`;
  const pss = await issuerOf('PS256', 'rsa');
  for (const file of ['set', 'pem'] as const) {
    if (file === 'set') writeKeys(keys, rsa);
    else writeFileSync(keys, rsa.pem, { mode: 0o600 });
    const verifier = await open({ algorithms: ['RS256'] });
    expect((await verifier.prove(await rsa.token(), 'here')).identity.kind).toBe('jwt');
    const confused = [
      // Signed with what everybody can read.
      ...['HS256', 'HS384', 'HS512'].flatMap((alg) => [
        signedWith(rsa.pem, alg),
        signedWith(rsa.pem.trim(), alg),
        signedWith(JSON.stringify(rsa.jwk), alg),
        signedWith('', alg),
      ]),
      ...['none', 'None', 'NONE', 'nOnE', ''].map(none),
      await issuer.token(),
      await pss.token(),
      // A key of its own in its header.
      await pss.token({}, { jwk: await exportJWK(pss.key), alg: 'PS256' }),
    ];
    for (const token of confused) {
      const { code, message } = await failureOf(verifier.prove(token, 'here'));
      expect(code).toBe('unauthenticated');
      expect(message).toMatch(/algorithm|no key that is trusted|no JSON Web Token/);
    }
  }
});

test('keys that sign are those of the file', async () => {
  const [stranger, second] = [await issuerOf('ES256', 'first'), await issuerOf('ES256', 'second')];
  writeKeys(keys, issuer, second);
  const verifier = await open();
  for (const one of [issuer, second]) await verifier.prove(await one.token(), 'here');
  for (const token of [await stranger.token(), await second.token({}, { kid: 'third' })]) {
    expect((await failureOf(verifier.prove(token, 'here'))).message).toMatch(/no key that is trus/);
  }
  const nameless = await failureOf(verifier.prove(await second.token({}, { kid: undefined }), 'h'));
  expect(nameless.message).toMatch(/which key signed it/);
});

test('whatever is changed in a token, it is none any more', async () => {
  const verifier = await open();
  const token = await issuer.token();
  await fc.assert(
    fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(...'Aaz09-_.=~ '), async (i, c) => {
      // The last character of a part has bits that stand for nothing.
      const isLoose = token[i + 1] === '.' || i === token.length - 1;
      fc.pre(token[i] !== c && !isLoose);
      const changed = `${token.slice(0, i)}${c}${token.slice(i + 1)}`;
      expect((await failureOf(verifier.prove(changed, 'here'))).code).toBe('unauthenticated');
    }),
    { seed: SEED, numRuns: 300 },
  );
});

test('what is no token is told from it in bounded time', async () => {
  const verifier = await open();
  const texts = ['', '.', '..', '...', '....', 'a.b.c', `${base64('{')}.${base64('{}')}.x`];
  const long = 'A'.repeat(64 * 1024);
  const deep = '['.repeat(10_000);
  for (const text of [
    ...texts,
    long,
    `${long}.${long}.${long}`,
    `${base64(deep)}.${base64(deep)}.x`,
  ]) {
    const { code, message } = await failureOf(verifier.prove(text, 'here'));
    expect([code, message.length < 200]).toEqual(['unauthenticated', true]);
  }
});

test('a stream’s token expires', async () => {
  const verifier = await open();
  // Within what clocks may differ by it holds for a second more.
  const { watch } = await verifier.prove(await issuer.token({ exp: nowS() - 9 }), 'here');
  let forgotten = false;
  watch(() => {
    forgotten = true;
  })();
  const why = await new Promise<TapioError>((resolve) => watch(resolve));
  expect([why.code, why.message]).toEqual([
    'unauthenticated',
    expect.stringContaining('has expired'),
  ]);
  expect(forgotten).toBe(false);
});

test('keys that are read again end what ran by those before; a broken file does not', async () => {
  const verifier = await open();
  const ended: TapioError[] = [];
  const { watch } = await verifier.prove(await issuer.token(), 'here');
  watch((why) => ended.push(why));
  await verifier.reload();
  writeFileSync(keys, '{"keys": [');
  await verifier.reload();
  expect(said.join()).toMatch(/neither a JSON Web Key Set nor PEM.*goes on/s);
  expect(ended).toEqual([]);
  await verifier.prove(await issuer.token(), 'here');
  const next = await issuerOf('ES256', 'next');
  writeKeys(keys, next);
  await verifier.reload();
  expect(ended.map(({ code }) => code)).toEqual(['not_running']);
  expect((await failureOf(verifier.prove(await issuer.token(), 'here'))).code).toBe(
    'unauthenticated',
  );
  await verifier.prove(await next.token(), 'here');
});

test('a file of keys that cannot be right is refused', async () => {
  const whole = await exportJWK(issuer.key);
  const { jwk, pem } = issuer;
  const texts: [string, RegExp][] = [
    ['', /neither/],
    ['[]', /no JSON Web Key Set/],
    ['null', /no JSON Web Key Set/],
    ['{"keys": [1]}', /no JSON Web Key Set/],
    ['{"keys": []}', /has no key for ES256/],
    [JSON.stringify({ keys: [jwk, whole] }), /key 2 is a private key/],
    [JSON.stringify({ keys: [{ kty: 'oct', k: 'AAAA' }] }), /a shared secret/],
    [JSON.stringify({ keys: [{ ...jwk, x: 'AAAA' }] }), /key 1 is broken/],
    ['-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', /has a private key/],
    ['-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n', /no public key in PEM/],
    [pem + pem, /has several keys/],
    [(await issuerOf('RS256')).pem, /has no key for ES256/],
    [(await issuerOf('ES384')).pem, /has no key for ES256/],
  ];
  for (const [text, said] of texts) {
    expect(() => keysOf(text, ['ES256'], 'FILE')).toThrow(TapioError);
    expect(() => keysOf(text, ['ES256'], 'FILE')).toThrow(said);
  }
});
