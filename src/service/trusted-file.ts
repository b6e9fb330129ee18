// Files that decide who may read: nobody but root and the recorder's own user may write them, and they may be read again while
// the service runs.

import { constants, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { usage } from '../config/values.ts';
import { systemCode, TapioError } from '../errors.ts';

const FILE_BYTES_MAX = 1 << 20;

export interface TrustedFile {
  readonly path: string;
  /** What is in it, as in "a policy". */
  readonly what: string;
  /** The recorder's user. */
  readonly ownUid: number;
  /** Others may not read it either. */
  readonly isSecret: boolean;
}

/** Whoever can write the file decides who may read. */
function checkOwner({ path, ownUid, isSecret }: TrustedFile, { mode, uid }: Stats): void {
  if (uid !== 0 && uid !== ownUid) {
    throw new TapioError('not_permitted', `${path} belongs to uid ${uid}: chown root '${path}'`);
  }
  if ((mode & 0o022) !== 0) {
    throw new TapioError('not_permitted', `${path} can be written by others: chmod go-w '${path}'`);
  }
  if (isSecret && (mode & 0o077) !== 0) {
    throw new TapioError('not_permitted', `${path} can be read by others: chmod 600 '${path}'`);
  }
}

async function textOf(file: FileHandle, trusted: TrustedFile): Promise<string> {
  const { path, what } = trusted;
  const stats = await file.stat();
  if (!stats.isFile()) throw usage(`${path} is no file: name one with ${what}`);
  checkOwner(trusted, stats);
  if (stats.size > FILE_BYTES_MAX) throw usage(`${path} is too large: ${what} has up to 1 MiB`);
  return await file.readFile('utf8');
}

/**
 * The text of a file. Throws TapioError: 'usage' for what is no file or too large, 'not_permitted' where others can write it
 * (or read it, where it is a secret), 'io' where it cannot be read.
 */
export async function readTrusted(trusted: TrustedFile): Promise<string> {
  const { path } = trusted;
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
    return await textOf(file, trusted);
  } finally {
    await file.close();
  }
}

export interface HeldOptions<T> {
  readonly path: string;
  /** Reads it; throws TapioError with a sentence. */
  readonly read: () => Promise<T>;
  /** What goes on where the file is broken, as in "the policy that was read before". */
  readonly before: string;
  readonly say: (text: string) => void;
}

/** What a file says, as it was last read without fault. */
export class HeldFile<T> {
  readonly #options: HeldOptions<T>;
  #value: T;
  #last: Promise<boolean> = Promise.resolve(true);

  private constructor(value: T, options: HeldOptions<T>) {
    this.#value = value;
    this.#options = options;
  }

  /** Throws what `read` throws. */
  static async open<T>(options: HeldOptions<T>): Promise<HeldFile<T>> {
    return new HeldFile(await options.read(), options);
  }

  get value(): T {
    return this.#value;
  }

  /**
   * Reads the file again, and says what came of it; true where that holds from now on. Where it is broken, what was read
   * before goes on. Several calls are done one after another.
   */
  reload(): Promise<boolean> {
    this.#last = this.#last.then(() => this.#read());
    return this.#last;
  }

  async #read(): Promise<boolean> {
    const { path, read, before, say } = this.#options;
    try {
      this.#value = await read();
    } catch (error) {
      say(`${error instanceof TapioError ? error.message : String(error)}\n${before} goes on`);
      return false;
    }
    say(`${path} was read again and holds from now on`);
    return true;
  }
}
