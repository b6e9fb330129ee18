import { expect, test } from 'vitest';
import { areLeftOut } from '../../src/query/completeness.ts';
import type { CommitLine, Commits } from '../../src/segment/commits.ts';
import { HEADER } from '../support/segments.ts';

function segment(
  filter: string | null,
  counts: Partial<CommitLine>,
): Parameters<typeof areLeftOut>[0] {
  const header = filter === null ? HEADER : { ...HEADER, filter };
  return { header, commits: { last: counts } as unknown as Commits };
}

test('rows are left out in the kernel, and by a filter as they are read', () => {
  const filtered = [{ 1: 2 }, { 15: 1 }];
  expect(areLeftOut(segment(null, { filtered, own: [] }), [7, 15])).toBe(true);
  expect(areLeftOut(segment(null, { filtered, own: [] }), [2, 7])).toBe(false);
  // The recorder's own records are nobody's rows.
  expect(areLeftOut(segment(null, { filtered: [], own: filtered }), [15])).toBe(false);
  expect(areLeftOut(segment('pid == 1', { filtered: [], own: filtered }), [15])).toBe(true);
  expect(areLeftOut(segment('pid == 1', { filtered: [], own: filtered }), [2])).toBe(false);
});
