// Any change of a log is found, up to the last head; and whatever lies in its directory, verify gives a verdict.

import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TapioError } from '../../src/errors.ts';
import { auditFile, auditFiles } from '../../src/service/audit-files.ts';
import { makeLine } from '../../src/service/audit-line.ts';
import { type KnownHead, verifyAudit } from '../../src/service/audit-verify.ts';
import { entry, linesOf, OK, TestAudit } from '../support/audit.ts';
import { random } from '../support/batches.ts';

const SEED = Number(env.TAPIO_SEED ?? Date.now() % 1_000_000);
const RUNS = env.TAPIO_LONG === undefined ? 750 : 30_000;
// For machines that have much else to do.
const LONG_MS = 60_000 + RUNS * 40;

let audit: TestAudit;
let trial: string;
beforeAll(async () => {
  console.info(`seed ${SEED}: TAPIO_SEED=${SEED} runs it again`);
  audit = new TestAudit();
  trial = join(audit.root, 'trial');
  let log = audit.open({ rotateBytes: 3_000 });
  for (let i = 0; i < 40; i++) {
    const read = await log.begin(entry(i));
    if (i % 5 > 0) read.end(OK);
    if (i % 9 === 0) await log.denied({ ...entry(i), reason: 'not yours' });
    if (i !== 20) continue;
    await log.close();
    log = audit.open({ rotateBytes: 3_000 });
  }
  await log.close();
  expect(auditFiles(audit.directory).length).toBeGreaterThan(4);
  expect(audit.verify()).toMatchObject({ problems: [], heads: audit.heads.length });
});
afterAll(() => audit.remove());

function verifyTrial(heads: readonly KnownHead[], from: KnownHead | null = null) {
  return verifyAudit(trial, { keys: [audit.key], heads, from });
}

/** A copy of the log in which `change` was made. */
function changed(change: (directory: string) => void): void {
  rmSync(trial, { recursive: true, force: true });
  cpSync(audit.directory, trial, { recursive: true });
  change(trial);
}

function allLines(directory: string): { path: string; lines: Buffer[] }[] {
  return auditFiles(directory).map(({ path }) => {
    const text = readFileSync(path, 'latin1');
    return { path, lines: (text.match(/.*\n/g) ?? []).map((line) => Buffer.from(line, 'latin1')) };
  });
}

/** One change of a log, at random; says which. */
type Change = (directory: string, below: (limit: number) => number) => string;

const inLines =
  (change: (lines: Buffer[], i: number, below: (limit: number) => number) => string): Change =>
  (directory, below) => {
    const files = allLines(directory);
    const file = files[below(files.length)];
    const at = below(file?.lines.length ?? 0);
    if (file === undefined) throw new Error('there is no file');
    const said = change(file.lines, at, below);
    writeFileSync(file.path, Buffer.concat(file.lines));
    return `${file.path} line ${at + 1}: ${said}`;
  };

