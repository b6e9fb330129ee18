// The audit log of the service: what was read, by whom, in lines that cannot be changed unnoticed. A read may send its first
// byte once its begin is durable. AUDIT.md says how a log looks and what it proves.

import { existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pid } from 'node:process';
import { systemCode, TapioError } from '../errors.ts';
import type { StoreFiles } from '../segment/files.ts';
import { lockDirectory } from '../segment/lock.ts';
import { VERSION } from '../version.ts';
import { AUDIT_LOCK } from './audit-files.ts';
import type { AuditKey } from './audit-key.ts';
import type { AuditFields, AuditHead } from './audit-line.ts';
import { type Recovered, recoverAudit } from './audit-recovery.ts';
import { auditedRequest, boundedText } from './audit-request.ts';
import { ChainWriter } from './audit-writer.ts';

const ROTATE_BYTES = 64 << 20;
const HEAD_MS = 60_000;

export interface AuditOptions {
  readonly files: StoreFiles;
  /** Made where there is none. */
  readonly directory: string;
  readonly key: AuditKey;
  /** The key before, while it gives way to `key`. */
  readonly previousKey?: AuditKey;
  /** Takes a head out of this machine's reach; tells its own failures. */
  readonly publish: (head: AuditHead) => void | Promise<void>;
  /** ms since 1970. */
  readonly now: () => number;
  /** A file that has so many bytes is the last but one. */
  readonly rotateBytes?: number;
  /** ms after a change until a head is published. */
  readonly headMs?: number;
}

/** Who asks for what. */
export interface AuditEntry {
  /** Who it is, or says it is where it was refused; null where nobody knows. */
  readonly identity: string | null;
  readonly method: string;
  /** Values as JSON has them, bigints and bytes; bounded and masked here, see auditedRequest(). */
  readonly request: Readonly<Record<string, unknown>>;
  /** Address or credentials of the peer. */
  readonly peer: string;
}

/** How a read ended. */
export interface ReadResult {
  readonly rows: number;
  readonly bytes: number;
  /** `ok`, or the code of what it ended with. */
  readonly result: string;
}

/** A read whose begin is durable. */
export interface AuditedRead {
  /** Number of its first line. */
  readonly id: number;
  /** Notes how it ended; the second time does nothing. It is durable with the next begin or head. */
  end(result: ReadResult): void;
}

interface Waiting {
  readonly fields: AuditFields;
  readonly resolve: (id: number) => void;
  readonly reject: (error: TapioError) => void;
}

/** A log that one process appends to. */
export class AuditLog {
  readonly #directory: string;
  readonly #writer: ChainWriter;
  readonly #options: AuditOptions;
  readonly #unlock: () => void;
  /** What must be durable before somebody goes on. */
  #waiting: Waiting[] = [];
  /** Ends that are not durable; so many of them are written. They outlast a failure. */
  #ends: AuditFields[] = [];
  #written = 0;
  readonly #reads = new Set<number>();
  #flush: NodeJS.Immediate | null = null;
  #headTimer: NodeJS.Timeout | null = null;
  /** Number of the last head line. */
  #lastHead = 0;
  #published: Promise<void> = Promise.resolve();
  #failure: TapioError | null = null;
  #isOpen = true;
  #failures = 0;

  /**
   * Opens a log, or begins one. It goes on after the last whole line; reads of a process that died get a `lost_end`, what
   * lies behind the last whole line is kept in a file and told. Throws TapioError: 'store_locked' where another process has
   * it, 'store_too_open', 'usage' where the log goes on under another key, 'io' where it cannot be written or was changed.
   */
  static open(options: AuditOptions): AuditLog {
    const directory = resolve(options.directory);
    try {
      prepareDirectory(options.files, directory);
      const unlock = lockDirectory(directory, AUDIT_LOCK, (holder) =>
        lockedError(directory, holder),
      );
      try {
        return new AuditLog(options, directory, unlock);
      } catch (error) {
        unlock();
        throw error;
      }
    } catch (error) {
      throw writeError(directory, error);
    }
  }

