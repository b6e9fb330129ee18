// The power goes, or the process is killed, all over a log's life: what was acknowledged is there, and the chain goes on.

import { ok } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { env, execPath } from 'node:process';
import { expect, test } from 'vitest';
import { TapioError } from '../../src/errors.ts';
import { AuditLog } from '../../src/service/audit.ts';
import { auditFiles } from '../../src/service/audit-files.ts';
import { AuditKey, readAuditKey } from '../../src/service/audit-key.ts';
import type { Torn } from '../../src/service/audit-recovery.ts';
import { type KnownHead, verifyAudit } from '../../src/service/audit-verify.ts';
import { entry, linesOf, OK } from '../support/audit.ts';
import { random } from '../support/batches.ts';
import { ROOT, temporaryDirectory } from '../support/recording.ts';
import { diskDirectory, SimDisk } from '../support/sim-disk.ts';

const SEED = 20260101;
const POINTS = env.TAPIO_LONG === undefined ? 250 : 5_000;
const KILLS = 20;
// A run takes some 10 ms; this is for machines that have much else to do.
const TIMEOUT_MS = 60_000 + POINTS * 500;
const KEYS = [new AuditKey(randomBytes(32)), new AuditKey(randomBytes(32))] as const;

/** What a life of a log has acknowledged and published. */
interface Promised {
  readonly begins: number[];
  readonly heads: KnownHead[];
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Keys = readonly [AuditKey, AuditKey];
const TWO_KEYS: readonly Keys[] = [KEYS, [KEYS[1], KEYS[0]]];

/** A log's life on a disk: a process for each key with the one before. */
async function live(
  disk: SimDisk,
  directory: string,
  promised: Promised,
  processes: readonly Keys[] = TWO_KEYS,
): Promise<void> {
  const open = (key: AuditKey, previousKey: AuditKey): AuditLog =>
    AuditLog.open({
      files: disk,
      directory,
      key,
      previousKey,
      now: Date.now,
      rotateBytes: 2_500,
      publish: (head) => {
        promised.heads.push(head);
      },
    });
  for (const [key, other] of processes) {
    const log = open(key, other);
    for (let i = 0; i < 6; i++) {
      const begun = await Promise.allSettled(
        Array.from({ length: 1 + ((i * 5) % 12) }, (_, j) => log.begin(entry(i * 100 + j))),
      );
      for (const [j, one] of begun.entries()) {
        if (one.status === 'rejected') continue;
        promised.begins.push(one.value.id);
        if (j % 2 === 0) one.value.end(OK);
      }
      await turn();
    }
    await log.close();
  }
}

/** Throws where a promise was broken. The next process goes on, and so does the one after it. */
async function check(directory: string, promised: Promised): Promise<void> {
  const begins = new Set<number>();
  for (const key of [KEYS[1], KEYS[1]]) {
    const log = AuditLog.open({
      files: new SimDisk(join(directory, '..')),
      directory,
      key,
      previousKey: KEYS[0],
      now: Date.now,
      publish: () => {},
    });
    const read = await log.begin(entry());
    read.end(OK);
    await log.close();
    begins.add(read.id);
  }
  const options = { keys: KEYS, heads: promised.heads, from: null };
  const { problems, underWay } = verifyAudit(directory, options);
  ok(problems.length === 0, problems.map(({ text }) => text).join('; '));
  ok(underWay.length === 0, `${underWay.length} reads have no end`);
  const lines = linesOf(directory);
  const found = new Map(lines.map((line) => [line.n, line.kind]));
  const told = lines.flatMap(({ torn }) => (torn ?? []) as Torn[]);
  for (const { file, sha256 } of told) {
    const kept = createHash('sha256').update(readFileSync(join(directory, file)));
    ok(kept.digest('hex') === sha256, `${file} is not what was kept`);
  }
  const kept = readdirSync(directory).filter((name) => name.includes('.torn-'));
  const untold = kept.filter((name) => told.every(({ file }) => file !== name));
  ok(untold.length === 0, `no line tells of ${untold}`);
  for (const n of promised.begins) ok(found.get(n) === 'begin', `begin ${n} is gone`);
  for (const n of begins) ok(found.get(n) === 'begin', `begin ${n} after the cut is gone`);
}

/** The power goes again while the next process goes on. */
async function recoverAndCut(
  path: string,
  directory: string,
  promised: Promised,
  point: number,
  seed: number,
  prepare: (disk: SimDisk) => void,
): Promise<void> {
  const disk = new SimDisk(path);
  prepare(disk);
  disk.cutAt(point);
  try {
    await live(disk, directory, promised, [[KEYS[1], KEYS[0]]]);
  } catch (error) {
    if (!disk.off) throw error;
  }
  await turn();
  disk.lose(random(seed));
}

/** One run: what broke, or null. */
async function runOnce(
  offset: number,
  seed: number,
  prepare: (disk: SimDisk) => void,
  { killedAt, cutAgain }: { readonly killedAt: number | null; readonly cutAgain: number | null },
): Promise<string | null> {
  const { path, remove } = diskDirectory();
  const disk = new SimDisk(path);
  const directory = join(path, 'audit');
  const promised: Promised = { begins: [], heads: [] };
  prepare(disk);
  if (killedAt !== null) {
    disk.cutAt(killedAt);
    await live(disk, directory, promised, [KEYS]).catch(() => {});
    await turn();
    disk.restart();
    // The lock is none of the disk's, and its holder is this process.
    for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' })) {
      if (name.endsWith('.lock')) rmSync(join(path, name));
    }
  }
  const point = disk.operations + offset;
  disk.cutAt(point);
  try {
    try {
      await live(disk, directory, promised);
    } catch (error) {
      // Where opening or closing cannot be written, the life ends there.
      if (!disk.off && !(error instanceof TapioError && error.code === 'io')) throw error;
    }
    await turn();
    disk.lose(random(seed));
    if (cutAgain !== null)
      await recoverAndCut(path, directory, promised, cutAgain, seed + 1, prepare);
    await check(directory, promised);
    return null;
  } catch (error) {
    const where = disk.log.find(({ number }) => number === point);
    const said = error instanceof Error ? error.message : String(error);
    return `${said}; cut at ${point} (${where?.operation} ${where?.path} ${where?.site}), seed ${seed}\n${disk.lost.join('\n')}`;
  } finally {
    disk.close();
    remove();
  }
}

