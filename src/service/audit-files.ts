// The files of an audit log: their names, and their lines as bytes.

import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';

/** The job by which a service locks the directory of its log. */
export const AUDIT_LOCK = 'audit';

const NAME = /^audit-(\d{7,15})\.ndjson$/;
const NEWLINE = '\n'.charCodeAt(0);
const CHUNK_BYTES = 256 << 10;
/** No line is longer; of one that is, no more is kept in memory. */
const LINE_BYTES_MAX = 1 << 20;

/** One file of a log. */
export interface AuditFile {
  /** From 1. */
  readonly number: number;
  readonly name: string;
  readonly path: string;
}

/** The file of a log that has a number. */
export function auditFile(directory: string, number: number): AuditFile {
  const name = `audit-${String(number).padStart(7, '0')}.ndjson`;
  return { number, name, path: join(directory, name) };
}

/** The files of a log, in order. */
export function auditFiles(directory: string): AuditFile[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .flatMap(({ name }) => {
      const file = auditFile(directory, Number(NAME.exec(name)?.[1] ?? 0));
      return file.name === name && file.number > 0 ? [file] : [];
    })
    .sort((a, b) => a.number - b.number);
}

/** A line as it is in its file. */
export interface RawLine {
  /** From 1. */
  readonly number: number;
  /** Offset of its first byte, and of the first behind it. */
  readonly from: number;
  readonly to: number;
  /** Without its end, valid until the next line is asked for; the beginning of one that is too long to be a line. */
  readonly bytes: Buffer;
  /** False for a last line that has no end. */
  readonly ended: boolean;
}

/** The lines of a file, one after another, in constant memory. Throws what the file system throws. */
export function* readLines(path: string): Generator<RawLine> {
  const fd = openSync(path, 'r');
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    let held = Buffer.alloc(0);
    let number = 0;
    let from = 0;
    for (let at = 0, read = 1; read > 0; at += read) {
      read = readSync(fd, chunk);
      const bytes = chunk.subarray(0, read);
      let begin = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, begin)) {
        const to = at + end + 1;
        const line = bytes.subarray(begin, end);
        number++;
        yield { number, from, to, bytes: joined(held, line), ended: true };
        held = held.subarray(0, 0);
        from = to;
        begin = end + 1;
      }
      held = Buffer.from(joined(held, bytes.subarray(begin)));
      if (read === 0 && at > from) {
        yield { number: number + 1, from, to: at, bytes: held, ended: false };
      }
    }
  } finally {
    closeSync(fd);
  }
}

function joined(held: Buffer, more: Buffer): Buffer {
  if (held.length === 0) return more;
  return held.length > LINE_BYTES_MAX ? held : Buffer.concat([held, more]);
}
