// A file system that loses what was not synced. The power is cut at the n-th operation; then files keep
// any part of their unsynced tail (or zeros in its place), new names may be gone, renames undone.

import { existsSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs';
import { dirname } from 'node:path';
import { type AppendFile, diskFiles, type StoreFiles } from '../../src/segment/files.ts';

export class PowerCut extends Error {}

interface Written {
  path: string;
  synced: number;
}

/** Wraps the real file system; `cut` is the operation that does not happen, counted from 1. */
export class UnsureFiles implements StoreFiles {
  readonly #random: () => number;
  readonly #cut: number;
  #operations = 0;
  readonly #files: Written[] = [];
  /** New names and renames that no directory sync has made durable. */
  readonly #names: { readonly directory: string; readonly undo: () => void }[] = [];

  constructor(random: () => number, cut: number) {
    this.#random = random;
    this.#cut = cut;
  }

  get operations(): number {
    return this.#operations;
  }

  makeDirectory(path: string): void {
    this.#step();
    diskFiles.makeDirectory(path);
    this.#unsure(path, () => rmSync(path, { recursive: true, force: true }));
  }

  create(path: string): AppendFile {
    this.#step();
    const file = diskFiles.create(path);
    const written: Written = { path, synced: 0 };
    this.#files.push(written);
    this.#unsure(path, () => rmSync(path, { force: true }));
    const step = (): void => this.#step();
    return {
      path,
      get length() {
        return file.length;
      },
      get dirty() {
        return file.dirty;
      },
      append(chunks) {
        step();
        file.append(chunks);
      },
      sync() {
        step();
        file.sync();
        written.synced = file.length;
      },
      takeRange: () => file.takeRange(),
      close: () => file.close(),
    };
  }

  rename(from: string, to: string): void {
    this.#step();
    diskFiles.rename(from, to);
    for (const file of this.#files) {
      if (file.path.startsWith(`${from}/`)) file.path = to + file.path.slice(from.length);
    }
    this.#unsure(to, () => existsSync(to) && renameSync(to, from));
  }

  remove(path: string): void {
    this.#step();
    diskFiles.remove(path);
  }

  syncDirectory(path: string): void {
    this.#step();
    diskFiles.syncDirectory(path);
    for (let i = this.#names.length - 1; i >= 0; i--) {
      if (this.#names[i]?.directory === path) this.#names.splice(i, 1);
    }
  }

  replace(path: string, bytes: Uint8Array | string): void {
    this.#step();
    diskFiles.replace(path, bytes);
  }

  /** What the disk has when the power is back. */
  lose(): void {
    for (const { path, synced } of this.#files) {
      if (!existsSync(path)) continue;
      const { size } = statSync(path);
      const kept = synced + Math.floor(this.#random() * (size - synced + 1));
      truncateSync(path, kept);
      // The length may have reached the disk and the data not.
      if (this.#random() < 0.3) truncateSync(path, size);
    }
    for (const { undo } of this.#names.reverse()) if (this.#random() < 0.5) undo();
  }

  #unsure(path: string, undo: () => void): void {
    this.#names.push({ directory: dirname(path), undo });
  }

  #step(): void {
    this.#operations++;
    if (this.#operations >= this.#cut) throw new PowerCut();
  }
}
