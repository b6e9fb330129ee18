// Which failures of a disk are waited out.

import { mkdirSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LOSS_CAUSES } from '../../schemas/losses.ts';
import { outageOf } from '../../src/recorder/outage.ts';
import { temporaryDirectory } from '../support/recording.ts';

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
  mkdirSync(join(directory.path, 'segments'));
});
afterEach(() => directory.remove());

/** What node:fs throws. */
function failure(errno: number): Error {
  return Object.assign(new Error('write'), { errno: -errno, code: getSystemErrorName(-errno) });
}

test('a disk that is full, over its quota, failing or read-only is waited out, as Node tells it', () => {
  const { ENOSPC, EDQUOT, EIO, EROFS, EBADF } = constants.errno;
  const causes = [ENOSPC, EDQUOT, EIO, EROFS].map((errno) =>
    outageOf(failure(errno), directory.path),
  );
  expect(causes).toEqual(['no_space', 'quota', 'io_error', 'read_only']);
  for (const cause of causes) expect(LOSS_CAUSES[cause].stage).toBe('ring');
  expect(() => outageOf(failure(EBADF), directory.path)).toThrow('write');
});

test('in a store that is gone nothing is', () => {
  const store = join(directory.path, 'gone');
  expect(() => outageOf(failure(constants.errno.EIO), store)).toThrow(`the store ${store} is gone`);
});
