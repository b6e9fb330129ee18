// store.json when the power goes: the old or the new, and the new once it was said to be written. Each sync
// and each step whose order counts is missed where it is left out.

import { ok } from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { diskFiles } from '../../src/segment/files.ts';
import { type LastRecording, readStoreFile, writeStoreFile } from '../../src/segment/store-file.ts';
import {
  type Check,
  crashPoints,
  mutate,
  orderSites,
  type Scenario,
  syncSites,
} from '../support/mutate.ts';

const BUDGET = { points: 300, seed: 20260103 };
const ID = '01234567-89ab-4def-8123-456789abcdef';
const recording = (id: string): LastRecording => ({ id, boot_id: 'boot', began: 1, ended: null });
const [OLD, NEW] = [recording('old'), recording('new')];

let written = false;

/** Another recording begins. */
const another: Scenario = (disk, store) => {
  written = false;
  writeStoreFile(diskFiles, store, ID, OLD);
  disk.settle();
  writeStoreFile(disk, store, ID, NEW);
  written = true;
};

/** One was begun by a recorder that was killed as the file had got its name, which is not durable. */
const again: Scenario = (disk, store) => {
  written = false;
  writeStoreFile(diskFiles, store, ID, NEW);
  const path = join(store, 'store.json');
  diskFiles.rename(path, `${path}.named`);
  writeStoreFile(diskFiles, store, ID, OLD);
  disk.settle();
  disk.rename(`${path}.named`, path);
  writeStoreFile(disk, store, ID, NEW);
  written = true;
};

const check: Check = (store) => {
  const { id, recording: found } = readStoreFile(store);
  ok(id === ID, `the store has another id: ${id}`);
  ok(found?.id === 'new' || (!written && found?.id === 'old'), `it says ${found?.id}`);
};

for (const [name, scenario] of Object.entries({ another, again })) {
  test(`${name}: the old or the new, and the new once it is written`, () => {
    crashPoints(scenario, check, BUDGET);
  });

  test(`${name}: each sync and each order is missed`, () => {
    const own = (site: string): boolean => site.startsWith('src/');
    const outcomes = [
      ...mutate('skip', scenario, check, syncSites(scenario).filter(own), BUDGET),
      ...mutate('delay', scenario, check, syncSites(scenario).filter(own), BUDGET),
      ...mutate('delay', scenario, check, orderSites(scenario).filter(own), BUDGET),
    ];
    for (const { kind, site, caught } of outcomes) {
      console.info(`${kind} ${site} ${caught?.said.split('\n')[0] ?? 'NOT NOTICED'}`);
    }
    expect(outcomes.length).toBeGreaterThan(0);
    expect(outcomes.filter(({ caught }) => caught === null)).toEqual([]);
  });
}

test('what is garbled is as good as new', () => {
  crashPoints(
    (disk, store) => {
      writeFileSync(join(store, 'store.json'), 'no JSON');
      disk.settle();
    },
    (store) => expect(readStoreFile(store).recording).toBeNull(),
    { points: 1, seed: 1 },
  );
});
