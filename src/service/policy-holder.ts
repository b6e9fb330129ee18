// The file with the policy, as it is read and read again while the service runs.

import { Policy } from './policy.ts';
import { parsePolicy } from './policy-file.ts';
import { HeldFile, readTrusted } from './trusted-file.ts';

/**
 * Reads a policy's file. Throws TapioError: 'usage' as parsePolicy(), and as readTrusted() where others than
 * root and `ownUid` can write it, or it cannot be read.
 */
export async function readPolicy(path: string, ownUid: number): Promise<Policy> {
  const text = await readTrusted({ path, what: 'a policy', ownUid, isSecret: false });
  return await parsePolicy(text, path);
}

/** The policy that holds now. */
export class PolicyHolder {
  readonly #file: HeldFile<Policy> | null;
  readonly #builtIn: Policy;
  readonly #say: (message: string) => void;

  private constructor(
    file: HeldFile<Policy> | null,
    builtIn: Policy,
    say: (message: string) => void,
  ) {
    this.#file = file;
    this.#builtIn = builtIn;
    this.#say = say;
  }

  /** Begins with a file, or with the built-in policy where `path` is null. Throws as readPolicy(). */
  static async open(
    path: string | null,
    ownUid: number,
    say: (message: string) => void,
  ): Promise<PolicyHolder> {
    const read = (): Promise<Policy> => readPolicy(path ?? '', ownUid);
    const before = 'the policy that was read before';
    const file = path === null ? null : await HeldFile.open({ path, read, before, say });
    return new PolicyHolder(file, Policy.builtIn(ownUid), say);
  }

  /** Another object after each reload that found a policy: a grant of the one before no longer counts. */
  get policy(): Policy {
    return this.#file?.value ?? this.#builtIn;
  }

  /** As HeldFile.reload(). */
  reload(): Promise<boolean> {
    if (this.#file !== null) return this.#file.reload();
    this.#say('there is no policy file to read again: the built-in policy goes on');
    return Promise.resolve(false);
  }
}