const CHANGES: Readonly<Record<string, Change>> = {
  'a byte': inLines((lines, i, below) => {
    const line = lines[i] ?? Buffer.alloc(1);
    const at = below(line.length);
    const byte = ((line[at] ?? 0) + 1 + below(255)) & 0xff;
    line[at] = byte;
    return `byte ${at} is ${byte}`;
  }),
  'a byte put in': inLines((lines, i, below) => {
    const line = lines[i] ?? Buffer.alloc(0);
    const at = below(line.length + 1);
    lines[i] = Buffer.concat([line.subarray(0, at), Buffer.from([below(256)]), line.subarray(at)]);
    return `a byte more at ${at}`;
  }),
  'a line deleted': inLines((lines, i) => `deleted ${lines.splice(i, 1).length}`),
  'lines deleted': inLines((lines, i, below) => `deleted ${lines.splice(i, 1 + below(5)).length}`),
  'a line repeated': inLines((lines, i, below) => {
    const to = below(lines.length + 1);
    lines.splice(to, 0, lines[i] ?? Buffer.alloc(0));
    return `again at ${to}`;
  }),
  'lines swapped': inLines((lines, i, below) => {
    const j = (i + 1 + below(Math.max(1, lines.length - 1))) % lines.length;
    const [a = Buffer.alloc(0), b = Buffer.alloc(0)] = [lines[i], lines[j]];
    [lines[i], lines[j]] = [b, a];
    return a === b ? lines.splice(i, 1) && 'deleted' : `swapped with ${j + 1}`;
  }),
  'a file cut': (directory, below) => {
    const files = auditFiles(directory);
    const file = files[below(files.length)] ?? auditFile(directory, 1);
    const bytes = readFileSync(file.path);
    const length = below(bytes.length);
    writeFileSync(file.path, bytes.subarray(0, length));
    return `${file.name} has ${length} bytes`;
  },
  'a file removed': (directory, below) => {
    const files = auditFiles(directory);
    const file = files[below(files.length)] ?? auditFile(directory, 1);
    rmSync(file.path);
    return file.name;
  },
  'files swapped': (directory, below) => {
    const files = auditFiles(directory);
    const i = below(files.length);
    const j = (i + 1 + below(files.length - 1)) % files.length;
    const [a, b] = [files[i], files[j]].map((file) => file?.path ?? '') as [string, string];
    renameSync(a, `${a}.other`);
    renameSync(b, a);
    renameSync(`${a}.other`, b);
    return `${a} and ${b}`;
  },
  'a file again as the next': (directory, below) => {
    const files = auditFiles(directory);
    const file = files[below(files.length)] ?? auditFile(directory, 1);
    cpSync(file.path, auditFile(directory, files.length + 1).path);
    return file.name;
  },
  'two files joined': (directory, below) => {
    const files = auditFiles(directory);
    const i = below(files.length - 1);
    const [a, b] = [files[i], files[i + 1]].map((file) => file?.path ?? '') as [string, string];
    writeFileSync(a, Buffer.concat([readFileSync(a), readFileSync(b)]));
    rmSync(b);
    for (const { number, path } of files.slice(i + 2)) {
      renameSync(path, auditFile(directory, number - 1).path);
    }
    return a;
  },
  'a file split': (directory, below) => {
    const files = allLines(directory);
    const { path, lines } = files.at(-1) ?? { path: '', lines: [] };
    const at = 1 + below(lines.length - 1);
    writeFileSync(path, Buffer.concat(lines.slice(0, at)));
    writeFileSync(auditFile(directory, files.length + 1).path, Buffer.concat(lines.slice(at)));
    return `at line ${at}`;
  },
};

for (const [name, change] of Object.entries(CHANGES)) {
  test(`${name}: found, given the last head`, () => {
    const next = random(SEED);
    const below = (limit: number): number => Math.floor(next() * limit);
    const runs = Math.ceil(RUNS / Object.keys(CHANGES).length);
    for (let run = 0; run < runs; run++) {
      let said = '';
      changed((directory) => {
        said = change(directory, below);
      });
      const { problems } = verifyTrial(audit.heads.slice(-1));
      expect(problems.length, `seed ${SEED} run ${run}: ${said}`).toBeGreaterThan(0);
      for (const { text } of problems) expect(text).toMatch(/^[^\n]+$/);
    }
  });
}

