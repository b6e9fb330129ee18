// Raw rows to RawEvent messages: rows of each kind alone, and as they come when types alternate. On one thread, from columns
// as segments have them; beside it protobufjs, whose code is made for the message, from objects that are ready.

import type { EventRun } from '../../src/event/stream.ts';
import { RawEventEncoder } from '../../src/raw/encoder.ts';
import { decoded, messagesOf, RawEvent } from '../support/raw-events.ts';
import { report } from './report.ts';
import { type Block, blockOf, inOnePiece, KINDS, OFFSET } from './typical.ts';

const RUNS = 5;
const ROWS = 32_768;
/** Rows of a call, as a server sends them, and as the onward way converts them. */
const CALLS = [1000, 512];
const ROUNDS = 40;
const PEER_ROUNDS = 4;
/** Rows of a type that follow one another in a busy recording. */
const RUN_ROWS = 4;
const ORIGIN = { recording: '01KB', host: 'host', boot_id: 'boot' };

/** Calls' runs of rows of the blocks: one block as it is, several in turn. */
function callsOf(blocks: readonly Block[], rowsAtOnce: number): EventRun[][] {
  const whole = blocks.map(({ type, columns }) => ({
    type,
    origin: ORIGIN,
    tsOffset: OFFSET,
    columns,
  }));
  const calls: EventRun[][] = [];
  const step = blocks.length === 1 ? rowsAtOnce : RUN_ROWS;
  let [call, rows]: [EventRun[], number] = [[], 0];
  for (let from = 0; from < ROWS / blocks.length; from += step) {
    const to = Math.min(from + step, ROWS / blocks.length);
    for (const block of whole) {
      call.push({ block, from, to });
      rows += to - from;
      if (rows < rowsAtOnce) continue;
      calls.push(call);
      [call, rows] = [[], 0];
    }
  }
  return calls;
}

/** Calls of `act`, per second of CPU time. */
function perSecond(rows: number, act: () => void): number {
  const before = process.cpuUsage();
  act();
  const { user, system } = process.cpuUsage(before);
  return rows / ((user + system) / 1e6);
}

function measure(calls: readonly EventRun[][]): number {
  const encoder = new RawEventEncoder();
  let rows = 0;
  const time = (): void => {
    for (let round = 0; round < ROUNDS; round++) {
      for (const runs of calls) rows += encoder.encode(runs).ends.length;
    }
  };
  const first = perSecond(1, time);
  return first * rows;
}

/** What protobufjs is fastest with: objects of the message's class, 64-bit numbers as two halves. */
function peer(calls: readonly EventRun[][]): { values: number[]; bytes: number } {
  const messages = calls.flatMap((runs) => messagesOf(new RawEventEncoder().encode(runs)));
  const objects = messages.map((message) => RawEvent.fromObject(decoded(message)));
  const time = (): void => {
    for (let round = 0; round < PEER_ROUNDS; round++) {
      for (const object of objects) RawEvent.encode(object).finish();
    }
  };
  time();
  const rows = objects.length * PEER_ROUNDS;
  const values = Array.from({ length: RUNS }, () => perSecond(rows, time));
  return { values, bytes: messages.reduce((sum, { length }) => sum + length, 0) / messages.length };
}

export async function bench(): Promise<void> {
  const kinds = Object.keys(KINDS);
  const byType = Map.groupBy(kinds, (kind) => kind.split('.')[0]);
  const sets = new Map<string, readonly (readonly string[])[]>([
    ...kinds.map((kind) => [kind, [[kind]]] as const),
    ['all of these in turn', [...byType.values()]],
  ]);
  for (const [name, types] of sets) {
    // One set at a time: what lives is gone through whenever the memory of messages is given back.
    const blocks = types.map((some) => inOnePiece(blockOf(some, ROWS)));
    for (const rowsAtOnce of CALLS) {
      const calls = callsOf(blocks, rowsAtOnce);
      measure(calls);
      const values = Array.from({ length: RUNS }, () => measure(calls));
      report({ name: `encode ${name}, ${rowsAtOnce} at once`, values, unit: 'events/s and core' });
    }
    const { values, bytes } = peer(callsOf(blocks, ROWS));
    report({ name: `encode ${name}, protobufjs`, values, unit: 'events/s and core' });
    report({ name: `message of ${name}`, values: [bytes], unit: 'bytes' });
  }
}
