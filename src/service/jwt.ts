// Whom a JSON Web Token is about, once its signature and claims are what they must be. TOKENS.md says it for people.

import { errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { JwtSettings } from '../config/identities.ts';
import { TapioError } from '../errors.ts';
import { Gate } from './gate.ts';
import type { Identity } from './identity.ts';
import { keysOf } from './jwt-keys.ts';
import { type Proof, Unproven, type Watch, Watchers } from './standing.ts';
import { HeldFile, readTrusted } from './trusted-file.ts';

/** Clocks differ, s. */
const LEEWAY_S = 10;
const NAME_CHARS_MAX = 256;
const GROUPS_MAX = 1000;
/** Checking one takes some 0.2 ms of a thread. */
const LIMITS = { atOnce: 2, most: 512, perPeer: 128 };
/** How often it is looked whether one has expired, at least: the clock may be set, ms. */
const LOOK_MS_MAX = 60_000;

export interface JwtOptions {
  readonly settings: JwtSettings;
  /** The recorder's user. */
  readonly ownUid: number;
  readonly say: (text: string) => void;
}

interface Keys {
  readonly text: string;
  readonly find: JWTVerifyGetKey;
}

const ANOTHER = 'get another from its issuer';

const CLAIMS: Readonly<Record<string, string>> = {
  iss: 'is not of the issuer that this recorder trusts',
  aud: 'is not meant for this recorder (aud)',
  nbf: 'does not hold yet (nbf)',
  exp: 'says no time at which it expires (exp)',
  sub: 'does not say whom it is about (sub)',
};

const isName = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= NAME_CHARS_MAX;

/** What is wrong with a token, for its holder; nothing that is not in the token itself. */
function refusalOf(error: unknown): TapioError {
  if (error instanceof errors.JWTExpired) {
    return new Unproven(`the token has expired: ${ANOTHER}`, claimedBy(error.payload));
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    const what = CLAIMS[error.claim] ?? `has a claim that is not right (${error.claim})`;
    return new Unproven(`the token ${what}: ${ANOTHER}`, claimedBy(error.payload));
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return new Unproven(`the token is not signed with an algorithm that is taken here: ${ANOTHER}`);
  }
  if (error instanceof errors.JWKSMultipleMatchingKeys) {
    return new Unproven('the token does not say which key signed it (kid), and several could have');
  }
  const isUnsigned =
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JWKSNoMatchingKey;
  if (isUnsigned) return new Unproven(`no key that is trusted here signed the token: ${ANOTHER}`);
  // Whatever else it cannot read is not readable.
  return new Unproven(`this is no JSON Web Token that can be read: ${ANOTHER}`);
}

/** Whom a token was about whose signature is right. */
const claimedBy = ({ sub }: JWTPayload): Identity | null =>
  isName(sub) ? { kind: 'jwt', subject: sub, groups: [], claims: {} } : null;

/** Calls back at a time of the clock; gives what stops that. */
function at(ms: number, then: () => void): () => void {
  let timer: NodeJS.Timeout;
  const look = (): void => {
    const left = ms - Date.now();
    if (left <= 0) then();
    else timer = setTimeout(look, Math.min(left, LOOK_MS_MAX));
  };
  timer = setTimeout(look, 0);
  return () => clearTimeout(timer);
}

/** Takes the tokens of one issuer. */
export class JwtVerifier {
  readonly #settings: JwtSettings;
  readonly #file: HeldFile<Keys>;
  readonly #gate = new Gate(LIMITS);
  #watchers = new Watchers();

  private constructor(settings: JwtSettings, file: HeldFile<Keys>) {
    this.#settings = settings;
    this.#file = file;
  }

  /** Throws TapioError as readTrusted() and keysOf() do. */
  static async open({ settings, ownUid, say }: JwtOptions): Promise<JwtVerifier> {
    const { keys: path, algorithms } = settings;
    const read = async (): Promise<Keys> => {
      const what = 'public keys';
      const text = await readTrusted({ path, what, ownUid, isSecret: false });
      return { text, find: keysOf(text, algorithms, path) };
    };
    const before = 'what was read of it before';
    return new JwtVerifier(settings, await HeldFile.open({ path, read, before, say }));
  }

  /** Reads the keys again; where they have changed, what runs by a token begins anew. */
  async reload(): Promise<void> {
    const { text } = this.#file.value;
    await this.#file.reload();
    if (this.#file.value.text === text) return;
    const before = this.#watchers;
    this.#watchers = new Watchers();
    before.end(
      new TapioError(
        'not_running',
        'the keys of JSON Web Tokens have changed: begin anew, with the resume token where there is one',
      ),
    );
  }

  /**
   * Whom a token is about. Throws TapioError('unauthenticated') where that is not sure, 'exhausted' where too many are to be
   * looked at.
   */
  async prove(token: string, peer: string): Promise<Proof> {
    const { issuer, audience, algorithms, groupsClaim } = this.#settings;
    const watchers = this.#watchers;
    const { find } = this.#file.value;
    const payload = await this.#gate.pass(peer, async () => {
      try {
        const options = {
          issuer,
          audience,
          algorithms: [...algorithms],
          clockTolerance: LEEWAY_S,
          requiredClaims: ['exp', 'sub'],
        };
        return (await jwtVerify(token, find, options)).payload;
      } catch (error) {
        throw refusalOf(error);
      }
    });
    const { sub, exp } = payload;
    if (!isName(sub) || exp === undefined) {
      throw new Unproven(`the token does not say whom it is about (sub): ${ANOTHER}`);
    }
    const groups = groupsIn(payload[groupsClaim]);
    if (groups === null) {
      throw new Unproven(
        `the token’s ${groupsClaim} are no list of names: ${ANOTHER}`,
        claimedBy(payload),
      );
    }
    const identity: Identity = { kind: 'jwt', subject: sub, groups, claims: payload };
    return { identity, watch: untilExpiry(watchers, (exp + LEEWAY_S) * 1000) };
  }
}

const untilExpiry =
  (watchers: Watchers, ms: number): Watch =>
  (ended) => {
    const forget = watchers.watch(ended);
    const stop = at(ms, () => {
      forget();
      ended(new Unproven(`the token has expired: ${ANOTHER}, and go on with the resume token`));
    });
    return () => {
      forget();
      stop();
    };
  };

/** The names of a claim that holds groups; null where it holds something else. */
function groupsIn(claim: unknown): readonly string[] | null {
  if (claim === undefined || claim === null) return [];
  return Array.isArray(claim) && claim.length <= GROUPS_MAX && claim.every(isName) ? claim : null;
}
