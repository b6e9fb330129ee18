// Whether an audit log is as it was written: every line, in its place, up to the heads that were published. It reads files
// that anybody may have changed, in constant memory.

import { type AuditFile, auditFile, auditFiles, type RawLine, readLines } from './audit-files.ts';
import type { AuditKey } from './audit-key.ts';
import type { AuditHead, AuditLine } from './audit-line.ts';
import { NO_MAC, ReadsUnderWay, readLine } from './audit-line.ts';

/** Problems that are told one by one; all are counted. */
const PROBLEMS_TOLD = 50;

/** What can be wrong. */
export type ProblemKind =
  | 'edited'
  | 'missing'
  | 'reordered'
  | 'cut'
  | 'misplaced'
  | 'truncated'
  | 'rewritten'
  | 'key';

/** Something that is not as it was written. */
export interface AuditProblem {
  readonly what: ProblemKind;
  /** Name of the file, and number of the line in it from 1; null where it is none's. */
  readonly file: string | null;
  readonly line: number | null;
  readonly text: string;
}

/** A published head, as far as it must be known. */
export type KnownHead = Pick<AuditHead, 'n' | 'mac'>;

export interface VerifyOptions {
  readonly keys: readonly [AuditKey, ...AuditKey[]];
  /** Heads that were published. */
  readonly heads: readonly KnownHead[];
  /** The head behind which the log is kept; null for one that is kept from its beginning. */
  readonly from: KnownHead | null;
  /** True where a service writes it meanwhile: its end may be half written. */
  readonly isLive?: boolean;
  /** Hears of each file as it begins. */
  readonly onFile?: (name: string) => void;
}

/** What is found. */
export interface AuditVerdict {
  readonly files: number;
  /** Lines that are right. */
  readonly lines: number;
  readonly bytes: number;
  /** The last of them. */
  readonly last: AuditHead | null;
  /** Heads that are right, and those before the first line that is kept, of which nothing is known. */
  readonly heads: number;
  readonly headsBefore: number;
  /** Numbers of begins that have no end. */
  readonly underWay: readonly number[];
  /** The first of them, and how many there are. */
  readonly problems: readonly AuditProblem[];
  readonly problemCount: number;
  /** What a service found and told: bytes of a crash. */
  readonly notes: readonly string[];
}

/** Reads all files of a log. Throws only what the file system throws. */
export function verifyAudit(directory: string, options: VerifyOptions): AuditVerdict {
  const verification = new Verification(options);
  const files = auditFiles(directory);
  const first = options.from === null ? 1 : (files[0]?.number ?? 1);
  let expected = first;
  for (const [i, file] of files.entries()) {
    verification.missingFiles(directory, expected, file.number);
    expected = file.number + 1;
    options.onFile?.(file.name);
    if (!verification.readFile(file, i === files.length - 1)) break;
  }
  if (files.length === 0) verification.missingFiles(directory, 1, 2);
  return verification.finish(files.length);
}

class Verification {
  readonly #keys: readonly [AuditKey, ...AuditKey[]];
  readonly #heads = new Map<number, Set<string>>();
  readonly #from: KnownHead | null;
  readonly #isLive: boolean;
  readonly #problems: AuditProblem[] = [];
  readonly #notes: string[] = [];
  readonly #reads = new ReadsUnderWay();
  #problemCount = 0;
  #lines = 0;
  #bytes = 0;
  #headsFound = 0;
  /** Number of the first line, where the log is kept from a head. */
  #first = 1;
  /** The last line that is right and in its place, or what stands for it. */
  #last: AuditHead;
  /** Lines since then that no key wrote. */
  #unknown = 0;
  #key: AuditKey;
  /** Fingerprint of the key that the last line says the next file is under. */
  #nextKey: string | null = null;

  constructor({ keys, heads, from, isLive }: VerifyOptions) {
    this.#keys = keys;
    this.#key = keys[0];
    this.#from = from;
    this.#isLive = isLive ?? false;
    this.#last = { n: from?.n ?? 0, mac: from?.mac ?? NO_MAC, file: '' };
    for (const { n, mac } of from === null ? heads : [...heads, from]) {
      this.#heads.set(n, (this.#heads.get(n) ?? new Set()).add(mac));
    }
  }

  /** Files from number `from` on, up to `to`, are not there. */
  missingFiles(directory: string, from: number, to: number): void {
    if (from >= to) return;
    const [first, last] = [auditFile(directory, from).name, auditFile(directory, to - 1).name];
    const text = from === to - 1 ? `${first} is missing` : `${first} to ${last} are missing`;
    this.#problem('missing', first, null, text);
  }

