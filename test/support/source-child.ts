// A process that records and tells what it has after each cut, until it is killed: for tests of what
// comes after it. Run with the source's options as JSON (big numbers as text, see toJson).

import { argv, stdout } from 'node:process';
import { native, type SourceOptions } from '../../src/source/binding.ts';
import { fromJson, RowTaker, toJson } from './source-rows.ts';

const source = native().createSource(fromJson(argv[2] ?? '') as SourceOptions, () => {});
const taker = new RowTaker(source);
const started = source.start();
stdout.write(`${toJson({ started: { ...started, alive: [] } })}\n`);
setInterval(() => {
  taker.pump();
  // Rows that come after the last cut are told with the next.
  for (const cut of taker.cuts.splice(0)) {
    const rows = taker.rows.filter((row) => row.seq <= cut.throughSeq);
    taker.rows.splice(0, rows.length);
    stdout.write(`${toJson({ rows, cut })}\n`);
  }
  source.cut(null);
}, 20);
