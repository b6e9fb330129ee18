// JSON Web Tokens of a test's own, by an issuer of its own.

import { writeFileSync } from 'node:fs';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';

export const ISSUER = 'https://issuer.test';
export const AUDIENCE = 'recorder.test';

export type Claims = Readonly<Record<string, unknown>>;

export interface Issuer {
  readonly kid: string;
  /** The public key, as its set has it, and as PEM. */
  readonly jwk: object;
  readonly pem: string;
  readonly key: CryptoKey;
  /** A token with these claims over those of a good one, which holds for a minute; undefined takes one out. */
  token(claims?: Claims, header?: Readonly<Record<string, unknown>>): Promise<string>;
}

const nowS = (): number => Math.floor(Date.now() / 1000);

/** An issuer with a key of this algorithm. */
export async function issuerOf(alg = 'ES256', kid = 'first'): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const token: Issuer['token'] = async (claims = {}, header = {}) => {
    const good = { iss: ISSUER, aud: AUDIENCE, sub: 'ann', iat: nowS(), exp: nowS() + 60 };
    const whole = Object.entries({ ...good, ...claims }).filter(([, value]) => value !== undefined);
    return await new SignJWT(Object.fromEntries(whole))
      .setProtectedHeader({ alg, kid, typ: 'JWT', ...header })
      .sign(privateKey);
  };
  const jwk = { ...(await exportJWK(publicKey)), kid, use: 'sig' };
  return { kid, jwk, pem: await exportSPKI(publicKey), key: privateKey, token };
}

/** Writes the keys of issuers as a JSON Web Key Set. */
export function writeKeys(path: string, ...issuers: readonly Issuer[]): void {
  writeFileSync(path, JSON.stringify({ keys: issuers.map(({ jwk }) => jwk) }), { mode: 0o600 });
}