test('no change is covered up by a service that goes on after it', {
  timeout: LONG_MS,
}, async () => {
  const next = random(SEED + 2);
  const below = (limit: number): number => Math.floor(next() * limit);
  const changes = Object.values(CHANGES);
  const whole = audit.lines();
  let opened = 0;
  for (let run = 0; run < RUNS / 3; run++) {
    let said = '';
    changed((directory) => {
      said = changes[run % changes.length]?.(directory, below) ?? '';
    });
    try {
      const log = audit.open({ directory: trial, publish: () => {} });
      opened++;
      for (let i = 0; i < 30; i++) (await log.begin(entry(i))).end(OK);
      await log.close();
    } catch (error) {
      expect(error, `seed ${SEED} run ${run}: ${said}`).toBeInstanceOf(TapioError);
    }
    const { problemCount, notes } = verifyTrial(audit.heads.slice(-1));
    if (problemCount > 0) continue;
    // What was put behind the end was kept aside, and is told; no line of the log is another.
    expect(notes.length, `seed ${SEED} run ${run}: ${said}`).toBeGreaterThan(0);
    expect(linesOf(trial).slice(0, whole.length)).toEqual(whole);
  }
  expect(opened).toBeGreaterThan(0);
});

test('what is wrong is said, and where', () => {
  const said = (change: (lines: Buffer[]) => void): (string | null)[] => {
    changed((directory) => {
      const [, second] = allLines(directory);
      change(second?.lines ?? []);
      writeFileSync(second?.path ?? '', Buffer.concat(second?.lines ?? []));
    });
    return verifyTrial(audit.heads).problems.map(({ what, text }) => `${what}: ${text}`);
  };
  const first = audit.lines().find(({ file }) => file === 'audit-0000002.ndjson')?.n ?? 0;
  const at = 'audit-0000002.ndjson line';
  expect(said((lines) => (lines[3] = Buffer.from('x\n')))).toEqual([
    `edited: ${at} 4 is not as it was written: edited, put in, or of another key`,
  ]);
  expect(said((lines) => lines.splice(3, 1))).toEqual([
    `missing: number ${first + 3} is missing before ${at} 4`,
  ]);
  expect(said((lines) => lines.splice(3, 2))).toEqual([
    `missing: numbers ${first + 3} to ${first + 4} are missing before ${at} 4`,
  ]);
  expect(said((lines) => lines.splice(5, 0, lines[3] ?? Buffer.alloc(0)))).toEqual([
    `reordered: ${at} 6 has number ${first + 3} and stands behind number ${first + 4}: lines were reordered or repeated`,
  ]);
});

test('lines cut off the end are missed only where a head says that they were there', () => {
  const lines = audit.lines();
  const newest = auditFiles(audit.directory).length;
  changed((directory) => {
    const files = allLines(directory);
    const last = files.at(-1);
    writeFileSync(last?.path ?? '', Buffer.concat(last?.lines.slice(0, -1) ?? []));
  });
  expect(verifyTrial([]).problems).toEqual([]);
  expect(verifyTrial(audit.heads).problems.map(({ text }) => text)).toEqual([
    `the log ends at number ${lines.length - 1}, before head ${lines.length}: it was truncated`,
  ]);
  // So it is with whole files.
  changed((directory) => rmSync(auditFile(directory, newest).path));
  expect(verifyTrial([]).problems).toEqual([]);
  expect(verifyTrial(audit.heads).problems.map(({ what }) => what)).toEqual(['truncated']);
});

test('a log that the holder of the key has written anew is found by a head', () => {
  const at = 10;
  changed((directory) => {
    let prev = '0'.repeat(64);
    for (const { path, lines } of allLines(directory)) {
      const written = lines.map((line) => {
        const { n, ts, synced, prev: _, mac: __, ...fields } = JSON.parse(line.toString());
        if (fields.previous !== undefined) fields.previous.mac = prev;
        if (n === at) fields.identity = 'somebody else';
        const { bytes, mac } = makeLine(audit.key, { n, ts, synced, prev }, fields);
        prev = mac;
        return bytes;
      });
      writeFileSync(path, Buffer.concat(written));
    }
  });
  expect(verifyTrial([]).problems).toEqual([]);
  const { problems } = verifyTrial(audit.heads);
  expect(problems.length).toBe(audit.heads.filter(({ n }) => n >= at).length);
  expect(problems[0]?.text).toContain('the log was rewritten');
});

