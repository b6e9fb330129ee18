// The chain as it grows: lines, files and syncs. What fails is taken back to the last line that is surely on the disk.

import { existsSync, statSync } from 'node:fs';
import { TapioError } from '../errors.ts';
import type { AppendFile, StoreFiles } from '../segment/files.ts';
import { auditFile } from './audit-files.ts';
import type { AuditKey } from './audit-key.ts';
import { type AuditFields, type AuditHead, makeLine, NO_MAC } from './audit-line.ts';

/** The end of a chain. */
export interface ChainEnd {
  /** Number of its file. */
  readonly file: number;
  /** Bytes of the file up to it. */
  readonly length: number;
  /** Number and MAC of its last line. */
  readonly n: number;
  readonly mac: string;
  /** UTC day of the file's first line, YYYY-MM-DD. */
  readonly day: string;
}

/** The end of a chain without a line. */
const NOTHING: ChainEnd = { file: 0, length: 0, n: 0, mac: NO_MAC, day: '' };

export interface ChainOptions {
  readonly files: StoreFiles;
  readonly directory: string;
  /** Key of the file that the chain ends in. */
  readonly key: AuditKey;
  /** ms since 1970. */
  readonly now: () => number;
  /** Where it goes on; null for a new log. */
  readonly end: ChainEnd | null;
  /** Last line that is surely on the disk. */
  readonly synced: number;
}

/** Appends to a log. Methods throw what the file system throws; then it is as after the last sync(), and can be tried again. */
export class ChainWriter {
  readonly #files: StoreFiles;
  readonly #directory: string;
  readonly #now: () => number;
  #key: AuditKey;
  /** End of what was appended, and of what of it is durable. */
  #end: ChainEnd;
  #durable: ChainEnd;
  #synced: number;
  /** null until it is needed, and after a failure. */
  #file: AppendFile | null = null;
  #inode = 0;
  /** A next file that came to nothing: it must be gone before the one before is written again. */
  #leftover: string | null = null;

  constructor({ files, directory, key, now, end, synced }: ChainOptions) {
    this.#files = files;
    this.#directory = directory;
    this.#key = key;
    this.#now = now;
    this.#end = end ?? NOTHING;
    this.#durable = this.#end;
    this.#synced = synced;
  }

  /** The last line that was appended. */
  get head(): AuditHead {
    const { n, mac, file } = this.#end;
    return { n, mac, file: auditFile(this.#directory, file).name };
  }

  /** True where the file has so many bytes, or is of another day. */
  isFull(bytes: number): boolean {
    return this.#end.length >= bytes || this.#end.day !== this.#timestamp().slice(0, 10);
  }

  /** Appends lines; gives the number of the first. They are durable after sync(). */
  append(lines: readonly AuditFields[]): number {
    const first = this.#end.n + 1;
    if (lines.length === 0) return first;
    this.#guarded(() => {
      this.#clean();
      this.#write(this.#file ?? this.#reopen(), lines);
    });
    return first;
  }

  /** Makes all lines durable. */
  sync(): void {
    this.#guarded(() => {
      if (this.#file === null) return;
      this.#file.sync();
      this.#checkFile(this.#file);
    });
    this.#durable = this.#end;
    this.#synced = this.#end.n;
  }

  /**
   * Goes on in the next file, under `key`: its first line is `fields`, with the end of the file before. All lines must be
   * durable; the new one is.
   */
  startFile(fields: AuditFields, key: AuditKey = this.#key): void {
    const before = this.#end;
    const previous = before.n === 0 ? {} : { previous: this.head };
    const { name, path } = auditFile(this.#directory, before.file + 1);
    this.#letGo();
    // One that was begun and came to nothing may be there still.
    const file = existsSync(path) ? this.#files.reopen(path, 0) : this.#files.create(path);
    const keyBefore = this.#key;
    this.#key = key;
    try {
      this.#end = { ...before, file: before.file + 1, length: 0, day: '' };
      this.#write(file, [{ ...fields, file: name, ...previous, key: key.fingerprint }]);
      file.sync();
      this.#files.syncDirectory(this.#directory);
    } catch (error) {
      this.#end = before;
      this.#key = keyBefore;
      this.#leftover = path;
      this.#file = file;
      this.#letGo();
      throw error;
    }
    this.#leftover = null;
    this.#use(file);
    this.#durable = this.#end;
    this.#synced = this.#end.n;
  }

  close(): void {
    this.#letGo();
  }

  /** Takes away a next file that came to nothing, durably: its line would bear the number of another. */
  #clean(): void {
    if (this.#leftover === null) return;
    this.#files.remove(this.#leftover);
    this.#files.syncDirectory(this.#directory);
    this.#leftover = null;
  }

  #reopen(): AppendFile {
    const { path } = auditFile(this.#directory, this.#end.file);
    if (statSync(path).size < this.#end.length) throw meddled(path);
    return this.#use(this.#files.reopen(path, this.#end.length));
  }

  #use(file: AppendFile): AppendFile {
    this.#file = file;
    this.#inode = statSync(file.path).ino;
    return file;
  }

  /** What was removed, replaced or written by others would take lines that nobody will ever see. */
  #checkFile(file: AppendFile): void {
    const { ino, size } = statSync(file.path);
    if (ino !== this.#inode || size !== file.length) throw meddled(file.path);
  }

  #timestamp(): string {
    return new Date(this.#now()).toISOString();
  }

  #write(file: AppendFile, lines: readonly AuditFields[]): void {
    const ts = this.#timestamp();
    let { n, mac } = this.#end;
    const made = lines.map(({ kind, ...rest }) => {
      n++;
      // A read goes by the number of its first line.
      const fields = kind === 'begin' ? { kind, id: n, ...rest } : { kind, ...rest };
      const line = makeLine(this.#key, { n, ts, synced: this.#synced, prev: mac }, fields);
      mac = line.mac;
      return line.bytes;
    });
    file.append(made);
    const { length, day, file: number } = this.#end;
    this.#end = {
      file: number,
      length: file.length,
      n,
      mac,
      day: length > 0 ? day : ts.slice(0, 10),
    };
  }

  #guarded(act: () => void): void {
    try {
      act();
    } catch (error) {
      // After a failed write or sync nobody knows what the file holds: it is cut back before it is written again.
      this.#letGo();
      this.#end = this.#durable;
      throw error;
    }
  }

  #letGo(): void {
    const file = this.#file;
    this.#file = null;
    try {
      file?.close();
    } catch {
      // A descriptor whose last write failed may say so again; it is gone all the same.
    }
  }
}

function meddled(path: string): TapioError {
  return new TapioError(
    'io',
    `the audit log's ${path} was changed by somebody else, and nothing is served until it can be written again: tapio-replay audit verify says what is wrong`,
  );
}