  private constructor(options: AuditOptions, directory: string, unlock: () => void) {
    const { files, key, previousKey, now } = options;
    this.#options = options;
    this.#directory = directory;
    this.#unlock = unlock;
    const keys = previousKey === undefined ? ([key] as const) : ([key, previousKey] as const);
    const found = recoverAudit(files, directory, keys);
    const { end, synced } = found;
    this.#writer = new ChainWriter({ files, directory, key: found.key, now, end, synced });
    try {
      this.#goOn(found);
    } catch (error) {
      this.#writer.close();
      throw error;
    }
    // A file that the process before made may have no durable name.
    files.syncDirectory(directory);
    this.#armHead();
  }

  /** Number of its last line. */
  get lines(): number {
    return this.#writer.head.n;
  }

  /** Times that it could not be written. */
  get failures(): number {
    return this.#failures;
  }

  /** Why it could not be written the last time; null: it could. Reads that are under way end with it. */
  get failure(): TapioError | null {
    return this.#failure;
  }

  /** Notes that a read begins; rejects with TapioError('io') where that cannot be made durable: then nothing may be served. */
  async begin(entry: AuditEntry): Promise<AuditedRead> {
    const id = await this.#durably({ kind: 'begin', ...entryFields(entry) });
    let ended = false;
    return {
      id,
      end: ({ rows, bytes, result }) => {
        if (ended) return;
        ended = true;
        this.#ends.push({ kind: 'end', id, rows, bytes, result: boundedText(result) });
        this.#schedule();
      },
    };
  }

  /** Notes, durably, that somebody was refused; rejects as begin() does. */
  async denied(
    entry: AuditEntry & { readonly reason: string; readonly count?: number },
  ): Promise<void> {
    const reason = boundedText(entry.reason);
    const count = entry.count === undefined ? {} : { count: entry.count };
    await this.#durably({ kind: 'denied', ...entryFields(entry), reason, ...count });
  }

