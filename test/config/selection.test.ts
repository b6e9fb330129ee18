// --only and --exclude, as the expressions that they stand for.

import { expect, test } from 'vitest';
import { EVENT_TYPES } from '../../schemas/arrow.ts';
import { selectionOf } from '../../src/config/selection.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';

test('the four that the kernel has tables for', () => {
  expect(selectionOf(undefined, ['comm=a b,pid=1', 'uid=0', 'cgroup=77'], undefined)).toEqual({
    exclude: { comms: ['a b'], pids: [1], uids: [0], cgroups: [77n] },
    filter: null,
  });
});

test('alternatives of a key, all keys together, and the filter', () => {
  const { filter } = selectionOf('comm=nginx,comm=php,uid=33', undefined, 'cpu == 0');
  expect(filter).toBe('(cpu == 0) && ((comm == "nginx" || comm == "php") && (uid == 33))');
  expect(selectionOf('pid=7', undefined, undefined).filter).toBe('(pid == 7)');
  expect(selectionOf(undefined, undefined, 'pid == 7').filter).toBe('pid == 7');
  expect(selectionOf(undefined, undefined, undefined).filter).toBeNull();
});

test('all of them are expressions of every type', async () => {
  for (const [only, exclude] of [
    ['port=443,path=/etc/,comm=a"b', undefined],
    [undefined, 'port=22,path=/proc/'],
    ['uid=0', 'port=22'],
  ]) {
    const { filter } = selectionOf(only, exclude, undefined);
    const parsed = await parseFilter(filter ?? '');
    for (const type of EVENT_TYPES) expect(() => parsed.for(type)).not.toThrow();
  }
});

test.each([
  ['port=70000', undefined, '--only port=70000: 70000 is beyond 65535'],
  ['port=http', undefined, '--only port=http: write comm=NAME, pid=NUMBER'],
  ['path=etc', undefined, '--only path=etc: a prefix begins with /'],
  ['prot=1', undefined, 'unknown --only prot (did you mean port?)'],
  ['comm', undefined, '--only comm: write comm=NAME'],
  [undefined, 'pid=99999999', '--exclude pid=99999999: 99999999 is beyond 4194304'],
  ['uid=5', 'uid=5', '--only uid=5 and --exclude uid=5 leave nothing: drop one of them'],
])('what is wrong: %s %s', (only, exclude, message) => {
  const said = (): unknown => selectionOf(only, exclude, undefined);
  expect(said).toThrow(expect.objectContaining({ code: 'usage' }));
  expect(said).toThrow(message);
});

test('cgroups and containers that are not there', () => {
  // A host may have no hierarchy of the second version at all.
  for (const [word, message] of [
    ['cgroup=/no/such/cgroup', /there is no cgroup|no cgroup2 mounted/],
    ['container=0123456789ab', /is it running\?|no cgroup2 mounted/],
    ['container=xyz', /12 to 64 hex digits|no cgroup2 mounted/],
  ] as const) {
    expect(() => selectionOf(word, undefined, undefined), word).toThrow(message);
    expect(() => selectionOf(undefined, word, undefined), word).toThrow(message);
  }
});
