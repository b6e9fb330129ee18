// The catalogue as the recorder keeps it: one that cannot be written costs no event. It is given up then,
// and the next start brings it up to date.

import type { Segment } from '../segment/reader.ts';
import type { SealedSegment } from '../segment/writer.ts';
import { Catalog } from './catalog.ts';

/** A catalogue whose failures are told once and end its use. */
export class CatalogCache {
  readonly #onNote: (text: string) => void;
  #catalog: Catalog | null = null;

  constructor(store: string, onNote: (text: string) => void) {
    this.#onNote = onNote;
    this.#try(() => {
      this.#catalog = Catalog.open(store);
    });
  }

  addSegment(segment: SealedSegment): void {
    this.#try(() => this.#catalog?.addSegment(segment));
  }

  /** Enters a sealed segment from what it says itself. */
  enterFrom(open: () => Segment): void {
    this.#try(() => this.#catalog?.enterFrom(open));
  }

  retire(name: string): void {
    this.#try(() => this.#catalog?.retire(name));
  }

  removeSegment(name: string): void {
    this.#try(() => this.#catalog?.removeSegment(name));
  }

  /** As Catalog.sync(). */
  sync(names: readonly string[], open: (name: string) => Segment): void {
    this.#try(() => this.#catalog?.sync(names, open));
  }

  close(): void {
    this.#try(() => this.#catalog?.close());
    this.#catalog = null;
  }

  #try(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#catalog = null;
      this.#onNote(
        `the catalogue cannot be kept (${(error as Error).message}): the next start makes it anew`,
      );
    }
  }
}
