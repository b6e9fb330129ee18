import { expect, test } from 'vitest';
import { afterServer, type ServerStatus } from '../../src/server/protocol.ts';
import { afterSink } from '../../src/sink/protocol.ts';

test('a thread that took the place of one that failed counts on', () => {
  const before: ServerStatus = {
    ...{ listening: ['unix:/a'], connections: 5, accepted: 7, sent_bytes: 100, streams_open: 3 },
    ...{ streams: 9, rows: 1000, missed: 2, audit_lines: 30, audit_failures: 1 },
    refused: { usage: 2, io: 1 },
  };
  const own: ServerStatus = {
    ...{ listening: ['unix:/a'], connections: 1, accepted: 1, sent_bytes: 10, streams_open: 0 },
    ...{ streams: 1, rows: 5, missed: 1, audit_lines: 0, audit_failures: 0 },
    refused: { usage: 1, internal: 4 },
  };
  expect(afterServer(before, own)).toEqual({
    ...{ listening: ['unix:/a'], connections: 1, accepted: 8, sent_bytes: 110, streams_open: 0 },
    ...{ streams: 10, rows: 1005, missed: 3, audit_lines: 30, audit_failures: 1 },
    refused: { usage: 3, io: 1, internal: 4 },
  });
});

test('so does that of a sink, but for what its checkpoint holds', () => {
  const sink = {
    ...{ name: 'a', place: 'p', filter: 'true', trouble: null, taken: 10, refused: 1, returned: 2 },
    ...{ unmapped: 3, lost: 6, under_way: 9, lag_events: 8, lag_s: 7, rate: 5 },
  };
  const own = { ...sink, taken: 1, refused: 1, returned: 1, unmapped: 1, under_way: 0, rate: 1 };
  expect(afterSink(sink, own)).toEqual({
    ...own,
    ...{ taken: 11, refused: 2, returned: 3, unmapped: 4, lost: 6 },
  });
});