  /** Reads a file; false where nothing behind it can be judged. */
  readFile(file: AuditFile, isLast: boolean): boolean {
    let lines = 0;
    let keyIsKnown = false;
    for (const raw of readLines(file.path)) {
      lines++;
      this.#bytes += raw.to - raw.from;
      if (!keyIsKnown) {
        if (!this.#chooseKey(file, raw)) return false;
        keyIsKnown = readLine(raw.bytes, this.#key) !== null;
      }
      const line = raw.ended ? readLine(raw.bytes, this.#key) : null;
      if (line === null) this.#unknownLine(file, raw, isLast);
      else this.#line(file, raw, line);
    }
    if (lines === 0 && !(isLast && this.#isLive)) {
      const text = 'has no line: it was emptied, or the service died as it began it';
      this.#problem('cut', file.name, null, `${file.name} ${text}`);
    }
    return true;
  }

  finish(files: number): AuditVerdict {
    let headsBefore = 0;
    for (const n of [...this.#heads.keys()].sort((a, b) => a - b)) {
      if (n < this.#first) {
        headsBefore++;
        continue;
      }
      const text =
        n > this.#last.n
          ? `the log ends at number ${this.#last.n}, before head ${n}: it was truncated`
          : `head ${n} was published, and that line is not there`;
      this.#problem(n > this.#last.n ? 'truncated' : 'missing', null, null, text);
    }
    return {
      files,
      lines: this.#lines,
      bytes: this.#bytes,
      last: this.#lines === 0 ? null : this.#last,
      heads: this.#headsFound,
      headsBefore,
      underWay: [...this.#reads.ids],
      problems: this.#problems,
      problemCount: this.#problemCount,
      notes: this.#notes,
    };
  }

  #problem(what: ProblemKind, file: string | null, line: number | null, text: string): void {
    this.#problemCount++;
    if (this.#problems.length < PROBLEMS_TOLD) this.#problems.push({ what, file, line, text });
  }

  /**
   * A file is under one key: that of the file before, but where a line said otherwise. Asked for each line until one is
   * right; false where the key is none of those given.
   */
  #chooseKey(file: AuditFile, { number, bytes }: RawLine): boolean {
    const wanted = this.#nextKey;
    this.#nextKey = null;
    const writer = this.#keys.find((one) => readLine(bytes, one) !== null);
    if (wanted !== null) {
      const named = this.#keys.find(({ fingerprint }) => fingerprint === wanted);
      if (named === undefined) {
        const text = `goes on under the key with fingerprint ${wanted}: name that one too, with --key`;
        this.#problem('key', file.name, number, `${file.name} ${text}`);
        return false;
      }
      this.#key = named;
    } else if (this.#lines === 0) {
      this.#key = writer ?? this.#key;
    } else if (writer !== undefined && writer !== this.#key) {
      const text = `is under another key, and no line before it says so`;
      this.#problem('key', file.name, number, `${file.name} ${text}`);
      this.#key = writer;
    }
    return true;
  }

  #unknownLine(file: AuditFile, { number, ended }: RawLine, isLast: boolean): void {
    if (!ended && isLast && this.#isLive) return;
    this.#unknown++;
    const at = `${file.name} line ${number}`;
    if (ended) {
      const text = `${at} is not as it was written: edited, put in, or of another key`;
      this.#problem('edited', file.name, number, text);
      return;
    }
    const how = isLast ? 'it was cut off, or the service died as it wrote it' : 'it was cut off';
    this.#problem('cut', file.name, number, `${at} has no end: ${how}`);
  }

  /** A log that is kept from a head begins with the line behind it, or with any before it. */
  #begin({ n, prev }: AuditLine): void {
    const from = this.#from;
    if (from === null) return;
    this.#first = Math.min(n, from.n + 1);
    if (n > from.n) this.#meet(from, null, null);
    else this.#last = { n: n - 1, mac: prev, file: '' };
  }

  #line(file: AuditFile, { number }: RawLine, line: AuditLine): void {
    if (this.#lines === 0) this.#begin(line);
    const { n, prev } = line;
    const next = this.#last.n + 1;
    const at = `${file.name} line ${number}`;
    if (n < next) {
      const text = `${at} has number ${n} and stands behind number ${this.#last.n}: lines were reordered or repeated`;
      this.#problem('reordered', file.name, number, text);
      return;
    }
    if (n > next + this.#unknown) {
      const gone = next + this.#unknown;
      const numbers = gone === n - 1 ? `number ${gone} is` : `numbers ${gone} to ${n - 1} are`;
      this.#problem('missing', file.name, number, `${numbers} missing before ${at}`);
    } else if (n === next && prev !== this.#last.mac) {
      const text = `${at} does not follow from the line before it: one of the two is of another log, or of a copy that went on by itself`;
      this.#problem('rewritten', file.name, number, text);
    }
    this.#checkPlace(file, number, line);
    this.#unknown = 0;
    this.#lines++;
    this.#last = { n, mac: line.mac, file: file.name };
    this.#meet(this.#last, file.name, number);
    this.#reads.follow(line);
    if (line.kind === 'key') this.#nextKey = valueText(line.next);
    if (Array.isArray(line.torn)) this.#noteTorn(at, line.torn);
  }

  /** First lines of files stand where they say. */
  #checkPlace(file: AuditFile, number: number, line: AuditLine): void {
    const begins = line.kind === 'rotate' || line.n === 1;
    if (begins ? number === 1 && line.file === file.name : number > 1) return;
    const text = begins
      ? `is the first line of ${valueText(line.file)}`
      : `is not the first line of a file, and stands there`;
    this.#problem('misplaced', file.name, number, `${file.name} line ${number} ${text}`);
  }

  /** Holds a line against the heads of its number. */
  #meet({ n, mac }: KnownHead, file: string | null, line: number | null): void {
    const published = this.#heads.get(n);
    if (published === undefined) return;
    this.#heads.delete(n);
    if (published.delete(mac)) this.#headsFound++;
    if (published.size === 0) return;
    const at = file === null ? 'the head that it is kept from' : `${file} line ${line}`;
    const text = `${at} has number ${n} and another MAC than head ${n} that was published: the log was rewritten, or the head is another log's`;
    this.#problem('rewritten', file, line, text);
  }

  #noteTorn(at: string, torn: readonly unknown[]): void {
    for (const one of torn) {
      const { file, bytes } = (one ?? {}) as Readonly<Record<string, unknown>>;
      this.#notes.push(
        `before ${at} ${valueText(bytes)} bytes were found that were no whole line, as a crash leaves them: they are kept in ${valueText(file)}`,
      );
    }
  }
}

/** Whatever JSON value, as a text. */
function valueText(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'unknown');
}
