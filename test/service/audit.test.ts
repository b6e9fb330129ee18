// What a log records, when it is durable, and what happens where it cannot be written.

import { execFileSync, spawnSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { inspect } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { diskFiles } from '../../src/segment/files.ts';
import { auditFiles } from '../../src/service/audit-files.ts';
import { AuditKey, ensureAuditKey, readAuditKey } from '../../src/service/audit-key.ts';
import { verifyAudit } from '../../src/service/audit-verify.ts';
import { entry, linesOf, OK, TestAudit } from '../support/audit.ts';
import { ROOT } from '../support/recording.ts';
import { SimDisk } from '../support/sim-disk.ts';

let audit: TestAudit;
const ends: (() => void)[] = [];
beforeEach(() => {
  audit = new TestAudit();
});
afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
  audit.remove();
});

const kinds = (): string[] => audit.lines().map(({ kind }) => kind);

test('a read has two lines, a refusal one, and all is as it was written', async () => {
  const log = audit.open();
  const read = await log.begin(entry());
  read.end(OK);
  read.end({ ...OK, result: 'twice' });
  await log.denied({ ...entry(), identity: null, reason: 'no such token' });
  await log.close();
  await log.close();
  const lines = audit.lines();
  expect(kinds()).toEqual(['open', 'begin', 'end', 'denied', 'close', 'head']);
  expect(lines.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(lines[1]).toMatchObject({ id: 2, identity: 'user-0', method: 'Query', synced: 1 });
  expect(lines[2]).toMatchObject({ id: 2, rows: 10, bytes: 1_000, result: 'ok' });
  expect(lines[3]).toMatchObject({ identity: null, reason: 'no such token' });
  expect(audit.heads.map(({ n, file }) => [n, file])).toEqual([[6, 'audit-0000001.ndjson']]);
  expect(audit.heads[0]?.mac).toBe(lines[5]?.mac);
  expect(audit.verify()).toMatchObject({ problems: [], lines: 6, heads: 1, underWay: [] });
  expect(statSync(auditFiles(audit.directory)[0]?.path ?? '').mode & 0o777).toBe(0o600);
  await expect(log.begin(entry())).rejects.toThrow('the audit log is closed');
});

test('a begin is acknowledged after its sync, and many share one', async () => {
  const disk = new SimDisk(audit.root);
  const log = audit.open({ files: disk });
  const syncs = (): number => disk.log.filter(({ operation }) => operation === 'sync').length;
  const before = syncs();
  const reads = await Promise.all(Array.from({ length: 1_000 }, (_, i) => log.begin(entry(i))));
  expect(syncs() - before).toBe(1);
  expect(new Set(reads.map(({ id }) => id)).size).toBe(1_000);
  for (const read of reads) read.end(OK);
  await new Promise((resolve) => setImmediate(resolve));
  expect(syncs() - before).toBe(1);
  expect(kinds().filter((kind) => kind === 'end').length).toBe(1_000);
  await log.begin(entry());
  expect(syncs() - before).toBe(2);
  await log.close();
  expect(audit.verify()).toMatchObject({ problems: [], underWay: [1_002 + 1_000] });
});

test('files are rotated by size and day, and each goes on from the one before', async () => {
  let now = Date.UTC(2026, 0, 1, 23, 59, 58);
  const log = audit.open({ now: () => now, rotateBytes: 4_000 });
  const long = await log.begin(entry());
  for (let i = 0; i < 20; i++) (await log.begin(entry(i))).end(OK);
  const bySize = auditFiles(audit.directory).length;
  expect(bySize).toBeGreaterThan(2);
  now += 2_000;
  await log.begin(entry());
  expect(auditFiles(audit.directory).length).toBe(bySize + 1);
  long.end(OK);
  await log.close();
  const rotations = audit.lines().filter(({ kind }) => kind === 'rotate');
  expect(rotations.length).toBe(bySize);
  expect(rotations[0]).toMatchObject({
    file: 'audit-0000002.ndjson',
    previous: {
      file: 'audit-0000001.ndjson',
      n: (rotations[0]?.n ?? 0) - 1,
      mac: rotations[0]?.prev,
    },
    reads: [2],
  });
  expect(audit.heads.length).toBe(bySize + 1);
  expect(audit.verify()).toMatchObject({ problems: [], heads: bySize + 1 });
  // Retention took the first files: the log is kept from the head of the last of them.
  for (const { path } of auditFiles(audit.directory).slice(0, 2)) rmSync(path);
  expect(audit.verify().problems[0]?.text).toBe(
    'audit-0000001.ndjson to audit-0000002.ndjson are missing',
  );
});

test('heads are published a while after a change, and only then', async () => {
  const log = audit.open({ headMs: 20 });
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 200));
  await pause();
  expect(audit.heads.length).toBe(1);
  await pause();
  expect(audit.heads.length).toBe(1);
  (await log.begin(entry())).end(OK);
  await pause();
  expect(audit.heads.length).toBe(2);
  await log.close();
  expect(audit.verify()).toMatchObject({ problems: [], heads: 3 });
});

