// The audit log: begins that are made durable on the disk of the working directory, by so many readers at once, and how fast
// a log is verified.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { diskFiles } from '../../src/segment/files.ts';
import { AuditLog } from '../../src/service/audit.ts';
import { AuditKey } from '../../src/service/audit-key.ts';
import { verifyAudit } from '../../src/service/audit-verify.ts';
import { entry, OK } from '../support/audit.ts';
import { report } from './report.ts';

const RUNS = 5;
const RUN_MS = 1_000;

/** Begins and ends reads, one after another, until a time; gives how many. */
async function serve(log: AuditLog, until: number): Promise<number> {
  let begun = 0;
  for (; performance.now() < until; begun++) (await log.begin(entry(begun))).end(OK);
  return begun;
}

export async function bench(): Promise<void> {
  const directory = mkdtempSync('build/bench/audit-');
  const key = new AuditKey(randomBytes(32));
  const log = AuditLog.open({ files: diskFiles, directory, key, publish: () => {}, now: Date.now });
  for (const readers of [1, 100, 1_000]) {
    const values: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const until = performance.now() + RUN_MS;
      const begun = await Promise.all(Array.from({ length: readers }, () => serve(log, until)));
      values.push(begun.reduce((sum, one) => sum + one, 0) / (RUN_MS / 1_000));
    }
    report({ name: `audit_begins_${readers}_readers`, values, unit: 'begins/s' });
  }
  await log.close();
  const speeds = Array.from({ length: RUNS }, () => {
    const began = performance.now();
    const { lines, problemCount } = verifyAudit(directory, { keys: [key], heads: [], from: null });
    if (problemCount > 0) throw new Error('the log is not as it was written');
    return lines / ((performance.now() - began) / 1_000);
  });
  report({ name: 'audit_verify', values: speeds, unit: 'lines/s' });
  rmSync(directory, { recursive: true });
}