test('what retention has removed is not missed where the head before is given', () => {
  const [first, second] = audit.heads;
  const last = audit.heads.at(-1);
  if (first === undefined || second === undefined || last === undefined) throw new Error('heads');
  const removed = auditFiles(audit.directory).findIndex(({ name }) => name === second.file) + 1;
  changed((directory) => {
    for (let i = 1; i <= removed; i++) rmSync(auditFile(directory, i).path);
  });
  const kept = audit.heads.filter(({ n }) => n > second.n).length;
  expect(verifyTrial([]).problems.length).toBeGreaterThan(0);
  expect(verifyTrial(audit.heads, second)).toMatchObject({
    problems: [],
    heads: kept + 1,
    headsBefore: 1,
  });
  // A head within what is kept does as well; one that is not the log's, or lies too far back, does not.
  expect(verifyTrial(audit.heads, last)).toMatchObject({ problems: [] });
  const forged = { n: second.n, mac: first.mac };
  expect(verifyTrial([], forged).problems.length).toBeGreaterThan(0);
  expect(verifyTrial([], first).problems.length).toBeGreaterThan(0);
});

test('hostile files get a verdict', { timeout: LONG_MS }, async () => {
  const next = random(SEED + 1);
  const below = (limit: number): number => Math.floor(next() * limit);
  const whole = allLines(audit.directory).flatMap(({ lines }) => lines);
  const signed = (fields: object): Buffer => {
    const place = { n: below(50) - 5, ts: 'x', synced: below(9), prev: '0'.repeat(64) };
    return makeLine(audit.key, place, fields as never).bytes;
  };
  const hostile: (() => Buffer)[] = [
    () => whole[below(whole.length)] ?? Buffer.alloc(0),
    () => Buffer.from(Array.from({ length: below(300) }, () => below(256))),
    () => Buffer.alloc(below(3) * (1 << 20), below(2) === 0 ? '[' : '\n'),
    () => Buffer.from(`{"n":1e999,"mac":"${'0'.repeat(64)}"}\n`),
    () => Buffer.from(`{"__proto__":{"n":1}${',"mac":"'}${'f'.repeat(64)}"}\n`),
    () => Buffer.alloc(below(5_000)),
    // Those are of the key's holder.
    () => signed({ kind: 'rotate', reads: [null, {}, 'x'], file: {}, torn: [null] }),
    () => signed({ kind: 'rotate', reads: 7, torn: [{}, 3, 'x', []] }),
    () => signed({ kind: 'rotate', torn: [{ file: { toString: 1, valueOf: 1 } }], file: [{}] }),
    () => signed({ kind: 'end', id: { toString: 1, valueOf: 1 }, reads: {} }),
    () => signed({ kind: 'key', next: [] }),
    () => signed({ kind: 'end', id: { valueOf: 3 } }),
    () => signed({ kind: 'nothing' }),
  ];
  for (let run = 0; run < RUNS / 30; run++) {
    rmSync(trial, { recursive: true, force: true });
    changed((directory) => {
      for (const name of readdirSync(directory)) if (below(2) === 0) rmSync(join(directory, name));
      for (let i = 0; i < 3; i++) {
        const parts = Array.from({ length: below(6) }, () => hostile[below(hostile.length)]?.());
        const file = auditFile(directory, 1 + below(1_000) ** below(4));
        writeFileSync(file.path, Buffer.concat(parts.filter((part) => part !== undefined)));
      }
    });
    const { problems, problemCount } = verifyTrial(audit.heads);
    expect(problemCount, `seed ${SEED} run ${run}`).toBeGreaterThan(0);
    // Nor does a service that is to go on with them say anything but a sentence.
    try {
      await audit.open({ directory: trial, publish: () => {} }).close();
    } catch (error) {
      expect(error, `seed ${SEED} run ${run}`).toBeInstanceOf(TapioError);
    }
    expect(problems.length).toBeLessThanOrEqual(50);
  }
});
