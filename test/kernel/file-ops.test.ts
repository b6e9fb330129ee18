// Each call of the file families is made by a program that knows nothing of the recorder; every row has
// exactly its fields, and an op that the table says is recorded has a case here.

import { expect, test } from 'vitest';
import { EVENTS } from '../../schemas/events.ts';
import { describeKernel, eachDirectory, recordedWhile } from '../support/kernel.ts';
import { type Row, run } from '../support/recording.ts';

/** Cases of ops.test.ts. */
const ELSEWHERE = ['open', 'read', 'write'];

const directory = eachDirectory();

interface Done {
  readonly call: string;
  readonly op: string;
  readonly fields: Row;
}

interface Driven {
  readonly done: Done[];
  readonly moved: unknown[][];
  readonly rows: Row[];
}

/** Records while the driver makes its calls; what it did, and its rows. */
async function drive(flags: readonly string[]): Promise<Driven> {
  const { facts, rows } = await recordedWhile(directory.path, flags, () =>
    run('python3', ['test/kernel/file-ops.py', directory.path]),
  );
  const { me, done, moved } = facts as Omit<Driven, 'rows'> & { me: number };
  return { done, moved, rows: rows.filter((row) => row.pid === me && row.type === 'file') };
}

describeKernel('kernel', () => {
  test('every call of every family, relative, by descriptor, failed and oddly named', async () => {
    const { done, rows } = await drive(['--enable', 'file.fsync,file.close']);
    const ops = new Map(Map.groupBy(done, ({ op }) => op));
    for (const [op, made] of ops) {
      const all = rows.filter((row) => row.op === op);
      // The interpreter removes, makes and closes things of its own before it begins.
      const mine = op === 'close' ? closesOf(all, made) : all.slice(-made.length);
      expect(
        mine.map((row, i) => picked(row, made[i]?.fields ?? {})),
        op,
      ).toEqual(made.map(({ fields }) => fields));
      for (const row of mine) expect(row.file.latency_ns, op).toBeGreaterThan(0);
    }
    const covered = Object.entries(EVENTS.file.ops)
      .filter(([op, spec]) => spec.recorded && !ELSEWHERE.includes(op))
      .map(([op, { covers }]) => [op, [...covers].sort()]);
    const shown = [...ops].map(([op, made]) => [
      op,
      [...new Set(made.map((one) => one.call))].sort(),
    ]);
    expect(shown.toSorted()).toEqual(covered.toSorted());
  });

  test('what moves bytes between descriptors is a read and a write', async () => {
    const { moved, rows } = await drive(['--enable', 'file.read,file.write']);
    const mine = rows.filter((row) => ['read', 'write'].includes(row.op));
    const from = mine.findIndex((row) => row.op === 'read' && row.file.offset === 5);
    const ends = mine.slice(from, from + moved.length).map(({ op, file }) => {
      return [op, file.fd, file.path, file.offset, file.ret, file.bytes];
    });
    expect(ends).toEqual(moved);
  });

  test('a prefix of the path is decided in the kernel', async () => {
    const prefix = `${directory.path}/made`;
    const { rows } = await drive(['--filter', `file.path.startsWith("${prefix}")`]);
    expect(rows.map((row) => [row.op, row.file.path])).toEqual([
      ['mkdir', prefix],
      ['mkdir', prefix],
      ['rmdir', prefix],
    ]);
  });
});

/** The last closes of each descriptor that the driver closed: the interpreter closes more on its way out. */
function closesOf(rows: readonly Row[], made: readonly Done[]): Row[] {
  return made.map(({ fields }) => {
    const row = rows.findLast(({ file }) => file.fd === fields.fd && file.ret === fields.ret);
    return row ?? {};
  });
}

const picked = (row: Row, like: Row): Row =>
  Object.fromEntries(Object.keys(like).map((field) => [field, row.file?.[field]]));