test('what a publisher makes of a head does not matter to the log', async () => {
  const log = audit.open({ publish: () => Promise.reject(new Error('no syslog')) });
  await log.begin(entry());
  await log.close();
  expect(audit.verify([]).problems).toEqual([]);
});

test('reads whose process died have no end, and the next one says so', async () => {
  const log = audit.open();
  await log.begin(entry());
  (await log.begin(entry())).end(OK);
  await log.close();
  const again = audit.open();
  expect(audit.lines().slice(-2)).toMatchObject([{ kind: 'open' }, { kind: 'lost_end', id: 2 }]);
  await again.close();
  await audit.open().close();
  expect(kinds().filter((kind) => kind === 'lost_end').length).toBe(1);
  expect(audit.verify()).toMatchObject({ problems: [], underWay: [] });
});

test('a torn last line is kept aside and told', async () => {
  await audit.open().close();
  const [file] = auditFiles(audit.directory);
  appendFileSync(file?.path ?? '', '{"n":4,"ts":"2026');
  expect(audit.verify().problems.map(({ what }) => what)).toEqual(['cut']);
  await audit.open().close();
  expect(audit.lines()[3]).toMatchObject({
    kind: 'open',
    torn: [{ file: 'audit-0000001.torn-4-1', bytes: 17 }],
  });
  expect(readFileSync(join(audit.directory, 'audit-0000001.torn-4-1'), 'utf8')).toBe(
    '{"n":4,"ts":"2026',
  );
  const { problems, notes } = audit.verify();
  expect(problems).toEqual([]);
  expect(notes).toHaveLength(1);
});

test('a log that was changed is not opened', async () => {
  const log = audit.open();
  for (let i = 0; i < 5; i++) await log.begin(entry(i));
  await log.close();
  const path = auditFiles(audit.directory)[0]?.path ?? '';
  const whole = readFileSync(path, 'latin1');
  writeFileSync(path, whole.replace('process.pid == 2', 'process.pid == 9'));
  expect(() => audit.open()).toThrow(/was changed at line number 4.*audit verify/);
  writeFileSync(path, whole.replace('"kind":"open"', '"kind":"0pen"'));
  expect(() => audit.open()).toThrow(/its first line was changed/);
  writeFileSync(path, whole);
  expect(() => audit.open({ key: new AuditKey(randomBytes(32)) })).toThrow(/with another key/);
  await audit.open().close();
  expect(audit.verify().problems).toEqual([]);
});

test('two processes cannot write one log', async () => {
  const log = audit.open();
  expect(() => audit.open()).toThrow(/process \d+ writes the audit log .* already/);
  const code = `
    const { AuditLog } = await import('./src/service/audit.ts');
    const { AuditKey } = await import('./src/service/audit-key.ts');
    const { diskFiles } = await import('./src/segment/files.ts');
    const key = new AuditKey(new Uint8Array(32));
    try {
      AuditLog.open({ files: diskFiles, directory: process.argv[1], key, publish() {}, now: Date.now });
    } catch (error) { console.log(error.code); }`;
  const words = ['--input-type=module', '-e', code, audit.directory];
  const other = spawnSync(execPath, words, { cwd: ROOT, encoding: 'utf8' });
  expect(other.stdout).toBe('store_locked\n');
  await log.close();
  await audit.open().close();
});

test('a log that others can read is refused', () => {
  chmodSync(audit.directory, 0o755);
  expect(() => audit.open()).toThrow(/open to others \(mode 755\): chmod 700/);
});

