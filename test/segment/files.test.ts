// The file system as the store uses it.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { diskFiles } from '../../src/segment/files.ts';
import { temporaryDirectory } from '../support/recording.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let at: (name: string) => string;
beforeEach(() => {
  directory = temporaryDirectory();
  at = (name) => join(directory.path, name);
});
afterEach(() => directory.remove());

test('remove takes a file, a directory with all that is in it, or nothing; a link is not followed', () => {
  mkdirSync(at('kept'));
  writeFileSync(at('kept/file'), '');
  mkdirSync(at('gone/within'), { recursive: true });
  writeFileSync(at('gone/within/file'), '');
  symlinkSync(at('kept'), at('gone/link'));
  writeFileSync(at('file'), '');
  for (const name of ['gone', 'file', 'missing']) diskFiles.remove(at(name));
  expect(readdirSync(directory.path)).toEqual(['kept']);
  expect(existsSync(at('kept/file'))).toBe(true);
});

test('a directory is for its owner only, and made in none that is gone', () => {
  const before = process.umask(0o777);
  try {
    for (let again = 0; again < 2; again++) diskFiles.makeDirectory(at('made'));
  } finally {
    process.umask(before);
  }
  expect(statSync(at('made')).mode & 0o777).toBe(0o700);
  expect(() => diskFiles.makeDirectory(at('gone/made'))).toThrow('ENOENT');
  expect(() => diskFiles.makeDirectory(at('x'.repeat(300)))).toThrow('ENAMETOOLONG');
  expect(() => diskFiles.makeDirectory('/proc/made')).toThrow('ENOENT');
});

test('a copy is of its own, for its owner only, and takes no name that is there', () => {
  writeFileSync(at('from'), 'before', { mode: 0o444 });
  diskFiles.copy(at('from'), at('to'));
  chmodSync(at('from'), 0o600);
  writeFileSync(at('from'), 'behind');
  expect(readFileSync(at('to'), 'utf8')).toBe('before');
  expect(statSync(at('to')).mode & 0o777).toBe(0o600);
  expect(() => diskFiles.copy(at('from'), at('to'))).toThrow('EEXIST');
});

test('a removal that fails says so by its code, by which an outage is known', () => {
  const failure = (path: string): unknown => {
    try {
      return diskFiles.remove(path);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  };
  expect(failure(at('x'.repeat(300)))).toBe('ENAMETOOLONG');
  expect(failure('/proc/version')).toMatch(/EPERM|EACCES/);
});
