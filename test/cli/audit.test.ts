// tapio-replay audit verify as a user calls it.

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { auditFiles } from '../../src/service/audit-files.ts';
import { readAuditKey } from '../../src/service/audit-key.ts';
import { headText } from '../../src/service/syslog.ts';
import { entry, OK, TestAudit } from '../support/audit.ts';
import { ROOT } from '../support/recording.ts';

let audit: TestAudit;
let keyPath: string;
let headsPath: string;
beforeAll(async () => {
  audit = new TestAudit();
  keyPath = join(audit.root, 'audit.key');
  headsPath = join(audit.root, 'heads.txt');
  writeFileSync(keyPath, randomBytes(32), { mode: 0o600 });
  const log = audit.open({ key: readAuditKey(keyPath, audit.directory), rotateBytes: 2_000 });
  for (let i = 0; i < 10; i++) (await log.begin(entry(i))).end(OK);
  await log.begin(entry());
  await log.close();
  const lines = audit.heads.map(
    (head) => `Jan 01 00:00:00 host tapio-record[7]: ${headText(head)}`,
  );
  writeFileSync(headsPath, `${lines.join('\n')}\n`);
});
afterAll(() => audit.remove());

function verify(...words: string[]): { code: number | null; out: string; err: string } {
  const all = ['cli/tapio-replay.ts', 'audit', 'verify', ...words];
  const done = spawnSync(execPath, all, { cwd: ROOT, encoding: 'utf8' });
  return { code: done.status, out: done.stdout, err: done.stderr };
}

const given = (): string[] => [audit.directory, '--key', keyPath];

test('a log that is whole', () => {
  const { code, out } = verify(...given(), '--heads', headsPath);
  expect(out).toMatch(
    /^begun and not ended: 1 \(\d+\)\nall is as it was written: \d files, \d+ lines, .*heads met; it ends at \d+:[0-9a-f]{64}\n$/,
  );
  expect(code).toBe(0);
  const bare = verify(...given());
  expect(bare.code).toBe(0);
  expect(bare.out).toContain(
    'no head was given: lines that were cut off the end would not be missed',
  );
  const json = JSON.parse(verify(...given(), '-o', 'json', '--heads', headsPath).out);
  expect(json).toMatchObject({
    problems: [],
    heads: audit.heads.length,
    underWay: [expect.any(Number)],
  });
});

test('a log that is not: exit 1, with what and where', () => {
  const path = auditFiles(audit.directory).at(-1)?.path ?? '';
  const whole = readFileSync(path);
  try {
    writeFileSync(path, whole.subarray(0, whole.length - 50));
    const last = audit.heads.at(-1);
    const { code, out } = verify(...given(), '--head', `${last?.n}:${last?.mac}`);
    expect(code).toBe(1);
    expect(out).toMatch(/audit-\d+\.ndjson line \d+ has no end: it was cut off/);
    expect(out).toContain(`before head ${last?.n}: it was truncated`);
    appendFileSync(path, '\u001b[2J\n');
    const edited = verify(...given(), '-o', 'json');
    expect(edited.code).toBe(1);
    expect(JSON.parse(edited.out).problems[0]).toMatchObject({ what: 'edited' });
  } finally {
    writeFileSync(path, whole);
  }
});

test('a service that writes it meanwhile may be half way through a line', async () => {
  const live = new TestAudit();
  const log = live.open({ key: readAuditKey(keyPath, live.directory) });
  try {
    const path = auditFiles(live.directory)[0]?.path ?? '';
    appendFileSync(path, '{"n":');
    const { code, out } = verify(live.directory, '--key', keyPath);
    expect(out).toContain(`process ${process.pid} writes it`);
    expect(code).toBe(0);
  } finally {
    await log.close().catch(() => {});
    live.remove();
  }
});

test('another key, no key, no log, no heads', () => {
  const other = join(audit.root, 'other.key');
  writeFileSync(other, randomBytes(32), { mode: 0o600 });
  const wrong = verify(audit.directory, '--key', other);
  expect(wrong.code).toBe(1);
  expect(wrong.out).toContain('no line is of this key: is it the log’s?');
  chmodSync(other, 0o644);
  const cases: readonly (readonly [string[], number, string])[] = [
    [[audit.directory], 2, '--key FILE'],
    [[], 2, 'audit verify DIR'],
    [['/nowhere', '--key', keyPath], 1, 'there is no audit log at /nowhere'],
    [[keyPath, '--key', keyPath], 1, 'there is no audit log at'],
    [[audit.directory, '--key', '/nowhere'], 2, 'cannot be read (ENOENT)'],
    [[audit.directory, '--key', other], 2, 'open to others'],
    [[...given(), '--head', '12'], 2, 'is no head'],
    [[...given(), '--heads', keyPath], 2, 'there is no head in'],
    [[...given(), '--heads', '/nowhere'], 2, 'cannot be read (ENOENT)'],
    [[...given(), '--heads', audit.directory], 2, 'cannot be read (EISDIR)'],
  ];
  for (const [words, code, said] of cases) {
    const done = verify(...words);
    expect(done.err, words.join(' ')).toContain(said);
    expect(done.err).not.toContain('this is a bug');
    expect(done.code, words.join(' ')).toBe(code);
  }
  rmSync(other);
});
