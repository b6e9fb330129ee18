// How clients show who they are beside certificates, as it is configured: bearer tokens and JSON Web Tokens.

import type { Given } from './settings.ts';
import { listOf, unknownName, usage } from './values.ts';

/** Whose JSON Web Tokens are taken, and for whom they must be. */
export interface JwtSettings {
  readonly issuer: string;
  readonly audience: string;
  readonly algorithms: readonly string[];
  /** File of the issuer's public keys. */
  readonly keys: string;
  /** Name of the claim that lists groups. */
  readonly groupsClaim: string;
}

/** Those for which the verifier needs no secret. */
const ALGORITHMS = [
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
  ...['PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512'],
];
const NEEDED = ['jwt-issuer', 'jwt-audience', 'jwt-algorithm', 'jwt-keys'] as const;
const GROUPS_CLAIM = 'groups';

function checkAlgorithm(name: string): string {
  if (/^(HS\d+|none)$/i.test(name)) {
    throw usage(
      `--jwt-algorithm ${name}: whoever checks such a token can make one; name what the issuer signs with, such as ES256`,
    );
  }
  if (!ALGORITHMS.includes(name)) throw unknownName('--jwt-algorithm', name, ALGORITHMS);
  return name;
}

/** What settings say of JSON Web Tokens; null: none are taken. Throws TapioError('usage'). */
export function jwtOf(given: Given): JwtSettings | null {
  const groups = given['jwt-groups-claim'];
  const missing = NEEDED.filter((name) => listOf(given[name] ?? '').length === 0);
  if (missing.length === NEEDED.length && groups === undefined) return null;
  if (missing.length > 0) {
    throw usage(`JSON Web Tokens need all of an issuer’s settings: add --${missing.join(', --')}`);
  }
  const algorithms = listOf(given['jwt-algorithm']).map(checkAlgorithm);
  return {
    issuer: String(given['jwt-issuer']),
    audience: String(given['jwt-audience']),
    algorithms,
    keys: String(given['jwt-keys']),
    groupsClaim: groups === undefined ? GROUPS_CLAIM : String(groups),
  };
}
