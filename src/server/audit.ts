// The audit as the server keeps it: opened with the first connection, since most recorders are never asked.

import { join } from 'node:path';
import type { AuditLog } from '../service/audit.ts';
import type { Refusals } from '../service/refusals.ts';

export interface ServerAudit {
  readonly begin: AuditLog['begin'];
  readonly denied: Refusals['denied'];
  /** Number of its last line, and times that it could not be written. */
  readonly counts: () => { readonly lines: number; readonly failures: number };
  readonly failure: AuditLog['failure'];
  close(): Promise<void>;
}

/** Directory of the audit in a store. */
const AUDIT = 'audit';

/** Opens the audit of a store, kept with the key in a file. Throws as AuditLog.open() and ensureAuditKey(). */
export async function openAudit(
  store: string,
  keyFile: string,
  say: (text: string) => void,
): Promise<ServerAudit> {
  const [{ AuditLog }, { ensureAuditKey }, { syslogPublisher }, { Refusals }, { diskFiles }] =
    await Promise.all([
      import('../service/audit.ts'),
      import('../service/audit-key.ts'),
      import('../service/syslog.ts'),
      import('../service/refusals.ts'),
      import('../segment/files.ts'),
    ]);
  const directory = join(store, AUDIT);
  const audit = AuditLog.open({
    files: diskFiles,
    directory,
    key: ensureAuditKey(diskFiles, keyFile, directory),
    publish: syslogPublisher(say),
    now: Date.now,
  });
  const refusals = new Refusals({ denied: (entry) => audit.denied(entry), say });
  return {
    begin: (entry) => audit.begin(entry),
    denied: (entry) => refusals.denied(entry),
    counts: () => ({ lines: audit.lines, failures: audit.failures }),
    get failure() {
      return audit.failure;
    },
    close: async () => {
      await refusals.flush();
      await audit.close();
    },
  };
}
