// tapio-replay trace: a process and its descendants through their life.

import { TapioError } from '../../src/errors.ts';
import { formatTs } from '../../src/event/clock.ts';
import { JsonEncoders } from '../../src/event/json.ts';
import { missingFrom } from '../../src/query/completeness.ts';
import {
  descendantsOf,
  type Life,
  lifeAt,
  livesOf,
  missingForks,
  setsOf,
} from '../../src/query/descendants.ts';
import { bootKey } from '../../src/query/process-rows.ts';
import type { ProcessSets } from '../../src/query/process-set.ts';
import { Reading } from '../../src/query/reading.ts';
import type { Block } from '../../src/query/scanner.ts';
import { select } from '../../src/query/select.ts';
import { parseTime } from '../../src/query/time.ts';
import type { Segment } from '../../src/segment/reader.ts';
import { allColumns, Output } from '../output.ts';
import type { Command, Flags } from '../program.ts';
import { now, reading, STORE_FLAG, say, WINDOW_FLAGS, windowOf } from '../reading.ts';
import { compactLine, indent } from '../rows.ts';

function pidsOf({ _: words }: Flags): number[] {
  const texts = words.flatMap((word) => String(word).split(','));
  const pids = texts.map((text) => {
    if (!/^\d+$/.test(text)) throw new TapioError('usage', `${text} is not a process id`);
    return Number(text);
  });
  if (pids.length > 0) return [...new Set(pids)];
  throw new TapioError('usage', 'trace what? name a process: tapio-replay trace PID');
}

/** The life that is meant, told where there are several. */
function chosen(segments: readonly Segment[], pid: number, at: bigint | null): Life {
  const lives = livesOf(segments, pid);
  const life = lifeAt(lives, at);
  if (life === null) {
    throw new TapioError(
      'not_held',
      `no process ${pid} is held: tapio-replay ps lists those that are`,
    );
  }
  if (lives.length > 1) {
    const starts = lives.slice(-MANY).map(({ startTs }) => formatTs(startTs));
    const before = lives.length > MANY ? '…, ' : '';
    say(
      `pid ${pid} was given ${lives.length} times (started ${before}${starts.join(', ')}): this is the one of ${formatTs(life.startTs)}, choose another with --at`,
    );
  }
  return life;
}

const MANY = 4;

type LineOf = (block: Block, row: number) => string;

function jsonOf(): LineOf {
  const encoders = new JsonEncoders();
  return ({ type, tsOffset, columns }, row) => encoders.of(type).encode(columns, row, tsOffset);
}

/** Compact lines, indented by how far a process is below the one that is traced. */
function compactOf(sets: ProcessSets): LineOf {
  return ({ type, segment, columns }, row) => {
    const get = (name: string): unknown => columns.get(name)?.get(row);
    const set = sets.get(bootKey(segment));
    const depth = set?.depthOf(get('pid') as number, get('pstart') as bigint) ?? 0;
    return compactLine(type, columns, row, indent(depth));
  };
}

async function run(flags: Flags): Promise<number> {
  const pids = pidsOf(flags);
  if (Array.isArray(flags.at)) throw new TapioError('usage', '--at is given more than once');
  const at = flags.at === undefined ? null : parseTime(String(flags.at), now());
  const { since, until } = windowOf(flags);
  await reading(flags, async (opened) => {
    const { segments } = opened;
    const lives = pids.map((pid) => chosen(segments, pid, at));
    const children = flags.children !== false;
    const processes = children ? descendantsOf(segments, lives) : setsOf(lives);
    const own = segments.filter((segment) => processes.has(bootKey(segment)));
    const all = select({ since, until, types: [], ops: [], pids: [], comms: [] });
    const selection = { ...all, processes };
    const text = flags.output === 'json' ? jsonOf() : compactOf(processes);
    const out = new Output();
    let written = 0;
    const query = Reading.of({ ...opened, segments: own }, selection);
    for await (const { block, from, to } of query.rows({ first: null, last: null }, allColumns)) {
      for (let row = from; row < to && !out.closed; row++) out.line(text(block, row));
      written += to - from;
      if (out.closed) break;
    }
    out.flush();
    for (const note of segments.flatMap((segment) => segment.notes)) say(note);
    const forks = children ? missingForks(own, until) : [];
    const missing = missingFrom(opened, selection);
    const other = missing.filter((sentence) => !forks.some((one) => one.startsWith(sentence)));
    for (const sentence of [...other, ...forks]) say(sentence);
    if (written === 0) say('nothing of it is held in that window');
  });
  return 0;
}

export const trace: Command = {
  usage: 'trace PID[,PID…] [flags]',
  flags: {
    ...STORE_FLAG,
    at: {
      type: 'string',
      describe:
        'TIME — of a pid that was given again, the process of that time [default: the last]',
    },
    children: {
      type: 'boolean',
      default: true,
      describe: 'with all who descend from it; --no-children: itself alone',
    },
    ...WINDOW_FLAGS,
    output: { alias: 'o', choices: ['compact', 'json'], default: 'compact', describe: 'form' },
  },
  examples: [
    ['tapio-replay trace 4711', 'all that 4711 and its descendants did, in order'],
    ['tapio-replay trace 4711 --no-children --around 03:00', 'itself, 15 s before and after three'],
    [
      'tapio-replay trace 4711 --at "yesterday 14:00" -o json',
      'the process that had that pid then',
    ],
  ],
  run,
};
