// The form of an audit log's lines. AUDIT.md says what each field means.

import { Buffer } from 'node:buffer';
import type { AuditKey } from './audit-key.ts';

/** What stands for the MAC of the line before the first. */
export const NO_MAC = '0'.repeat(64);

const MAC = /^[0-9a-f]{64}$/;
const KINDS = [
  'open',
  'begin',
  'end',
  'lost_end',
  'denied',
  'head',
  'rotate',
  'key',
  'close',
] as const;
export type AuditKind = (typeof KINDS)[number];

/** What a line says beside its place in the chain: values as JSON has them. */
export interface AuditFields {
  readonly kind: AuditKind;
  readonly [field: string]: unknown;
}

/** A line whose MAC is right. */
export interface AuditLine extends AuditFields {
  /** Its number in the log: 1, 2, 3 … across all files. */
  readonly n: number;
  /** RFC 3339, UTC. */
  readonly ts: string;
  /** The last line that was surely on the disk when this one was written. */
  readonly synced: number;
  /** MAC of the line before. */
  readonly prev: string;
  readonly mac: string;
}

/** A place in the chain: a line's number and MAC, and its file's name. */
export interface AuditHead {
  readonly n: number;
  readonly mac: string;
  readonly file: string;
}

// A line ends with its MAC, in a tail of constant length.
const TAIL_BEFORE = ',"mac":"';
const TAIL_BEHIND = '"}';
const TAIL_BYTES = TAIL_BEFORE.length + NO_MAC.length + TAIL_BEHIND.length;

/** JSON in printable ASCII, so that no terminal obeys it, and every byte of a line has one meaning. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^ -~]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Makes a line, its end included. */
export function makeLine(
  key: AuditKey,
  place: Pick<AuditLine, 'n' | 'ts' | 'synced' | 'prev'>,
  { kind, ...fields }: AuditFields,
): { readonly bytes: Buffer; readonly mac: string } {
  const { n, ts, synced, prev } = place;
  const text = asciiJson({ n, ts, kind, ...fields, synced, prev });
  const mac = key.mac(text);
  return {
    bytes: Buffer.from(`${text.slice(0, -1)}${TAIL_BEFORE}${mac}${TAIL_BEHIND}\n`, 'latin1'),
    mac,
  };
}

/** The MAC in the tail of a line, or null where it has no such tail. */
function macOf(bytes: Buffer): string | null {
  const tail = bytes.toString('latin1', Math.max(0, bytes.length - TAIL_BYTES));
  const mac = tail.slice(TAIL_BEFORE.length, -TAIL_BEHIND.length);
  return MAC.test(mac) && tail === `${TAIL_BEFORE}${mac}${TAIL_BEHIND}` ? mac : null;
}

/** True for what has the form of a line, whatever its MAC. */
export function looksLikeLine(bytes: Buffer): boolean {
  return macOf(bytes) !== null && /^\{"n":\d+,[ -~]*$/.test(bytes.toString('latin1'));
}

/** Reads a line without its end; null where this key did not write it. */
export function readLine(bytes: Buffer, key: AuditKey): AuditLine | null {
  const mac = macOf(bytes);
  // What this key did not write is not even parsed.
  if (mac === null || key.mac(bytes.subarray(0, -TAIL_BYTES), '}') !== mac) return null;
  try {
    const line = JSON.parse(bytes.toString('latin1')) as AuditLine;
    const whole =
      Number.isSafeInteger(line.n) &&
      Number.isSafeInteger(line.synced) &&
      typeof line.ts === 'string' &&
      KINDS.includes(line.kind) &&
      MAC.test(line.prev);
    return whole ? line : null;
  } catch {
    return null;
  }
}

/** Follows which reads have begun and not ended, by the numbers of their `begin`. */
export class ReadsUnderWay {
  readonly ids = new Set<number>();

  follow({ kind, n, id, reads }: AuditLine): void {
    if (kind === 'begin') this.ids.add(n);
    else if (kind === 'end' || kind === 'lost_end') this.ids.delete(id as number);
    else if (kind === 'rotate' && Array.isArray(reads)) {
      // Says it for who has not read the files before.
      this.ids.clear();
      for (const one of reads) if (Number.isSafeInteger(one)) this.ids.add(one);
    }
  }
}
