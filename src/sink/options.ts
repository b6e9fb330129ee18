// Options of a sink's URL: what stands behind the `?`. One that is unknown, given twice or empty is refused.

import { readFileSync } from 'node:fs';
import { parseDuration, parseSize, unknownName, usage } from '../config/values.ts';

/** Options as they were given, of those that a sink knows. */
export class SinkOptions<Name extends string> {
  readonly #values: ReadonlyMap<string, string>;
  readonly #url: URL;

  /** Throws TapioError('usage') for what is not among `names`; those of `several` may be given more than once. */
  constructor(url: URL, names: readonly Name[], several: readonly Name[] = []) {
    this.#url = url;
    const values = new Map<string, string>();
    for (const [name, value] of url.searchParams) {
      if (!names.some((one) => one === name)) {
        throw unknownName(`option of a ${url.protocol} sink`, name, names);
      }
      const isAlone = !several.some((one) => one === name);
      if (isAlone && values.has(name)) throw usage(`?${name}= is given twice`);
      if (value === '') throw usage(`?${name}= has no value`);
      values.set(name, value);
    }
    this.#values = values;
  }

  /** The value as it is, or null. */
  text(name: Name): string | null {
    return this.#values.get(name) ?? null;
  }

  /** All values of one that may be given more than once. */
  all(name: Name): readonly string[] {
    return this.#url.searchParams.getAll(name);
  }

  /** `yes` or `no`. */
  flag(name: Name, otherwise: boolean): boolean {
    const value = this.text(name);
    if (value === null) return otherwise;
    if (value !== 'yes' && value !== 'no') throw usage(`?${name}=${value}: write yes or no`);
    return value === 'yes';
  }

  /** A whole number of at least `least`. */
  count(name: Name, otherwise: number, least: number): number {
    const value = this.text(name);
    if (value === null) return otherwise;
    const count = Number(value);
    if (!/^\d{1,15}$/.test(value) || count < least) {
      throw usage(`?${name}=${value}: write a number of ${least} or more`);
    }
    return count;
  }

  /** Bytes, as 64MiB. */
  size(name: Name, otherwise: number): number {
    const value = this.text(name);
    if (value === null) return otherwise;
    const bytes = parseSize(value);
    if (bytes <= 0) throw usage(`?${name}=${value} is too little`);
    return bytes;
  }

  /** ms, from a duration as 10s. */
  duration(name: Name, otherwise: number): number {
    const value = this.text(name);
    return value === null ? otherwise : parseDuration(value);
  }

  /** The path of a file that can be read now, or null. */
  file(name: Name): string | null {
    const path = this.text(name);
    if (path !== null) readOptionFile(name, path);
    return path;
  }

  /** What is in the file that is named, or null. */
  content(name: Name): Buffer | null {
    const path = this.text(name);
    return path === null ? null : readOptionFile(name, path);
  }
}

function readOptionFile(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const reason = (cause as Error).message;
    throw usage(`?${name}=${path} cannot be read (${reason}): name a file that is there`);
  }
}

/** A part of a URL as it was meant; throws TapioError('usage') where it is no text. */
export function decodedPart(what: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw usage(`the ${what} in the URL is not percent-encoded: write % as %25`);
  }
}
