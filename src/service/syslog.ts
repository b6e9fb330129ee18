// Heads of the audit log go to syslog, out of reach of who can only change files. Node has no Unix datagram sockets;
// logger(1) of util-linux writes to /dev/log, where syslogd or journald listens, and there is one head a minute at most.

import { execFile } from 'node:child_process';
import type { AuditHead } from './audit-line.ts';

const TIMEOUT_MS = 10_000;
/** Without the first, logger says nothing where nobody listens. */
const WORDS = ['--socket-errors=on', '-t', 'tapio-record', '-p', 'authpriv.notice', '--'];

/** A head as it is published: `audit head 1234:MAC audit-0000001.ndjson`. */
export function headText({ n, mac, file }: AuditHead): string {
  return `audit head ${n}:${mac} ${file}`;
}

/**
 * What publishes heads to syslog (authpriv.notice, tag tapio-record). A failure goes to `warn`, once until it works again,
 * and stops nothing. `logger`: the program.
 */
export function syslogPublisher(
  warn: (text: string) => void,
  logger = 'logger',
): (head: AuditHead) => Promise<void> {
  let failing = false;
  return async (head) => {
    const said = await run(logger, [...WORDS, headText(head)]);
    if (said !== null && !failing) {
      warn(
        `heads of the audit log cannot be published to syslog (${said}): lines cut off its end may go unnoticed; see that syslogd or journald listens on /dev/log, and that logger of util-linux is there`,
      );
    }
    failing = said !== null;
  };
}

/** Runs a program; what went wrong, or null. */
function run(program: string, words: readonly string[]): Promise<string | null> {
  return new Promise((resolve) => {
    execFile(program, words, { timeout: TIMEOUT_MS }, (error, _out, said) => {
      if (error === null) resolve(null);
      else resolve(said.trim().split('\n')[0] || String(error.code ?? error.message));
    });
  });
}
