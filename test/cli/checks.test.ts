import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { allChecks, areEnough, kernelIsNewEnough, storeChecks } from '../../cli/checks.ts';
import { capabilityNames } from '../../src/privileges.ts';
import { lockStore } from '../../src/segment/store.ts';
import { temporaryDirectory } from '../support/recording.ts';

test('kernels', () => {
  for (const good of ['5.17.0', '5.17.15-generic', '6.1.0', '10.0']) {
    expect(kernelIsNewEnough(good), good).toBe(true);
  }
  for (const bad of ['5.16.9', '4.19.0', '']) expect(kernelIsNewEnough(bad), bad).toBe(false);
});

test('capabilities: root’s, or BPF with PERFMON', () => {
  expect(areEnough(capabilityNames('000001ffffffffff'))).toBe(true);
  const both = capabilityNames((3n << 38n).toString(16));
  expect(both).toEqual(['perfmon', 'bpf']);
  expect(areEnough(both)).toBe(true);
  expect(areEnough(capabilityNames((1n << 39n).toString(16)))).toBe(false);
  expect(areEnough(capabilityNames('0'))).toBe(false);
});

test('a store: none yet, fit, too open, in use, no directory', () => {
  const directory = temporaryDirectory();
  const store = join(directory.path, 'store');
  const details = (): string[] => storeChecks(store).map(({ name, detail }) => `${name} ${detail}`);
  try {
    expect(storeChecks(store).every(({ state }) => state !== 'missing')).toBe(true);
    mkdirSync(store, { mode: 0o700 });
    expect(storeChecks(store).every(({ state }) => state !== 'missing')).toBe(true);
    const unlock = lockStore(store);
    expect(details().join()).toContain(`process ${process.pid} is recording here`);
    unlock();
    chmodSync(store, 0o755);
    expect(details().join()).toContain(`chmod 700 ${store}`);
    writeFileSync(join(directory.path, 'file'), '');
    expect(storeChecks(join(directory.path, 'file'))).toMatchObject([
      {},
      { state: 'missing', needed: true },
    ]);
  } finally {
    directory.remove();
  }
});

test('every finding that is not well says what to do', () => {
  const checks = allChecks('.');
  expect(checks.length).toBeGreaterThan(10);
  for (const check of checks) expect(check.state === 'ok' || check.detail !== '').toBe(true);
});
