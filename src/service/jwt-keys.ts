// The public keys of an issuer of JSON Web Tokens, from a file: a JSON Web Key Set, or one key as PEM.

import { createPublicKey, type KeyObject } from 'node:crypto';
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { usage } from '../config/values.ts';

/** What can sign with an algorithm, by the type of its key as Node names it, or its curve. */
function fits(
  algorithm: string,
  { asymmetricKeyType: type, asymmetricKeyDetails }: KeyObject,
): boolean {
  if (algorithm.startsWith('RS')) return type === 'rsa';
  if (algorithm.startsWith('PS')) return type === 'rsa' || type === 'rsa-pss';
  if (!algorithm.startsWith('ES')) return type === 'ed25519';
  const curves: Readonly<Record<string, string>> = {
    ES256: 'prime256v1',
    ES384: 'secp384r1',
    ES512: 'secp521r1',
  };
  return type === 'ec' && asymmetricKeyDetails?.namedCurve === curves[algorithm];
}

/** Refuses what nobody but the issuer, or nobody at all, should have here. */
function checkKey(jwk: Readonly<Record<string, unknown>>, where: string): KeyObject | null {
  if (jwk.kty === 'oct') throw usage(`${where} is a shared secret: whoever has it makes tokens`);
  if (jwk.d !== undefined) throw usage(`${where} is a private key: write the public one`);
  if (!['RSA', 'EC', 'OKP'].includes(String(jwk.kty))) return null;
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch (error) {
    throw usage(
      `${where} is broken (${(error as Error).message}): get the set from the issuer anew`,
    );
  }
}

function checkFits(
  keys: readonly (KeyObject | null)[],
  algorithms: readonly string[],
  path: string,
): void {
  if (keys.some((key) => key !== null && algorithms.some((one) => fits(one, key)))) return;
  throw usage(`${path} has no key for ${algorithms.join(', ')}: name the issuer’s keys`);
}

function pemKey(text: string, algorithms: readonly string[], path: string): JWTVerifyGetKey {
  if (text.includes('PRIVATE KEY')) {
    throw usage(`${path} has a private key: write the public one (openssl pkey -pubout)`);
  }
  if (text.split('-----BEGIN ').length > 2) {
    throw usage(`${path} has several keys: write them as a JSON Web Key Set, which names each`);
  }
  let key: KeyObject;
  try {
    key = createPublicKey(text);
  } catch (error) {
    throw usage(`${path} is no public key in PEM (${(error as Error).message})`);
  }
  checkFits([key], algorithms, path);
  return () => key;
}

/** What finds the key of a token. Throws TapioError('usage') for a file without a key that fits. */
export function keysOf(text: string, algorithms: readonly string[], path: string): JWTVerifyGetKey {
  if (text.includes('-----BEGIN ')) return pemKey(text, algorithms, path);
  let set: JSONWebKeySet;
  try {
    set = JSON.parse(text) as JSONWebKeySet;
  } catch {
    throw usage(`${path} is neither a JSON Web Key Set nor PEM: name the issuer’s public keys`);
  }
  const keys: unknown = (set as { keys?: unknown } | null)?.keys;
  const isSet = Array.isArray(keys) && keys.every((one) => one !== null && typeof one === 'object');
  if (!isSet) throw usage(`${path} is no JSON Web Key Set: it begins as {"keys": [`);
  checkFits(
    keys.map((jwk, i) => checkKey(jwk, `${path}: key ${i + 1}`)),
    algorithms,
    path,
  );
  return createLocalJWKSet(set);
}
