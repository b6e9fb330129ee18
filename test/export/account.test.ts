// The account of an excerpt comes out with the kernel's own counters: what was left out of it is filtered, and
// losses beside what was wanted are known.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EVENTS } from '../../schemas/events.ts';
import { exportStore } from '../../src/export/store.ts';
import { type Account, accounts } from '../../src/query/account.ts';
import { Reading } from '../../src/query/reading.ts';
import { type Selection, select } from '../../src/query/select.ts';
import { type CommitPoint, noPoint, readCommits } from '../../src/segment/commits.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { lossRow } from '../../src/segment/small-tables.ts';
import { openStore, segmentDirectories } from '../../src/segment/store.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker } from '../support/batches.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { append, HEADER } from '../support/segments.ts';

const OPEN = EVENTS.file.ops.open.id;
const BEGIN = 1_795_000_000_000_000_000n;

let directory: ReturnType<typeof temporaryDirectory>;
let maker: BatchMaker;
let end: CommitPoint | null;
let number: number;
beforeEach(() => {
  directory = temporaryDirectory();
  mkdirSync(join(directory.path, 'segments'));
  maker = new BatchMaker(1);
  end = null;
  number = 0;
});
afterEach(() => directory.remove());

/** Rows that are stored, what was lost before them, and records that wait in the rings then. */
interface Step {
  readonly rows: number;
  readonly rings: string;
  readonly lost?: number;
  readonly contention?: number;
  readonly waiting?: number;
  readonly ended?: true;
}

const of = (counts: CommitPoint['consumed'] | undefined): number => counts?.[0]?.[OPEN] ?? 0;

/** Seals a segment of file.open rows by process `pid`, a ms apart; losses lie where its steps begin. */
function segment(pid: number, ...steps: readonly Step[]): void {
  maker.beginSegment();
  const segments = join(directory.path, 'segments');
  const name = `s-${String(number++).padStart(7, '0')}`;
  const writer = SegmentWriter.create(diskFiles, segments, name, HEADER, end);
  for (const { rows, rings, lost = 0, contention = 0, waiting = 0, ended } of steps) {
    const from = end?.through_seq ?? 0;
    const at = (i: number): bigint => BEGIN + BigInt(from + i) * 1_000_000n;
    const made = Array.from({ length: rows }, (_, i) => ({
      ...{ op: 'open', ts: at(i), comm: `of-${pid}`, pid, pstart: BigInt(pid), tid: pid, cpu: 0 },
      ...{
        ppid: 1,
        uid: 0,
        gid: 0,
        cgroup_id: 1n,
        kstack_id: 0n,
        ustack_id: 0n,
        weight: 1,
        flags: 0,
      },
    }));
    append(writer, maker.of('file', made));
    const tell = (stage: string, cause: string, count: number): void => {
      const loss = {
        ...lossRow(stage, cause, BigInt(count), at(0), at(0)),
        type: 'file',
        op: 'open',
      };
      if (count > 0) writer.addLosses([loss]);
    };
    tell('ring', 'overwritten', lost);
    tell('kernel', 'contention', contention);
    const before = end?.rings === rings ? end : null;
    const consumed = of(before?.consumed) + rows;
    const gone = of(before?.lost) + lost;
    end = {
      ...noPoint(),
      through_seq: from + rows,
      rings,
      positions: ['0'],
      emitted: [{ [OPEN]: consumed + gone + waiting }],
      consumed: [{ [OPEN]: consumed }],
      lost: [{ [OPEN]: gone }],
      refused: { contention: [{ [OPEN]: of(before?.refused.contention) + contention }] },
      ...(ended && { ended }),
    };
    writer.commit(end);
  }
  writer.seal();
}

function accountOf(path: string): Account | undefined {
  const { segments, problems } = openStore(path);
  try {
    expect(problems).toEqual([]);
    return accounts(segments)[0];
  } finally {
    for (const one of segments) one.close();
  }
}

const ALL = select({ since: null, until: null, types: [], ops: [], pids: [], comms: [] });