/** Where a log syncs, also as it goes on after a crash. */
async function syncSites(): Promise<Set<string>> {
  const all = [...(await operations())];
  const { path, remove } = diskDirectory();
  const directory = join(path, 'audit');
  try {
    await live(new SimDisk(path), directory, { begins: [], heads: [] });
    appendFileSync(auditFiles(directory).at(-1)?.path ?? '', '{"n":');
    const disk = new SimDisk(path);
    await live(disk, directory, { begins: [], heads: [] }, [[KEYS[1], KEYS[0]]]);
    all.push(...disk.log.map((one) => ({ ...one, site: one.site })));
  } finally {
    remove();
  }
  return new Set(all.filter(({ operation }) => /^sync/.test(operation)).map(({ site }) => site));
}

async function operations(): Promise<SimDisk['log']> {
  const { path, remove } = diskDirectory();
  const disk = new SimDisk(path);
  try {
    await live(disk, join(path, 'audit'), { begins: [], heads: [] });
    return disk.log.map((one) => ({ ...one, site: one.site }));
  } finally {
    disk.close();
    remove();
  }
}

async function broken(
  points: number,
  prepare: (disk: SimDisk) => void,
  kind: 'cut' | 'killed before' | 'cut again' = 'cut',
): Promise<string | null> {
  const count = (await operations()).length + 1;
  const next = random(SEED);
  for (let i = 0; i < points; i++) {
    const killed = kind === 'killed before';
    const killedAt = killed ? 1 + Math.floor((next() * count) / 2) : null;
    // After a kill, what follows soon matters.
    const offset = killed ? 1 + (i % 20) : 1 + (i % count);
    const cutAgain = kind === 'cut again' ? 1 + Math.floor(next() * 20) : null;
    const seed = Math.floor(next() * 2 ** 32);
    const said = await runOnce(offset, seed, prepare, { killedAt, cutAgain });
    if (said !== null) return said;
  }
  return null;
}

test('a begin that was acknowledged outlives a power cut at any point', {
  timeout: TIMEOUT_MS,
}, async () => {
  expect(await broken(POINTS, () => {})).toBeNull();
});

test('so it does where a process was killed before', { timeout: TIMEOUT_MS }, async () => {
  expect(await broken(POINTS, () => {}, 'killed before')).toBeNull();
});

test('so it does where the power goes again while the next process goes on', {
  timeout: TIMEOUT_MS,
}, async () => {
  expect(await broken(POINTS, () => {}, 'cut again')).toBeNull();
});

