// Nothing of a row that was left out is in an export: no string, no process, in whatever file, compressed or not.

import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { exportStore } from '../../src/export/store.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';
import { Reading } from '../../src/query/reading.ts';
import { type Selection, select } from '../../src/query/select.ts';
import { ArrowFileReader } from '../../src/segment/arrow-reader.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { openStore, segmentDirectories } from '../../src/segment/store.ts';
import type { Value } from '../../src/segment/vectors.ts';
import { SegmentWriter } from '../../src/segment/writer.ts';
import { BatchMaker } from '../support/batches.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { append, HEADER, pointAt, processRow, socketRow } from '../support/segments.ts';

const SECRET = 'of-nobody';
const KEPT = 'to-be-kept';

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
  mkdirSync(join(directory.path, 'segments'));
});
afterEach(() => directory.remove());

type Row = Readonly<Record<string, Value>>;

const BEGIN = 1_795_000_000_000_000_000n;
let at = BEGIN;

/** What rows of a type have in common; every string of it is `text`. */
function row(type: 'process' | 'file' | 'network', text: string, pid: number): Row {
  at += 1_000n;
  const common = {
    ts: at,
    cpu: 1,
    pid,
    pstart: BigInt(pid) * 10n,
    tid: pid,
    ppid: 7,
    uid: 1,
    gid: 1,
  };
  const more = { cgroup_id: 1n, kstack_id: 0n, ustack_id: 0n, weight: 1, flags: 0 };
  const row = { ...common, ...more, comm: `${text}-comm` };
  switch (type) {
    case 'process':
      return {
        ...row,
        op: 'exec',
        filename: `${text}-file`,
        cwd: `${text}-cwd`,
        args: [`${text}-a`, `${text}-b`],
        result: 0,
      };
    case 'file':
      return { ...row, op: 'open', path: `${text}-path`, new_path: null };
    case 'network':
      return { ...row, op: 'packet', saddr: `${text}-addr`, packet: Buffer.from(`${text}-packet`) };
  }
}

/** Bytes of a file, and of all that is packed in it. */
function* contents(path: string): Generator<Uint8Array> {
  yield readFileSync(path);
  if (!path.endsWith('.arrow')) return;
  const reader = new ArrowFileReader(path, null);
  try {
    const names = [...reader.columns.keys()];
    for (const place of reader.places()) {
      const batch = { ...place, rows: reader.rowsOf(place), checksums: null };
      for (const { buffers } of reader.read(batch, names).values()) yield* buffers;
    }
    // Those of an open one stand in its log.
    if (!reader.complete) return;
    for (const { data } of reader.dictionaries(reader.places(), names).values()) yield data;
  } finally {
    reader.close();
  }
}

/** Files of a store in which a text stands. */
function filesWith(store: string, text: string): string[] {
  const found = readdirSync(store, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => [...contents(path)].some((bytes) => Buffer.from(bytes).includes(text)));
  return found.map((path) => path.slice(path.lastIndexOf('/') + 1)).sort();
}

/** Rows of two processes in turn; a fork of the kept one names a third. `large`: batches as they are sealed in place. */
function record(rows: number, batches: number, seal: boolean): void {
  const maker = new BatchMaker(1);
  const writer = SegmentWriter.create(
    diskFiles,
    join(directory.path, 'segments'),
    's-0000001',
    HEADER,
    null,
  );
  const pids = { [SECRET]: 100, [KEPT]: 200 };
  for (let i = 0; i < batches; i++) {
    for (const type of ['process', 'file', 'network'] as const) {
      // Null values of the rows that are kept stand where the first string would.
      const made = Array.from({ length: rows }, (_, n) => {
        const text = n % 2 === 0 ? SECRET : KEPT;
        const one = row(type, text, pids[text]);
        return n % 3 === 0 || text === SECRET
          ? one
          : { ...one, path: null, filename: null, saddr: null, args: null, packet: null };
      });
      if (type === 'process')
        made.push({
          ...row('process', KEPT, 200),
          op: 'fork',
          child_pid: 300,
          child_pstart: 3_000n,
        });
      append(writer, maker.of(type, made));
    }
    writer.addProcesses([
      ...[`${SECRET}-1`, `${KEPT}-2`, `${KEPT}-3`].map((comm, n) => ({
        ...processRow((n + 1) * 100, comm),
        pstart: BigInt(n + 1) * 1_000n,
      })),
      { ...processRow(200, `${SECRET}-4`), pstart: 1n },
      { ...processRow(7, `${SECRET}-parent`), pstart: 1n },
    ]);
    writer.addSockets([socketRow(200, `${SECRET}-peer`)]);
    writer.commit(pointAt(1_000n));
  }
  if (seal) writer.seal();
  else writer.abandon();
}

const ALL = select({ since: null, until: null, types: [], ops: [], pids: [], comms: [] });

async function exported(selection: Selection): Promise<string> {
  const opened = openStore(directory.path);
  const path = join(directory.path, 'export');
  try {
    const { signal } = new AbortController();
    const query = Reading.of(opened, selection);
    await exportStore(query, { files: diskFiles, path, signal, onBatch: () => {} });
    return path;
  } finally {
    for (const segment of opened.segments) segment.close();
  }
}

const SHAPES = [
  ['merged', 40, 3, true],
  ['in place', 9_000, 2, true],
  ['open', 40, 3, false],
] as const;

for (const [name, rows, batches, seal] of SHAPES) {
  test(`an excerpt of a segment that is ${name}`, async () => {
    record(rows, batches, seal);
    // What is looked for is there, in every place in which it could be.
    const everywhere = filesWith(directory.path, SECRET);
    const strings = seal ? 'file.arrow' : 'dictionary.log';
    expect(everywhere.some((file) => file.startsWith('sockets'))).toBe(true);
    const tables = [
      'process.arrow',
      'network.arrow',
      seal ? 'processes.arrow' : 'processes.open.arrow',
    ];
    expect(everywhere).toEqual(expect.arrayContaining([...tables, strings]));
    const path = await exported({ ...ALL, pids: new Set([200]) });
    expect(filesWith(path, SECRET)).toEqual([]);
    const kept = ['file.arrow', 'network.arrow', 'process.arrow', 'processes.arrow'];
    expect(filesWith(path, KEPT)).toEqual(expect.arrayContaining(kept));
    const [segment] = openStore(path).segments;
    // The third is named by its fork; 7 is a parent by number alone.
    expect(segment?.processes().map(({ pid, pstart }) => [pid, pstart])).toEqual([
      [200, 2_000n],
      [300, 3_000n],
    ]);
    segment?.close();
  });
}

test('a window, and an expression that all rows of a segment make true', async () => {
  record(40, 1, true);
  const filter = await parseFilter('pid in [100, 200] && ppid == 7');
  const path = await exported({ ...ALL, filter });
  expect(segmentDirectories(path)).toHaveLength(1);
  // All rows are there, but not the process that none of them is about.
  expect(filesWith(path, `${SECRET}-parent`)).toEqual([]);
  expect(filesWith(path, SECRET)).toContain('file.arrow');
});
