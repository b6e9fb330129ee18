// Strings of a dictionary column as an excerpt has them: those that its rows use, and no others.

import type { ColumnBuffers } from '../segment/arrow-file.ts';
import { columnOf } from '../segment/columns.ts';
import { type DictionaryVector, isPresent } from '../segment/vectors.ts';

/** Gives the indices of one column of one segment new numbers, in order of first sight. */
export class Interner {
  /** By the number that the segment knows a string by; 0 where it is not used, else one more. */
  readonly #numbers: Int32Array;
  #used = 0;

  constructor(strings: number) {
    this.#numbers = new Int32Array(strings);
  }

  /** The column with new indices, and the strings that it is the first to use. */
  take(
    { length, indices, dictionary }: DictionaryVector,
    validity: Uint8Array,
  ): { column: ColumnBuffers; values: string[] } {
    const values: string[] = [];
    const numbers = this.#numbers;
    const out = indices instanceof Uint16Array ? new Uint16Array(length) : new Int32Array(length);
    for (let row = 0; row < length; row++) {
      // What stands in place of an absent value is no use of a string.
      if (!isPresent(validity, row)) continue;
      const index = indices[row] as number;
      if (numbers[index] === 0) {
        numbers[index] = ++this.#used;
        values.push(dictionary.at(index) ?? '');
      }
      out[row] = (numbers[index] as number) - 1;
    }
    const bytes = new Uint8Array(out.buffer);
    return { column: columnOf(length, [validity, bytes]), values };
  }
}
