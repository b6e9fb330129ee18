// Raw rows to UnifiedEvents: to objects, and to JSON text as well; rows of each kind alone, and as they come when many kinds
// alternate. On one thread, from columns as segments have them.

import { Converter } from '../../src/unified/convert.ts';
import { take, written } from '../../src/unified/text.ts';
import { report } from './report.ts';
import { type Block, blockOf, KINDS, OFFSET } from './typical.ts';

const RUNS = 5;
const ROWS = 32_768;
const ROUNDS = 8;
/** As much as goes onward at once. */
const TAKEN_BYTES = 400_000;
function converter(): Converter {
  const origin = {
    recording: '01KB0000000000000000000000',
    host: 'host',
    boot_id: '0f1d7a0c-6c1e-4d53-9a52-3c1d5f7f8a11',
    tsOffset: OFFSET,
  };
  return new Converter(origin);
}

/** Rows of the blocks in turn, so many times; the bytes of their text, or the properties of their objects. */
function convert(own: Converter, blocks: readonly Block[], asText: boolean): number {
  let made = 0;
  for (let round = 0; round < ROUNDS; round++) {
    for (let row = 0; row < ROWS; row++) {
      const { type, columns } = blocks[row % blocks.length] as Block;
      if (asText) {
        own.write(type, columns, row);
        if (written() > TAKEN_BYTES) made += take().length;
      } else made += own.convert(type, columns, row)?.id.length ?? 0;
    }
  }
  return made;
}

/** Rows per second of CPU time. */
function measure(blocks: readonly Block[], asText: boolean): number {
  const own = converter();
  const before = process.cpuUsage();
  convert(own, blocks, asText);
  const { user, system } = process.cpuUsage(before);
  return (ROWS * ROUNDS) / ((user + system) / 1e6);
}

export async function bench(): Promise<void> {
  const kinds = Object.keys(KINDS);
  const byType = Map.groupBy(kinds, (kind) => kind.split('.')[0]);
  const sets = new Map<string, readonly Block[]>([
    ...kinds.map((kind) => [kind, [blockOf([kind], ROWS)]] as const),
    ['all of these in turn', [...byType.values()].map((some) => blockOf(some, ROWS))],
  ]);
  for (const asText of [true, false]) {
    const form = asText ? 'JSON text' : 'object';
    for (const [name, blocks] of sets) {
      measure(blocks, asText);
      const values = Array.from({ length: RUNS }, () => measure(blocks, asText));
      report({ name: `unify ${name}, to ${form}`, values, unit: 'events/s and core' });
    }
  }
}