async function exported(more: Partial<Selection>): Promise<string> {
  const opened = openStore(directory.path);
  const path = join(directory.path, 'export');
  try {
    const query = Reading.of(opened, { ...ALL, ...more });
    const { signal } = new AbortController();
    await exportStore(query, { files: diskFiles, path, signal, onBatch: () => {} });
    return path;
  } finally {
    for (const one of opened.segments) one.close();
  }
}

const ofFile = (account: Account | undefined): unknown => account?.ops['file.open'];
const times = { ts: (i: number): bigint => BEGIN + BigInt(i) * 1_000_000n };

test('a window behind a loss: rows are filtered, and the loss is known all the same', async () => {
  segment(1, { rows: 20, rings: 'a', lost: 7, contention: 2, waiting: 4 });
  segment(2, { rows: 10, rings: 'a', lost: 1, waiting: 3 });
  const counts = { issued: 43, stored: 30, lost: 10, filtered: 0, waiting: 3 };
  expect(accountOf(directory.path)).toMatchObject({ holds: true, ops: { 'file.open': counts } });
  const path = await exported({ since: times.ts(5), until: times.ts(25) });
  const account = accountOf(path);
  expect(account).toMatchObject({ holds: true, reasons: [], leftOut: 10 });
  expect(ofFile(account)).toMatchObject({ ...counts, stored: 20, filtered: 10 });
  // Queries are told of the one that lies in the window alone.
  const { segments } = openStore(path);
  expect(segments.flatMap((one) => one.losses()).map(({ count }) => count)).toEqual([1n]);
  for (const one of segments) one.close();
});

test('the last segment, of records some of which waited as it began', async () => {
  segment(1, { rows: 20, rings: 'a', waiting: 4 });
  segment(2, { rows: 10, rings: 'a' });
  const path = await exported({ pids: new Set([2]) });
  const account = accountOf(path);
  expect(account).toMatchObject({ holds: true, segments: ['s-0000001'], leftOut: 0 });
  expect(ofFile(account)).toMatchObject({ issued: 10, stored: 10 });
});

test('rings that end in segments without a row that is wanted', async () => {
  segment(1, { rows: 20, rings: 'a', waiting: 2 });
  segment(2, { rows: 10, rings: 'a', ended: true }, { rows: 6, rings: 'b', waiting: 1 });
  segment(2, { rows: 3, rings: 'b', ended: true }, { rows: 4, rings: 'c' });
  segment(1, { rows: 8, rings: 'c', waiting: 5, lost: 7 });
  const account = accountOf(await exported({ pids: new Set([1]) }));
  expect(account).toMatchObject({ holds: true, reasons: [], leftOut: 23 });
  expect(account?.segments).toEqual(['s-0000000', 's-0000003']);
  expect(ofFile(account)).toMatchObject({
    issued: 63,
    stored: 28,
    lost: 7,
    filtered: 23,
    waiting: 5,
  });
});

test('a segment without a row that is wanted, but with a loss', async () => {
  segment(1, { rows: 20, rings: 'a' });
  segment(2, { rows: 10, rings: 'a', lost: 5 });
  segment(1, { rows: 8, rings: 'a' });
  const account = accountOf(await exported({ pids: new Set([1]) }));
  expect(account).toMatchObject({ holds: true, reasons: [], leftOut: 10 });
  expect(account?.segments).toHaveLength(3);
});

test('clock readings and ends of rings are kept', async () => {
  segment(1, { rows: 20, rings: 'a', ended: true }, { rows: 20, rings: 'b' });
  const path = await exported({ since: times.ts(30) });
  const [before, after] = [directory.path, path].map((one) =>
    readCommits(segmentDirectories(one)[0] as string),
  );
  expect(after?.header).toEqual(before?.header);
  expect(after?.begin).toEqual(before?.begin);
  const ended = (of: typeof before): unknown =>
    of?.lines.filter((line) => line.ended).map((line) => line.through_seq);
  expect(ended(after)).toEqual([20]);
  expect(accountOf(path)).toMatchObject({ holds: true, leftOut: 30 });
});
