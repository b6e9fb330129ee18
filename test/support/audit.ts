// Audit logs for tests.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { diskFiles } from '../../src/segment/files.ts';
import type { AuditEntry, AuditOptions } from '../../src/service/audit.ts';
import { AuditLog } from '../../src/service/audit.ts';
import { auditFiles } from '../../src/service/audit-files.ts';
import { AuditKey } from '../../src/service/audit-key.ts';
import type { AuditHead, AuditLine } from '../../src/service/audit-line.ts';
import { type AuditVerdict, verifyAudit } from '../../src/service/audit-verify.ts';
import { temporaryDirectory } from './recording.ts';

const NOON = Date.UTC(2026, 0, 1, 12);

/** A log in a directory of its own. */
export class TestAudit {
  readonly #temporary = temporaryDirectory();
  readonly directory = join(this.#temporary.path, 'audit');
  readonly root = this.#temporary.path;
  readonly key = new AuditKey(randomBytes(32));
  readonly heads: AuditHead[] = [];

  constructor() {
    mkdirSync(this.directory, { mode: 0o700 });
  }

  open(options: Partial<AuditOptions> = {}): AuditLog {
    return AuditLog.open({
      files: diskFiles,
      directory: this.directory,
      key: this.key,
      publish: (head) => {
        this.heads.push(head);
      },
      // No day ends in a test that does not mean it.
      now: () => NOON,
      ...options,
    });
  }

  lines(): AuditLine[] {
    return linesOf(this.directory);
  }

  verify(heads: readonly AuditHead[] = this.heads, keys = [this.key]): AuditVerdict {
    const [key = this.key, ...more] = keys;
    return verifyAudit(this.directory, { keys: [key, ...more], heads, from: null });
  }

  remove(): void {
    this.#temporary.remove();
  }
}

/** All lines of a log, as JSON has them. */
export function linesOf(directory: string): AuditLine[] {
  return auditFiles(directory).flatMap(({ path }) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as AuditLine),
  );
}

/** A request of somebody. */
export function entry(i = 0): AuditEntry {
  return {
    identity: `user-${i % 7}`,
    method: 'Query',
    request: { filter: `process.pid == ${i}`, types: ['file', 'network'] },
    peer: 'unix:pid=42,uid=1000',
  };
}

export const OK = { rows: 10, bytes: 1_000, result: 'ok' } as const;
