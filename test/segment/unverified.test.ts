// Segments without commit lines: nothing vouches for their metadata, and garbage in it costs no more than
// the rows. Each case was found by changing stores at random.

import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Message } from 'apache-arrow/ipc/metadata/message';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Segment } from '../../src/segment/reader.ts';
import { MadeRecording } from '../support/recorded.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { everything } from '../support/segments.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let sealed: string;
beforeEach(() => {
  directory = temporaryDirectory();
  const made = new MadeRecording(directory.path, 'one', 6, 0).tell(1, 'init', 3n);
  sealed = made.write(['process', 30], ['network', 20]).seal().directory;
  rmSync(join(sealed, 'commits.ndjson'));
});
afterEach(() => directory.remove());

/** How many rows are read, and what is said. */
function read(): { rows: number; said: string } {
  const segment = new Segment(sealed);
  try {
    segment.losses();
    segment.processes();
    const rows = everything(segment, (info, error) => segment.leaveOut(info, error)).size;
    return { rows, said: segment.problems.map(({ text }) => text).join('; ') };
  } finally {
    segment.close();
  }
}

/** Overwrites an i32 in the schema at the head of a file, wherever it has one. */
function damageSchema(file: string, place: number): void {
  const path = join(sealed, file);
  const bytes = readFileSync(path);
  bytes.writeInt32LE(0x7fff_fff0, 16 + place);
  writeFileSync(path, bytes);
}

test('a schema of billions of fields ends at once', () => {
  const length = readFileSync(join(sealed, 'processes.arrow')).readInt32LE(12);
  const kept = join(directory.path, 'kept');
  copyFileSync(join(sealed, 'processes.arrow'), kept);
  let noticed = 0;
  for (let place = 0; place + 4 <= length; place += 4) {
    damageSchema('processes.arrow', place);
    const { rows, said } = read();
    expect(rows).toBe(50);
    if (said.includes('processes.arrow')) noticed++;
    copyFileSync(kept, join(sealed, 'processes.arrow'));
  }
  expect(noticed).toBeGreaterThan(10);
});

/** Rows of a record batch's message; null where it is none any more. */
function lengthOf(head: Buffer): number | null {
  try {
    return (Message.decode(head).header() as { length: number }).length;
  } catch {
    return null;
  }
}

test('a batch of billions of rows is none', () => {
  const path = join(sealed, 'network.arrow');
  const bytes = readFileSync(path);
  const segment = new Segment(sealed);
  const { offset = 0, metadataLength = 0 } = segment.batches('network')[0] ?? {};
  segment.close();
  const head = bytes.subarray(offset + 8, offset + metadataLength);
  // The number of rows stands in the message as an i64: of the places with a 20, that is one.
  let found = 0;
  for (let at = 0; at + 8 <= head.length; at += 4) {
    if (head.readBigInt64LE(at) !== 20n) continue;
    const changed = Buffer.from(bytes);
    changed.writeBigInt64LE(2n ** 40n, offset + 8 + at);
    if (lengthOf(changed.subarray(offset + 8, offset + metadataLength)) !== 2 ** 40) continue;
    found++;
    writeFileSync(path, changed);
    const { rows, said } = read();
    expect(rows).toBe(30);
    expect(said).toContain('another batch');
  }
  expect(found).toBe(1);
});

test('a table in place of another is not read as that', () => {
  copyFileSync(join(sealed, 'processes.arrow'), join(sealed, 'network.arrow'));
  copyFileSync(join(sealed, 'index.arrow'), join(sealed, 'losses.arrow'));
  const { rows, said } = read();
  expect(rows).toBe(30);
  expect(said).toContain('network.arrow: is no table of events');
  expect(said).toContain('losses.arrow: it has no column stage');
});

test('metadata that makes no sense is no header', () => {
  for (const name of ['process', 'network']) {
    const path = join(sealed, `${name}.arrow`);
    const text = readFileSync(path, 'latin1');
    writeFileSync(path, text.replaceAll(/1794999\d{12}/g, 'x'.repeat(19)), 'latin1');
  }
  expect(() => new Segment(sealed)).toThrow('neither a store nor a segment');
});