for (const fault of ['append', 'sync', 'create', 'syncDirectory'] as const) {
  test(`${fault} fails: nothing is acknowledged, and it goes on when it works again`, async () => {
    const disk = new SimDisk(audit.root);
    let failing = false;
    const log = audit.open({ files: disk, rotateBytes: 3_000 });
    disk.failAt(({ operation }) => failing && operation === fault, 'ENOSPC');
    const acknowledged: number[] = [];
    const refused: unknown[] = [];
    for (let i = 0; i < 60; i++) {
      failing = i % 20 > 8;
      await log.begin(entry(i)).then(
        (read) => {
          acknowledged.push(read.id);
          if (i % 3 > 0) read.end(OK);
        },
        (error: unknown) => refused.push(error),
      );
    }
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]).toMatchObject({ name: 'TapioError', code: 'io' });
    expect(String(refused[0])).toContain('the disk is full: make room there');
    failing = false;
    await log.close();
    const begun = audit.lines().filter(({ kind }) => kind === 'begin');
    expect(begun.map(({ n }) => n)).toEqual(acknowledged);
    expect(audit.verify().problems).toEqual([]);
    // No end was lost to the failure.
    expect(audit.verify().underWay.length).toBe(
      acknowledged.length - kinds().filter((k) => k === 'end').length,
    );
    await audit.open().close();
    expect(audit.verify()).toMatchObject({ problems: [], underWay: [] });
  });
}

test.skipIf(process.getuid?.() !== 0)(
  'a full disk stops serving until there is room',
  async () => {
    const mounted = join(audit.root, 'disk');
    mkdirSync(mounted);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=700', 'tmpfs', mounted]);
    ends.push(() => execFileSync('umount', ['-l', mounted]));
    const directory = join(mounted, 'audit');
    const log = audit.open({ directory });
    const ballast = join(mounted, 'ballast');
    let served = 0;
    const serve = (): Promise<unknown> =>
      log.begin(entry()).then(
        (read) => {
          served++;
          read.end(OK);
          return null;
        },
        (error: unknown) => error,
      );
    await serve();
    // A write that finds no room at all leaves an empty file or a part of one.
    spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4k']);
    let failure: unknown = null;
    for (let i = 0; i < 100 && failure === null; i++) failure = await serve();
    expect(String(failure)).toMatch(/nothing is served; the disk is full/);
    const full = served;
    for (let i = 0; i < 10; i++) expect(await serve()).not.toBeNull();
    expect(served).toBe(full);
    rmSync(ballast);
    expect(await serve()).toBeNull();
    await log.close();
    const begun = linesOf(directory).filter(({ kind }) => kind === 'begin');
    expect(begun.length).toBe(served);
    const options = { keys: [audit.key] as const, heads: audit.heads, from: null };
    expect(verifyAudit(directory, options)).toMatchObject({ problems: [] });
  },
  60_000,
);

test('files that go away, or are written by others, are noticed', async () => {
  const log = audit.open();
  await log.begin(entry());
  const path = auditFiles(audit.directory)[0]?.path ?? '';
  renameSync(path, `${path}.away`);
  await expect(log.begin(entry())).rejects.toThrow(/it is gone/);
  await expect(log.begin(entry())).rejects.toThrow(/it is gone/);
  renameSync(`${path}.away`, path);
  await log.begin(entry());
  appendFileSync(path, 'x');
  await expect(log.begin(entry())).rejects.toThrow(/changed by somebody else/);
  await log.begin(entry());
  truncateSync(path, 100);
  await expect(log.begin(entry())).rejects.toThrow(/changed by somebody else/);
  await expect(log.begin(entry())).rejects.toThrow(/changed by somebody else/);
  await expect(log.close()).rejects.toThrow();
});

test('a key gives way to another, and both are needed to verify', async () => {
  await audit.open().close();
  const next = new AuditKey(randomBytes(32));
  const log = audit.open({ key: next, previousKey: audit.key });
  await log.begin(entry());
  await log.close();
  // The key before may be named still, and need not be.
  await audit.open({ key: next, previousKey: audit.key }).close();
  await audit.open({ key: next }).close();
  expect(auditFiles(audit.directory).length).toBe(2);
  expect(audit.verify(audit.heads, [audit.key, next])).toMatchObject({ problems: [] });
  expect(audit.verify(audit.heads, [next, audit.key])).toMatchObject({ problems: [] });
  expect(audit.verify().problems[0]?.text).toBe(
    `audit-0000002.ndjson goes on under the key with fingerprint ${next.fingerprint}: name that one too, with --key`,
  );
  expect(() => audit.open()).toThrow(/with another key/);
  // One line that was edited is one problem, whichever keys are named first, and be it the one that names the next key.
  for (const kind of ['open', 'key', 'rotate', 'head']) {
    const { path } = auditFiles(audit.directory)[kind === 'rotate' ? 1 : 0] ?? { path: '' };
    const whole = readFileSync(path, 'latin1');
    writeFileSync(path, whole.replace(`"kind":"${kind}"`, '"kind":"x"'));
    const { problems } = audit.verify(audit.heads.slice(-1), [next, audit.key]);
    const found = kind === 'key' ? ['edited', 'key'] : ['edited'];
    expect(
      problems.map(({ what }) => what),
      kind,
    ).toEqual(found);
    writeFileSync(path, whole);
  }
});

