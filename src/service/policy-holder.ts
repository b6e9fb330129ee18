// The file with the policy, as it is read and read again while the service runs.

import { constants, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { usage } from '../config/values.ts';
import { systemCode, TapioError } from '../errors.ts';
import { Policy } from './policy.ts';
import { parsePolicy } from './policy-file.ts';

const FILE_BYTES_MAX = 1 << 20;

/** Whoever can write the file decides who may read. */
function checkOwner(path: string, { mode, uid }: Stats, ownUid: number): void {
  if (uid !== 0 && uid !== ownUid) {
    throw new TapioError('not_permitted', `${path} belongs to uid ${uid}: chown root '${path}'`);
  }
  if ((mode & 0o022) !== 0) {
    throw new TapioError('not_permitted', `${path} can be written by others: chmod go-w '${path}'`);
  }
}

async function textOf(file: FileHandle, path: string, ownUid: number): Promise<string> {
  const stats = await file.stat();
  if (!stats.isFile()) throw usage(`${path} is no file: name one with a policy`);
  checkOwner(path, stats, ownUid);
  if (stats.size > FILE_BYTES_MAX) throw usage(`${path} is too large: a policy has up to 1 MiB`);
  return await file.readFile('utf8');
}

/**
 * Reads a policy's file. Throws TapioError: 'usage' as parsePolicy(), 'not_permitted' where others than
 * root and `ownUid` can write it, 'io' where it cannot be read.
 */
export async function readPolicy(path: string, ownUid: number): Promise<Policy> {
  let file: FileHandle;
  try {
    // What is no file must not be waited for.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new TapioError(
      'io',
      `${path} cannot be read (${systemCode(error)}): name a file that can`,
    );
  }
  try {
    return await parsePolicy(await textOf(file, path, ownUid), path);
  } finally {
    await file.close();
  }
}

/** The policy that holds now. */
export class PolicyHolder {
  readonly #path: string | null;
  readonly #ownUid: number;
  readonly #say: (message: string) => void;
  #policy: Policy;
  #last: Promise<boolean> = Promise.resolve(true);

  private constructor(
    policy: Policy,
    path: string | null,
    ownUid: number,
    say: (message: string) => void,
  ) {
    this.#policy = policy;
    this.#path = path;
    this.#ownUid = ownUid;
    this.#say = say;
  }

  /** Begins with a file, or with the built-in policy where `path` is null. Throws as readPolicy(). */
  static async open(
    path: string | null,
    ownUid: number,
    say: (message: string) => void,
  ): Promise<PolicyHolder> {
    const policy = path === null ? Policy.builtIn(ownUid) : await readPolicy(path, ownUid);
    return new PolicyHolder(policy, path, ownUid, say);
  }

  /** Another object after each reload that found a policy: a grant of the one before no longer counts. */
  get policy(): Policy {
    return this.#policy;
  }

  /**
   * Reads the file again, and says what came of it; true where its policy holds from now on. Where it is
   * broken the one before goes on. Several calls are done one after another.
   */
  reload(): Promise<boolean> {
    this.#last = this.#last.then(() => this.#read());
    return this.#last;
  }

  async #read(): Promise<boolean> {
    if (this.#path === null) {
      this.#say('there is no policy file to read again: the built-in policy goes on');
      return false;
    }
    try {
      this.#policy = await readPolicy(this.#path, this.#ownUid);
    } catch (error) {
      const why = error instanceof TapioError ? error.message : String(error);
      this.#say(`${why}\nthe policy that was read before goes on`);
      return false;
    }
    this.#say(`${this.#path} was read again and holds from now on`);
    return true;
  }
}
