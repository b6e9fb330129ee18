// Reads a stream before its rows are wanted, so that nobody waits for the disk when they are due.

/** Items of an async iterable, read ahead up to a limit. */
export class ReadAhead<T> {
  readonly #sizeOf: (item: T) => number;
  readonly #limit: number;
  readonly #reading: Promise<void>;
  #items: T[] = [];
  #taken = 0;
  #size = 0;
  #ended = false;
  #closed = false;
  #error: unknown = null;
  /** Told when something changed: an item came, room was made, it is closed. */
  #changed = Promise.withResolvers<void>();

  /** `limit` in sizes: reading stops where so much is waiting. */
  constructor(source: AsyncIterable<T>, sizeOf: (item: T) => number, limit: number) {
    this.#sizeOf = sizeOf;
    this.#limit = limit;
    this.#reading = this.#read(source);
  }

  /** Resolves when there is as much as may wait, or all. */
  async filled(): Promise<void> {
    while (!this.#ended && this.#size < this.#limit) await this.#changed.promise;
  }

  /** The next item where it is there, else undefined. */
  take(): T | undefined {
    const item = this.#items[this.#taken];
    if (item === undefined) return undefined;
    this.#taken++;
    if (this.#taken === this.#items.length) {
      this.#items = [];
      this.#taken = 0;
    }
    this.#size -= this.#sizeOf(item);
    this.#tell();
    return item;
  }

  /** The next item, or null at the end. Throws what the source throws. */
  async next(): Promise<T | null> {
    for (;;) {
      const item = this.take();
      if (item !== undefined) return item;
      if (this.#error !== null) throw this.#error;
      if (this.#ended) return null;
      await this.#changed.promise;
    }
  }

  /** Ends the reading. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#tell();
    await this.#reading;
  }

  async #read(source: AsyncIterable<T>): Promise<void> {
    try {
      for await (const item of source) {
        if (this.#closed) break;
        this.#items.push(item);
        this.#size += this.#sizeOf(item);
        this.#tell();
        while (this.#size >= this.#limit && !this.#closed) await this.#changed.promise;
      }
    } catch (error) {
      this.#error = error;
    }
    this.#ended = true;
    this.#tell();
  }

  #tell(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }
}
