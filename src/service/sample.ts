// One row of so many: the same ones each time, whoever asks and wherever the stream begins.

import { usage } from '../config/values.ts';
import type { EventBlock, EventRun } from '../event/stream.ts';
import { seqsOf } from '../query/order.ts';
import { NumberVector } from '../segment/vectors.ts';

const EVERY_MAX = 1_000_000;
const WEIGHT_MAX = 2 ** 32 - 1;
/** Multipliers of the finalizer of MurmurHash3 (Appleby, 2011), which spreads what follows one another. */
const [FIRST, SECOND] = [0x85ebca6b, 0xc2b2ae35];

function spread(seq: bigint): number {
  let h = Number(BigInt.asUintN(32, seq));
  h = Math.imul(h ^ (h >>> 16), FIRST);
  h = Math.imul(h ^ (h >>> 13), SECOND);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Throws TapioError('usage') for what is no sample. */
export function sampleOf(every: number | undefined): number {
  if (every === undefined || every === 0) return 1;
  if (every > EVERY_MAX) throw usage(`one row of ${every}: at most one of ${EVERY_MAX}`);
  return every;
}

/** A row that stands for others has their weight as well. */
function weighted(block: EventBlock, every: number): EventBlock {
  const weight = block.columns.get('weight');
  if (!(weight instanceof NumberVector)) return block;
  const values = Uint32Array.from(weight.values as Uint32Array, (one) =>
    Math.min(WEIGHT_MAX, one * every),
  );
  const scaled = new NumberVector(weight.length, weight.validity, values);
  return { ...block, columns: new Map([...block.columns, ['weight', scaled]]) };
}

/** The rows of runs that are in the sample of one of so many. */
export function sampled(runs: readonly EventRun[], every: number): readonly EventRun[] {
  if (every === 1) return runs;
  const blocks = new Map<EventBlock, EventBlock>();
  const out: EventRun[] = [];
  for (const { block, from, to } of runs) {
    const seqs = seqsOf(block);
    for (let row = from; row < to; row++) {
      if (spread(seqs[row] as bigint) % every !== 0) continue;
      const shown = blocks.get(block) ?? weighted(block, every);
      blocks.set(block, shown);
      out.push({ block: shown, from: row, to: row + 1 });
    }
  }
  return out;
}
