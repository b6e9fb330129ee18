// The key of an audit log: a file that only its owner may read, kept elsewhere than the log.

import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  realpathSync,
} from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { systemCode, TapioError } from '../errors.ts';
import { replaceFile, type StoreFiles } from '../segment/files.ts';
import { auditFiles } from './audit-files.ts';

const BYTES_MIN = 32;
const BYTES_MAX = 4096;
/** Not the beginning of any line, so that no line has this MAC. */
const FINGERPRINT_OF = 'tapio audit key';

/** A secret that makes MACs. Nothing that prints objects shows it. */
export class AuditKey {
  readonly #secret: KeyObject;
  /** 32 hex digits by which the key is named in a log; they say nothing about it. */
  readonly fingerprint: string;

  /** `secret`: at least 32 random bytes. */
  constructor(secret: Uint8Array) {
    this.#secret = createSecretKey(secret);
    this.fingerprint = this.mac(FINGERPRINT_OF).slice(0, 32);
  }

  /** HMAC-SHA-256 of the parts behind one another, as 64 lower-case hex digits. */
  mac(...parts: readonly (string | Uint8Array)[]): string {
    const hmac = createHmac('sha256', this.#secret);
    for (const part of parts) hmac.update(part);
    return hmac.digest('hex');
  }
}

/**
 * Reads the key of the log in `directory`: the bytes of the file, whatever they are. Throws TapioError('usage') for a file
 * that is missing, too short or too long, that others can read, or that lies in the log's directory.
 */
export function readAuditKey(path: string, directory: string): AuditKey {
  refuseInside(path, directory);
  let fd: number;
  try {
    // A pipe in its place would be waited for.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new TapioError(
      'usage',
      `the audit key ${path} cannot be read (${systemCode(error)}): name the file that the log was written with`,
      { cause: error },
    );
  }
  try {
    const { mode, size } = fstatSync(fd);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) {
      throw new TapioError('usage', `the audit key ${path} is not a file: name one`);
    }
    if ((mode & 0o077) !== 0) {
      throw new TapioError(
        'usage',
        `the audit key ${path} is open to others (mode ${(mode & 0o777).toString(8)}): chmod 600 it, and start a new key if anyone may have read it`,
      );
    }
    if (size < BYTES_MIN || size > BYTES_MAX) {
      throw new TapioError(
        'usage',
        `the audit key ${path} has ${size} bytes: it needs ${BYTES_MIN} to ${BYTES_MAX} random ones`,
      );
    }
    return new AuditKey(readFileSync(fd));
  } finally {
    closeSync(fd);
  }
}

/**
 * Reads the key as readAuditKey() does. Where there is none and the log has no file yet, makes one of 256 random bits (as
 * 64 hex digits), readable by its owner alone and durable; a log that exists keeps the key it has.
 */
export function ensureAuditKey(files: StoreFiles, path: string, directory: string): AuditKey {
  refuseInside(path, directory);
  if (!existsSync(path)) {
    if (existsSync(directory) && auditFiles(directory).length > 0) {
      throw new TapioError(
        'usage',
        `the audit key ${path} is missing, and the log in ${directory} was written with one: bring it back, or start a new log in another directory`,
      );
    }
    try {
      replaceFile(files, path, randomBytes(32).toString('hex'));
    } catch (error) {
      throw new TapioError(
        'io',
        `the audit key ${path} cannot be made (${systemCode(error)}): name a file in a directory that can be written`,
        { cause: error },
      );
    }
  }
  return readAuditKey(path, directory);
}

/** A path without symbolic links, as far as it exists. */
function real(path: string): string {
  const full = resolve(path);
  if (existsSync(full)) return realpathSync(full);
  const parent = dirname(full);
  return parent === full ? full : join(real(parent), basename(full));
}

function refuseInside(path: string, directory: string): void {
  const inner = relative(real(directory), real(path));
  if (inner === '..' || inner.startsWith(`..${sep}`)) return;
  throw new TapioError(
    'usage',
    `the audit key ${path} lies in the audit log's directory, where whoever can change the log can read it: keep it elsewhere`,
  );
}