  /** Ends the log, publishes its last head, and lets go of it. Rejects with TapioError('io') where that cannot be written. */
  async close(): Promise<void> {
    if (!this.#isOpen) return;
    if (this.#flush !== null) clearImmediate(this.#flush);
    this.#write();
    this.#isOpen = false;
    if (this.#headTimer !== null) clearTimeout(this.#headTimer);
    try {
      this.#append([{ kind: 'close' }]);
      this.#sync();
      this.#head();
    } catch (error) {
      throw writeError(this.#directory, error);
    } finally {
      this.#writer.close();
      this.#unlock();
      await this.#published;
    }
  }

  /** The first lines of this process. */
  #goOn({ end, key: keyBefore, nextKey, halfMade, reads, torn }: Recovered): void {
    const { key } = this.#options;
    const first = torn.length > 0 ? { torn } : {};
    const open: AuditFields = { kind: 'open', pid, version: VERSION };
    if (end === null) {
      this.#writer.startFile({ ...open, ...first });
      return;
    }
    const newKey = nextKey !== null || keyBefore.fingerprint !== key.fingerprint;
    const announces = newKey && nextKey === null;
    if (nextKey !== null && nextKey !== key.fingerprint) {
      throw new TapioError(
        'usage',
        `the audit log ${this.#directory} goes on under the key with fingerprint ${nextKey}: name that one`,
      );
    }
    for (const id of reads) this.#reads.add(id);
    // Whichever line comes first tells what was kept aside.
    const tell = [first];
    const told = (): object => tell.pop() ?? {};
    if (announces) {
      this.#writer.append([{ kind: 'key', next: key.fingerprint, ...told() }]);
      this.#writer.sync();
    }
    if (newKey || halfMade) this.#writer.startFile(this.#rotation(told()), key);
    const lost = [...reads].map((id): AuditFields => ({ kind: 'lost_end', id }));
    this.#writer.append([{ ...open, ...told() }, ...lost]);
    this.#writer.sync();
    this.#reads.clear();
  }

  #durably(fields: AuditFields): Promise<number> {
    if (!this.#isOpen) {
      return Promise.reject(new TapioError('io', 'the audit log is closed: the service is ending'));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ fields, resolve, reject });
      this.#schedule();
    });
  }

  /** All that comes in one turn of the event loop shares a sync; while it is made, the next lot gathers. */
  #schedule(): void {
    if (!this.#isOpen) return;
    this.#flush ??= setImmediate(() => this.#write());
  }

  #write(): void {
    this.#flush = null;
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      if (this.#writer.isFull(this.#options.rotateBytes ?? ROTATE_BYTES)) this.#rotate();
      const first = this.#append(waiting.map(({ fields }) => fields));
      if (waiting.length > 0) this.#sync();
      waiting.forEach(({ fields, resolve }, i) => {
        if (fields.kind === 'begin') this.#reads.add(first + i);
        resolve(first + i);
      });
      this.#failure = null;
    } catch (error) {
      const failure = this.#failed(error);
      for (const { reject } of waiting) reject(failure);
    }
    this.#armHead();
  }

  /** Appends the ends that wait, then `fields`; gives the number of the first of these. */
  #append(fields: readonly AuditFields[]): number {
    const ends = this.#ends.slice(this.#written);
    const first = this.#writer.append([...ends, ...fields]);
    this.#written = this.#ends.length;
    return first + ends.length;
  }

  #sync(): void {
    this.#writer.sync();
    for (const { id } of this.#ends.splice(0, this.#written)) this.#reads.delete(Number(id));
    this.#written = 0;
  }

  #rotate(): void {
    this.#append([]);
    this.#sync();
    this.#head();
    this.#writer.startFile(this.#rotation({}));
  }

  #rotation(more: object): AuditFields {
    return { kind: 'rotate', reads: [...this.#reads], ...more };
  }

  /** Writes and publishes a head, where anything has changed since the last. All before it is durable. */
  #head(): void {
    if (this.#writer.head.n === this.#lastHead) return;
    this.#writer.append([{ kind: 'head' }]);
    this.#writer.sync();
    const { head } = this.#writer;
    this.#lastHead = head.n;
    const { publish } = this.#options;
    this.#published = this.#published.then(() => publish(head)).catch(() => {});
  }

  #failed(error: unknown): TapioError {
    this.#written = 0;
    this.#failures++;
    this.#failure = writeError(this.#directory, error);
    return this.#failure;
  }

  #armHead(): void {
    const changed = this.#ends.length > 0 || this.#writer.head.n !== this.#lastHead;
    if (!this.#isOpen || !changed || this.#headTimer !== null) return;
    this.#headTimer = setTimeout(() => {
      this.#headTimer = null;
      try {
        this.#append([]);
        this.#sync();
        this.#head();
        this.#failure = null;
      } catch (error) {
        // Who reads hears of it; the head is tried again.
        this.#failed(error);
      }
      this.#armHead();
    }, this.#options.headMs ?? HEAD_MS);
    this.#headTimer.unref();
  }
}

function entryFields({ identity, method, request, peer }: AuditEntry): object {
  return {
    identity: identity === null ? null : boundedText(identity),
    method: boundedText(method),
    request: auditedRequest(request),
    peer: boundedText(peer),
  };
}

function prepareDirectory(files: StoreFiles, directory: string): void {
  if (!existsSync(directory)) files.makeDirectory(directory);
  files.syncDirectory(dirname(directory));
  const mode = statSync(directory).mode & 0o777;
  if ((mode & 0o077) !== 0) {
    throw new TapioError(
      'store_too_open',
      `the audit log ${directory} is open to others (mode ${mode.toString(8)}): chmod 700 ${directory}`,
    );
  }
}

function lockedError(directory: string, holder: number): TapioError {
  return new TapioError(
    'store_locked',
    `process ${holder} writes the audit log ${directory} already: stop it, or name another directory`,
  );
}

const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: make room there',
  EDQUOT: 'the disk quota is used up: raise it',
  EIO: 'the disk fails (EIO): see the kernel log',
  ENOENT: 'it is gone (removed, or its disk unmounted): bring it back',
  EROFS: 'the file system is read-only: mount it writable',
};

function writeError(directory: string, error: unknown): TapioError {
  if (error instanceof TapioError) return error;
  const code = systemCode(error);
  const why = REMEDIES[code ?? ''] ?? `${code ?? (error as Error).message}: mend that`;
  return new TapioError(
    'io',
    `the audit log ${directory} cannot be written, and without it nothing is served; ${why}`,
    { cause: error },
  );
}
