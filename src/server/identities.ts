// What makes sure of callers beside their connections: the files of tokens and keys, read again when they may have changed.

import type { JwtSettings } from '../config/identities.ts';
import type { JwtVerifier } from '../service/jwt.ts';
import type { Tokens } from '../service/tokens.ts';

export interface IdentitySettings {
  /** File of the bearer tokens' hashes; null: none are taken. */
  readonly tokens: string | null;
  /** Null: no JSON Web Tokens are taken. */
  readonly jwt: JwtSettings | null;
}

export interface Identities {
  readonly tokens: Tokens | null;
  readonly jwt: JwtVerifier | null;
}

/** Reads what there is; what is not used is not loaded. Throws TapioError for files that cannot be used. */
export async function openIdentities(
  settings: IdentitySettings,
  ownUid: number,
  say: (text: string) => void,
): Promise<Identities> {
  const openTokens = async (path: string): Promise<Tokens> => {
    const { Tokens } = await import('../service/tokens.ts');
    return await Tokens.open({ path, ownUid, say });
  };
  const openJwt = async (jwt: JwtSettings): Promise<JwtVerifier> => {
    const { JwtVerifier } = await import('../service/jwt.ts');
    return await JwtVerifier.open({ settings: jwt, ownUid, say });
  };
  return {
    tokens: settings.tokens === null ? null : await openTokens(settings.tokens),
    jwt: settings.jwt === null ? null : await openJwt(settings.jwt),
  };
}
