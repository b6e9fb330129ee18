// The way to the recorder of a store, for who follows it.

import { connectRecorder } from '../control.ts';
import type { RowOrigin } from '../event/stream.ts';
import type { LossRow } from '../segment/small-tables.ts';
import { lossesFrom } from './loss-lines.ts';

/** Loss rows that are kept for who may ask for them. */
const LOSSES_MAX = 4096;

/** What a recorder gives to who follows it. */
export interface LiveDoor {
  /** Path of the live ring. */
  readonly ring: string;
  readonly origin: RowOrigin;
  /** The first seq that the recorder gave since it last went back to a commit, or was started. */
  readonly firstSeq: bigint;
  /** Seq of the last row that is durable, as far as the recorder has said. */
  readonly committed: bigint;
  /** What the recorder wrote down as lost since this was last asked, or since the door was opened. */
  takeLosses(): LossRow[];
  /** False once the recorder has hung up. */
  readonly isOpen: boolean;
  close(): void;
}

/**
 * Registers with the recorder of a store; `say` hears what it tells its followers. Throws
 * TapioError('not_running') where there is none.
 */
export async function openDoor(store: string, say: (text: string) => void): Promise<LiveDoor> {
  let committed = 0n;
  const losses: LossRow[] = [];
  const connection = await connectRecorder(store, 'follow', (line) => {
    if (typeof line.note === 'string') say(`warning: ${line.note}`);
    if (typeof line.committed === 'string') committed = BigInt(line.committed);
    // Who does not take them hears of losses otherwise, and is not to keep them all.
    if (Array.isArray(line.losses)) losses.push(...lossesFrom(line.losses));
    losses.splice(0, Math.max(0, losses.length - LOSSES_MAX));
  });
  const { ring, recording, host, boot_id, first_seq: firstSeq } = connection.answer;
  return {
    ring: String(ring),
    origin: { recording: String(recording), host: String(host), boot_id: String(boot_id) },
    firstSeq: BigInt(String(firstSeq)),
    get committed() {
      return committed;
    },
    get isOpen() {
      return connection.isOpen;
    },
    takeLosses: () => losses.splice(0),
    close: () => connection.close(),
  };
}
