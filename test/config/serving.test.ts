// Where is served and to whom: what goes together, and what is refused with what to do.

import { expect, test } from 'vitest';
import { isLoopback, servingOf } from '../../src/config/serving.ts';
import type { Given } from '../../src/config/settings.ts';
import { TapioError } from '../../src/errors.ts';

const TLS = { 'tls-cert': 'c', 'tls-key': 'k' };
const TOKENS = { tokens: 't', policy: 'p' };
const JWT = { 'jwt-issuer': 'i', 'jwt-audience': 'a', 'jwt-algorithm': 'ES256', 'jwt-keys': 'f' };
const INSECURE = { 'insecure-loopback': true, listen: '127.0.0.1:1' };

test('TCP is served over TLS, to this host alone without it where that is said', () => {
  const both = { listen: '127.0.0.1:1,[::1]:2,localhost:3,10.0.0.1:4,unix:s', ...TLS, ...TOKENS };
  const kinds = (given: Given): string[] => servingOf(given).listen?.map(({ kind }) => kind) ?? [];
  expect(kinds(both)).toEqual(['tls', 'tls', 'tls', 'tls', 'unix']);
  expect(kinds({ ...both, 'insecure-loopback': 'true' })).toEqual([
    ...['loopback', 'loopback', 'loopback', 'tls', 'unix'],
  ]);
  expect(servingOf({ ...INSECURE, ...TOKENS }).tls).toBeNull();
});

test('a certificate is asked of clients that have nothing else to show', () => {
  const listen = 'h:1';
  expect(servingOf({ listen, ...TLS, ...TOKENS }).tls?.clientCa).toBeNull();
  expect(servingOf({ listen, ...TLS, ...TOKENS, 'tls-client-ca': 'ca' }).tls?.clientCa).toBe('ca');
});

test('an issuer’s settings, and the claim with its groups', () => {
  const { jwt } = servingOf({ ...JWT, policy: 'p', 'jwt-algorithm': 'ES256, EdDSA' });
  expect(jwt).toEqual({
    issuer: 'i',
    audience: 'a',
    algorithms: ['ES256', 'EdDSA'],
    keys: 'f',
    groupsClaim: 'groups',
  });
  const given = { ...JWT, policy: 'p', 'jwt-groups-claim': 'roles' };
  expect(servingOf(given).jwt?.groupsClaim).toBe('roles');
});

test.each<[Given, RegExp]>([
  [{ listen: 'h:1' }, /over TLS alone: add --tls-cert, --tls-key, --tls-client-ca/],
  [{ listen: 'h:1', ...TLS }, /add --tls-client-ca/],
  [{ listen: 'h:1', ...TOKENS }, /add --tls-cert, --tls-key$/],
  [{ ...INSECURE, ...TLS, ...TOKENS }, /are for --listen HOST:PORT/],
  [{ ...TOKENS, 'insecure-loopback': true }, /is for --listen 127\.0\.0\.1:PORT/],
  [{ ...TOKENS, ...TLS, 'insecure-loopback': true, listen: '10.0.0.1:1' }, /is for --listen 127/],
  [{ ...INSECURE, policy: 'p' }, /add --tokens FILE or --jwt-issuer/],
  [{ ...TOKENS, ...INSECURE, listen: '0.0.0.0:1' }, /over TLS alone/],
  [{ ...TOKENS, ...INSECURE, listen: '127.evil.test:1' }, /over TLS alone/],
  [{ tokens: 't' }, /add --policy FILE/],
  [JWT, /add --policy FILE/],
  [{ policy: 'p', 'jwt-issuer': 'i' }, /add --jwt-audience, --jwt-algorithm, --jwt-keys/],
  [{ policy: 'p', 'jwt-groups-claim': 'g' }, /add --jwt-issuer/],
  [{ ...JWT, policy: 'p', 'jwt-issuer': '' }, /add --jwt-issuer/],
  ...['HS256', 'hs512', 'none', 'None', 'ES256,HS256'].map((name): [Given, RegExp] => [
    { ...JWT, policy: 'p', 'jwt-algorithm': name },
    /whoever checks such a token can make one; name .* ES256/,
  ]),
  [{ ...JWT, policy: 'p', 'jwt-algorithm': 'ES255' }, /did you mean ES256/],
  [{ ...JWT, policy: 'p', 'jwt-algorithm': ',' }, /add --jwt-algorithm/],
])('%j: one sentence with the remedy', (given, said) => {
  expect(() => servingOf(given)).toThrow(TapioError);
  expect(() => servingOf(given)).toThrow(said);
});

test('loopback is what no other host reaches', () => {
  for (const host of ['127.0.0.1', '127.255.0.9', '::1', '0:0:0:0:0:0:0:1', 'localhost']) {
    expect([host, isLoopback(host)]).toEqual([host, true]);
  }
  const others = ['0.0.0.0', '::', '::2', '1::1', '128.0.0.1', '127.1', '127.evil.test', 'a', ''];
  for (const host of [...others, '::ffff:127.0.0.1', 'localhost.test']) {
    expect([host, isLoopback(host)]).toEqual([host, false]);
  }
});
