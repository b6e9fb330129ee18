// Who holds a bearer token: the token's hash decides, for as long as its file says so.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { TapioError } from '../errors.ts';
import { COST, hashOf, nameOfToken, parseTokens, type TokenHash } from './bearer-token.ts';
import { Gate } from './gate.ts';
import type { Identity } from './identity.ts';
import { type Proof, Unproven, Watchers } from './standing.ts';
import { HeldFile, readTrusted } from './trusted-file.ts';

/** Hashing takes 16 MiB and a thread of the few that files are read with as well. */
const LIMITS = { atOnce: 2, most: 64, perPeer: 16 };

/** A token of the file. */
interface Known extends TokenHash {
  readonly watchers: Watchers;
  /** SHA-256 of the token, once one was found to be it: it need not be hashed dearly again. */
  digest: Buffer | null;
}

export interface TokensOptions {
  readonly path: string;
  /** The recorder's user. */
  readonly ownUid: number;
  readonly say: (text: string) => void;
}

const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest();

const isSame = (a: TokenHash, b: TokenHash): boolean =>
  a.hash.equals(b.hash) && a.salt.equals(b.salt);

/** The same sentence for each, so that it tells no names. */
const REFUSAL = 'the token is none of this recorder’s: ask whoever keeps its tokens for one';

/** The tokens that are known now. */
export class Tokens {
  readonly #file: HeldFile<ReadonlyMap<string, TokenHash>>;
  readonly #gate = new Gate(LIMITS);
  readonly #underWay = new Map<string, Promise<boolean>>();
  #known: ReadonlyMap<string, Known> = new Map();
  /** What an unknown name is held against. */
  #nobody = { cost: COST, salt: randomBytes(16) };

  private constructor(file: HeldFile<ReadonlyMap<string, TokenHash>>) {
    this.#file = file;
    this.#take();
  }

  /** Throws TapioError as readTrusted() and parseTokens() do. */
  static async open({ path, ownUid, say }: TokensOptions): Promise<Tokens> {
    const read = async (): Promise<ReadonlyMap<string, TokenHash>> =>
      parseTokens(await readTrusted({ path, what: 'tokens', ownUid, isSecret: true }), path);
    const before = 'what was read of it before';
    return new Tokens(await HeldFile.open({ path, read, before, say }));
  }

  /** Reads the file again; what runs by a token that is not in it any more ends. */
  async reload(): Promise<void> {
    if (await this.#file.reload()) this.#take();
  }

  /**
   * Whose token it is. Throws TapioError('unauthenticated') where it is nobody's, 'exhausted' where too many are to be looked
   * at. An unknown name takes as long as a wrong secret.
   */
  async prove(token: string, peer: string): Promise<Proof> {
    const name = nameOfToken(token);
    if (name === null) {
      throw new Unproven(
        'this is no token of a recorder: send one as tapio-record token NAME prints it, tapio_NAME_…',
      );
    }
    const identity: Identity = { kind: 'token', name };
    const known = this.#known.get(name);
    const digest = digestOf(token);
    const isRight =
      (known?.digest != null && timingSafeEqual(known.digest, digest)) ||
      (await this.#isRight(token, digest, known, peer));
    // The file may have been read again meanwhile.
    if (!isRight || known === undefined || this.#known.get(name) !== known) {
      throw new Unproven(REFUSAL, identity);
    }
    known.digest = digest;
    return { identity, watch: known.watchers.watch };
  }

  /** Hashes it; the same token of many calls at once, once. */
  #isRight(
    token: string,
    digest: Buffer,
    known: Known | undefined,
    peer: string,
  ): Promise<boolean> {
    const key = digest.toString('base64');
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) return underWay;
    const begun = this.#gate
      .pass(peer, async () => {
        const hash = await hashOf(token, known ?? this.#nobody);
        return timingSafeEqual(hash, known?.hash ?? Buffer.alloc(hash.length));
      })
      .finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, begun);
    return begun;
  }

  /** Makes the file's tokens the known ones; those that it had before stay as they were. */
  #take(): void {
    const before = this.#known;
    this.#known = new Map(
      [...this.#file.value].map(([name, token]) => {
        const known = before.get(name);
        if (known !== undefined && isSame(known, token)) return [name, known];
        return [name, { ...token, watchers: new Watchers(), digest: null }];
      }),
    );
    const [first] = this.#known.values();
    this.#nobody = { cost: first?.cost ?? COST, salt: randomBytes(16) };
    // What is being found out is of the file before.
    this.#underWay.clear();
    for (const [name, known] of before) {
      if (this.#known.get(name) === known) continue;
      known.watchers.end(
        new TapioError(
          'unauthenticated',
          `the token ${name} was taken out: ask whoever keeps the recorder’s tokens for another`,
        ),
      );
    }
  }
}
