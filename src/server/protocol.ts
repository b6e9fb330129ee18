// What the thread that serves tells of itself.

/** How the server is; counts since its recorder started. */
export interface ServerStatus {
  readonly listening: readonly string[];
  /** Open now, and all that were accepted. */
  readonly connections: number;
  readonly accepted: number;
  /** Bytes that were written to connections. */
  readonly sent_bytes: number;
  /** Open now, and all that were begun. */
  readonly streams_open: number;
  readonly streams: number;
  /** Rows that were given out, and those that clients were told they missed. */
  readonly rows: number;
  readonly missed: number;
  /** Calls that ended with an error, by its code. */
  readonly refused: Readonly<Record<string, number>>;
  /** Number of the audit's last line, and times that it could not be written. */
  readonly audit_lines: number;
  readonly audit_failures: number;
}

/** How a thread is that took the place of one that failed: what that one had counted counts on. */
export function afterServer(before: ServerStatus, own: ServerStatus): ServerStatus {
  const refused: Record<string, number> = { ...before.refused };
  for (const [code, calls] of Object.entries(own.refused)) {
    refused[code] = (refused[code] ?? 0) + calls;
  }
  return {
    ...own,
    accepted: before.accepted + own.accepted,
    sent_bytes: before.sent_bytes + own.sent_bytes,
    streams: before.streams + own.streams,
    rows: before.rows + own.rows,
    missed: before.missed + own.missed,
    refused,
    // The log goes on; a thread knows its number once it has opened it.
    audit_lines: Math.max(before.audit_lines, own.audit_lines),
    audit_failures: before.audit_failures + own.audit_failures,
  };
}
