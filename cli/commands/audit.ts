// tapio-replay audit verify: is the audit log of a service as it was written?

import { readFileSync, statSync } from 'node:fs';
import { stderr, stdout } from 'node:process';
import { systemCode, TapioError } from '../../src/errors.ts';
import { directoryHolder } from '../../src/segment/lock.ts';
import { AUDIT_LOCK } from '../../src/service/audit-files.ts';
import { readAuditKey } from '../../src/service/audit-key.ts';
import {
  type AuditVerdict,
  type KnownHead,
  type VerifyOptions,
  verifyAudit,
} from '../../src/service/audit-verify.ts';
import { bytesText, countText, escapeControls } from '../format.ts';
import type { Command, Flags } from '../program.ts';

/** Reads without an end that are named. */
const READS_NAMED = 10;
const HEAD = /^([1-9]\d{0,14}):([0-9a-f]{64})$/;
/** A head in a line of syslog or the journal. */
const HEADS = /(?<![\w:])([1-9]\d{0,14}):([0-9a-f]{64})(?!\w)/g;

/** The values of a flag that may be given several times. */
function valuesOf(flags: Flags, name: string): string[] {
  return [flags[name] ?? []].flat().map(String);
}

function headOf(flag: string, text: string): KnownHead {
  const [, n, mac] = HEAD.exec(text) ?? [];
  if (n === undefined || mac === undefined) {
    throw new TapioError(
      'usage',
      `--${flag} ${text} is no head: it is NUMBER:MAC as the service published it (audit head NUMBER:MAC …)`,
    );
  }
  return { n: Number(n), mac };
}

function headsIn(path: string): KnownHead[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new TapioError('usage', `--heads ${path} cannot be read (${systemCode(error)})`);
  }
  const heads = [...text.matchAll(HEADS)].map(([, n, mac = '']) => ({ n: Number(n), mac }));
  if (heads.length > 0) return heads;
  throw new TapioError('usage', `there is no head in ${path}: lines with NUMBER:MAC are expected`);
}

function optionsOf(flags: Flags, directory: string): VerifyOptions {
  const [key, ...more] = valuesOf(flags, 'key').map((path) => readAuditKey(path, directory));
  if (key === undefined) {
    throw new TapioError('usage', 'name the key that the log was written with: --key FILE');
  }
  const heads = [
    ...valuesOf(flags, 'head').map((text) => headOf('head', text)),
    ...valuesOf(flags, 'heads').flatMap(headsIn),
  ];
  const [from] = valuesOf(flags, 'from').map((text) => headOf('from', text));
  const onFile = (name: string): void => {
    if (stderr.isTTY) stderr.write(`\r\x1b[Kverifying ${name}`);
  };
  return { keys: [key, ...more], heads, from: from ?? null, onFile };
}

function* textLines(
  verdict: AuditVerdict,
  heads: number,
  holder: number | null,
): Generator<string> {
  const { files, lines, bytes, last, underWay, problems, problemCount, notes } = verdict;
  for (const { text } of problems) yield text;
  const untold = problemCount - problems.length;
  if (untold > 0) yield `and ${countText(untold)} more`;
  for (const note of notes) yield note;
  if (underWay.length > 0) {
    const named = underWay.slice(0, READS_NAMED).join(', ');
    const rest = underWay.length > READS_NAMED ? ', …' : '';
    yield `begun and not ended: ${countText(underWay.length)} (${named}${rest})`;
  }
  if (heads === 0) {
    yield 'no head was given: lines that were cut off the end would not be missed (--head, --heads)';
  }
  if (lines === 0 && problemCount > 0) yield 'no line is of this key: is it the log’s?';
  const all = `${countText(files)} file${files === 1 ? '' : 's'}, ${countText(lines)} lines, ${bytesText(bytes)}`;
  const end = last === null ? '' : `; it ends at ${last.n}:${last.mac}`;
  const live = holder === null ? '' : `; process ${holder} writes it`;
  const sentence =
    problemCount === 0
      ? 'all is as it was written'
      : `${countText(problemCount)} problem${problemCount === 1 ? '' : 's'}`;
  yield `${sentence}: ${all}, ${countText(verdict.heads)} heads met${end}${live}`;
}

async function run(flags: Flags): Promise<number> {
  const [action, directory, ...rest] = flags._.map(String);
  if (action !== 'verify' || directory === undefined || rest.length > 0) {
    throw new TapioError('usage', 'say tapio-replay audit verify DIR --key FILE');
  }
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new TapioError(
      'store_missing',
      `there is no audit log at ${directory}: name its directory`,
    );
  }
  const options = optionsOf(flags, directory);
  let verdict: AuditVerdict;
  let holder: number | null;
  try {
    holder = directoryHolder(directory, AUDIT_LOCK);
    verdict = verifyAudit(directory, { ...options, isLive: holder !== null });
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw new TapioError(
      'io',
      `the audit log ${directory} cannot be read (${code}): name its directory, and read it as its owner`,
      { cause: error },
    );
  }
  if (stderr.isTTY) stderr.write('\r\x1b[K');
  if (flags.output === 'json') {
    stdout.write(`${JSON.stringify(verdict)}\n`);
  } else {
    for (const line of textLines(verdict, options.heads.length, holder)) {
      stdout.write(`${escapeControls(line)}\n`);
    }
  }
  return verdict.problemCount === 0 ? 0 : 1;
}

export const audit: Command = {
  usage: 'audit verify DIR --key FILE [flags]',
  flags: {
    key: { type: 'string', describe: 'FILE — the key of the log; again for each that it has had' },
    head: { type: 'string', describe: 'N:MAC — a head that was published; may be given again' },
    heads: { type: 'string', describe: 'FILE — heads in lines of any form, as from the journal' },
    from: {
      type: 'string',
      describe: 'N:MAC — head of the last file that retention has removed',
    },
    output: { alias: 'o', choices: ['text', 'json'], default: 'text', describe: 'form' },
  },
  examples: [
    [
      'tapio-replay audit verify /var/log/tapio-audit --key /etc/tapio/audit.key --heads heads.txt',
      'exit 1 where anything is not as it was written',
    ],
  ],
  run,
};