test('so it does where writes or syncs had failed before', { timeout: TIMEOUT_MS }, async () => {
  for (const operation of ['append', 'sync', 'syncDirectory'] as const) {
    const fail = (disk: SimDisk): void =>
      disk.failAt(
        ({ operation: name, number }) => name === operation && number % 7 === 3 && number > 12,
        'EIO',
      );
    expect(await broken(POINTS / 4, fail)).toBeNull();
  }
});

test('a sync that is left out is noticed, whichever it is', { timeout: TIMEOUT_MS }, async () => {
  const sites = await syncSites();
  const unnoticed: string[] = [];
  for (const site of sites) {
    const skip = (disk: SimDisk): void => {
      disk.skip = new Set([site]);
    };
    const said =
      (await broken(POINTS, skip)) ??
      (await broken(POINTS * 4, skip, 'killed before')) ??
      (await broken(POINTS * 4, skip, 'cut again'));
    console.info(`${site}: ${said?.split('\n')[0] ?? 'NOT NOTICED'}`);
    if (said === null) unnoticed.push(site);
  }
  expect(unnoticed).toEqual([]);
});

const WRITER = `
  const { AuditLog } = await import('./src/service/audit.ts');
  const { readAuditKey } = await import('./src/service/audit-key.ts');
  const { diskFiles } = await import('./src/segment/files.ts');
  const [directory, path] = process.argv.slice(1);
  const { writeSync } = await import('node:fs');
  const key = readAuditKey(path, directory);
  const publish = ({ n, mac }) => { writeSync(1, 'head ' + n + ':' + mac + '\\n'); };
  const log = AuditLog.open({ files: diskFiles, directory, key, publish, now: Date.now, rotateBytes: 50_000, headMs: 20 });
  const entry = { identity: 'a', method: 'Query', request: { filter: 'x'.repeat(100) }, peer: 'unix' };
  const serve = async () => {
    for (let i = 0; ; i++) {
      const read = await log.begin(entry);
      writeSync(1, 'begun ' + read.id + '\\n');
      if (i % 3 > 0) read.end({ rows: 1, bytes: 1, result: 'ok' });
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  for (let i = 0; i < 10; i++) serve();
`;

test(`a writer that is killed ${KILLS} times: numbers go on, and all that was acknowledged is there`, async () => {
  const temporary = temporaryDirectory();
  const directory = join(temporary.path, 'audit');
  const keyPath = join(temporary.path, 'key');
  mkdirSync(directory, { mode: 0o700 });
  writeFileSync(keyPath, randomBytes(32), { mode: 0o600 });
  const key = readAuditKey(keyPath, directory);
  const next = random(SEED);
  const begun: number[] = [];
  const heads: KnownHead[] = [];
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      const words = ['--input-type=module', '-e', WRITER, directory, keyPath];
      const outPath = join(temporary.path, 'out');
      const out = openSync(outPath, 'w');
      const child = spawn(execPath, words, { cwd: ROOT, stdio: ['ignore', out, 'inherit'] });
      closeSync(out);
      const ended = new Promise((resolve) => child.on('close', resolve));
      while (statSync(outPath).size === 0 && child.exitCode === null) await pause(2);
      await pause(5 + next() * 100);
      child.kill('SIGKILL');
      await ended;
      const text = readFileSync(outPath, 'utf8');
      for (const [, n] of text.matchAll(/begun (\d+)\n/g)) begun.push(Number(n));
      for (const [, n, mac = ''] of text.matchAll(/head (\d+):(\w{64})\n/g)) {
        heads.push({ n: Number(n), mac });
      }
    }
    const options = { keys: [key] as const, heads };
    await AuditLog.open({
      files: new SimDisk(temporary.path),
      directory,
      key,
      publish() {},
      now: Date.now,
    }).close();
    const verdict = verifyAudit(directory, { ...options, from: null });
    expect(verdict).toMatchObject({ problems: [], underWay: [], heads: heads.length });
    const lines = linesOf(directory);
    expect(lines.filter(({ kind }) => kind === 'open').length).toBe(KILLS + 1);
    const kinds = new Map(lines.map(({ n, kind }) => [n, kind]));
    expect(begun.length).toBeGreaterThan(KILLS * 10);
    expect(begun.filter((n) => kinds.get(n) !== 'begin')).toEqual([]);
  } finally {
    temporary.remove();
  }
});