test('lines are as AUDIT.md says: HMAC of what stands before the MAC', async () => {
  const secret = randomBytes(40);
  const log = audit.open({ key: new AuditKey(secret), rotateBytes: 1_000 });
  for (let i = 0; i < 9; i++) (await log.begin(entry(i))).end(OK);
  await log.close();
  let n = 0;
  let prev = '0'.repeat(64);
  for (const { path } of auditFiles(audit.directory)) {
    for (const line of readFileSync(path, 'latin1').split('\n').slice(0, -1)) {
      const mac = createHmac('sha256', secret)
        .update(line.replace(/,"mac":"[0-9a-f]{64}"}$/, '}'))
        .digest('hex');
      n++;
      expect(JSON.parse(line)).toMatchObject({ n, prev, mac });
      prev = mac;
    }
  }
  expect(n).toBeGreaterThan(20);
});

test('requests are bounded and bear no secrets; lines are printable ASCII', async () => {
  const log = audit.open();
  const request = {
    authorization: 'Bearer hush!',
    nested: { token: 'hush!', apiKey: 'hush!', text: '\u001b[2J\u202e ü 😀\u009b' },
    bytes: new Uint8Array(5),
    seq: 2n ** 60n,
    long: 'x'.repeat(10_000),
  };
  await log.begin({ ...entry(), identity: 'i'.repeat(100_000), request });
  await log.begin({ ...entry(), request: { all: Array.from({ length: 5_000 }, (_, i) => i) } });
  await log.close();
  const text = readFileSync(auditFiles(audit.directory)[0]?.path ?? '', 'latin1');
  expect(text).toMatch(/^[ -~\n]*$/);
  expect(text).not.toContain('hush!');
  const [, first, second] = audit.lines();
  expect(first?.request).toMatchObject({
    authorization: '[masked]',
    nested: { token: '[masked]', apiKey: '[masked]', text: request.nested.text },
    bytes: '5 bytes',
    seq: String(2n ** 60n),
  });
  expect(second?.request).toMatchObject({ characters: 23_899 });
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(8_000);
});

test('a key: made once, for its owner alone, elsewhere, and never shown', () => {
  const path = join(audit.root, 'audit.key');
  const key = ensureAuditKey(diskFiles, path, audit.directory);
  expect(ensureAuditKey(diskFiles, path, audit.directory).fingerprint).toBe(key.fingerprint);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const secret = readFileSync(path, 'latin1');
  expect(secret).toMatch(/^[0-9a-f]{64}$/);
  expect(inspect(key, { depth: 9, showHidden: true }) + JSON.stringify(key)).not.toContain(secret);
  const inside = join(audit.directory, 'audit.key');
  const link = join(audit.root, 'link');
  symlinkSync(audit.directory, link);
  for (const one of [inside, join(link, 'audit.key'), audit.directory]) {
    expect(() => ensureAuditKey(diskFiles, one, audit.directory), one).toThrow(/keep it elsewhere/);
  }
  expect(readdirSync(audit.directory)).toEqual([]);
  chmodSync(path, 0o640);
  expect(() => readAuditKey(path, audit.directory)).toThrow(/open to others \(mode 640\)/);
  writeFileSync(join(audit.root, 'short'), 'x'.repeat(31), { mode: 0o600 });
  expect(() => readAuditKey(join(audit.root, 'short'), audit.directory)).toThrow(/has 31 bytes/);
  expect(() => readAuditKey(audit.root, audit.directory)).toThrow(/lies in|is not a file/);
  writeFileSync(join(audit.directory, 'audit-0000001.ndjson'), '');
  const missing = join(audit.root, 'missing');
  expect(() => ensureAuditKey(diskFiles, missing, audit.directory)).toThrow(/bring it back/);
  expect(() => readAuditKey(missing, audit.directory)).toThrow(/cannot be read \(ENOENT\)/);
});
