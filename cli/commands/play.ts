// tapio-replay play: rows again, in order, when they are due.

import { stderr, stdout } from 'node:process';
import type { EventType } from '../../schemas/arrow.ts';
import { TapioError } from '../../src/errors.ts';
import { whyEmpty } from '../../src/query/row-source.ts';
import { pacedClock } from '../../src/replay/clock.ts';
import { Player, type PlayStats } from '../../src/replay/player.ts';
import {
  type Pace,
  parseLoop,
  parseMaxGap,
  parseRate,
  parseSpeed,
} from '../../src/replay/schedule.ts';
import { SourceEvents } from '../../src/replay/stored.ts';
import { addLines, type LineForm, lineForm } from '../event-lines.ts';
import { countText, durationText, spanText } from '../format.ts';
import { Output } from '../output.ts';
import { PlayControls } from '../play-controls.ts';
import type { PlayTo } from '../play-to.ts';
import type { Command, Flags } from '../program.ts';
import { readingRows, say } from '../reading.ts';
import { SELECTION_FLAGS, selectionOf } from '../selection.ts';

const NS_PER_S = 1e9;

function contradict(flags: Flags, names: readonly string[]): void {
  const given = names.filter((name) => flags[name] !== undefined && flags[name] !== false);
  if (given.length > 1) {
    throw new TapioError(
      'usage',
      `${given.map((name) => `--${name}`).join(' and ')} contradict each other`,
    );
  }
}

/** How it is to be played. Throws TapioError('usage') for what cannot be. */
function playOptions(flags: Flags): {
  pace: Pace;
  maxGapNs: number;
  loops: number;
  rebase: boolean;
  stepping: boolean;
} {
  contradict(flags, ['speed', 'rate', 'step']);
  contradict(flags, ['max-gap', 'rate']);
  contradict(flags, ['max-gap', 'step']);
  const text = (name: string, fallback: string): string => String(flags[name] ?? fallback);
  const pace =
    flags.rate === undefined ? parseSpeed(text('speed', '1x')) : parseRate(text('rate', ''));
  if (pace === 'max' && flags['max-gap'] !== undefined) {
    throw new TapioError('usage', '--max-gap means nothing with --speed max: there are no gaps');
  }
  if (flags.rebase !== undefined && flags.rebase !== 'now') {
    throw new TapioError('usage', `--rebase ${flags.rebase} is not known: write --rebase now`);
  }
  return {
    pace,
    maxGapNs:
      flags['max-gap'] === undefined ? Number.POSITIVE_INFINITY : parseMaxGap(text('max-gap', '')),
    loops: parseLoop(text('loop', '1')),
    rebase: flags.rebase !== undefined,
    stepping: flags.step === true,
  };
}

function summaryJson({ rows, loops, wallNs, scheduledNs, errorNs, lateRows }: PlayStats): string {
  const us = (ns: number): number => Math.round(ns / 100) / 10;
  return JSON.stringify({
    rows,
    loops,
    wall_s: wallNs / NS_PER_S,
    scheduled_s: scheduledNs === null ? null : scheduledNs / NS_PER_S,
    rate: wallNs > 0 ? Math.round((rows / wallNs) * NS_PER_S) : null,
    error_us:
      errorNs === null
        ? null
        : { p50: us(errorNs.p50), p99: us(errorNs.p99), max: us(errorNs.max) },
    late_rows: lateRows,
  });
}

function summaryText({ rows, loops, wallNs, errorNs, lateRows }: PlayStats): string {
  const seconds = wallNs / NS_PER_S;
  const rate = wallNs > 0 ? ` (${countText(rows / seconds)}/s)` : '';
  const parts = [`played ${countText(rows)} rows in ${seconds.toFixed(2)} s${rate}`];
  if (loops > 1) parts.push(`${countText(loops)} loops`);
  if (errorNs !== null) {
    const [p50, p99, max] = [errorNs.p50, errorNs.p99, errorNs.max].map(durationText);
    parts.push(`after they were due: p50 ${p50}, p99 ${p99}, max ${max}`);
  }
  if (lateRows > 0) parts.push(`${countText(lateRows)} rows more than 1 ms late`);
  return parts.join('; ');
}

/** What a shift of ts came to, for people. */
function shiftText(shift: bigint): string {
  const seconds = Number(shift / 1_000_000_000n);
  const way = seconds < 0 ? 'back' : 'forward';
  return `ts is shifted ${way} by ${spanText(Math.abs(seconds))} (${shift} ns), so that the first row of each loop is now; ktime and durations are as recorded`;
}

async function write(player: Player, { line }: LineForm, controls: PlayControls): Promise<void> {
  const out = new Output();
  for await (const runs of player.events()) {
    if (line !== null) {
      addLines(runs, line, out);
      controls.clearFor(stdout);
      await out.drain();
    }
    if (out.closed) break;
    controls.show();
  }
}

/** A way to the receiver of --to; null without one. Throws TapioError('usage') for what leads nowhere. */
async function receiverOf(flags: Flags): Promise<PlayTo | null> {
  if (flags.to === undefined) return null;
  contradict(flags, ['to', 'output']);
  if (Array.isArray(flags.to)) {
    throw new TapioError('usage', '--to is given more than once: a replay goes to one receiver');
  }
  const [{ PlayTo }, { makeSink, sinkUrl }] = await Promise.all([
    import('../play-to.ts'),
    import('../../src/sink/make.ts'),
  ]);
  return PlayTo.open(sinkUrl(String(flags.to)), makeSink, flags.rebase !== undefined);
}

async function run(flags: Flags): Promise<number> {
  const selection = await selectionOf(flags);
  const options = playOptions(flags);
  const receiver = await receiverOf(flags);
  const form = lineForm(receiver === null ? String(flags.output ?? 'compact') : 'none');
  return readingRows(flags, selection, async (source) => {
    const clock = pacedClock();
    const columns = (type: EventType): readonly string[] =>
      receiver?.onward.columns(type) ?? form.columns(type);
    const player = new Player(new SourceEvents(source, columns), {
      ...options,
      // Events tell their original time as well, so that they are shifted as they are made.
      rebase: options.rebase && receiver === null,
      clock,
    });
    const onStop = (): void => receiver?.end();
    const controls = new PlayControls(player, { ...options, onStop }, flags.keys !== false);
    try {
      if (receiver === null) await write(player, form, controls);
      else await receiver.send(player, () => controls.show());
    } finally {
      controls.end();
      clock.close();
    }
    const stats = player.stats();
    for (const text of receiver?.summary() ?? []) say(text);
    if (options.rebase && receiver === null && stats.rows > 0) say(shiftText(player.shift));
    for (const text of await source.notes()) say(text);
    if (stats.rows === 0 && !controls.interrupted) say(await whyEmpty(source));
    const text =
      flags.stats === 'json' ? summaryJson(stats) : `tapio-replay: ${summaryText(stats)}`;
    // The standard output may be the receiver.
    (form.line === null && receiver === null ? stdout : stderr).write(`${text}\n`);
    return receiver?.isComplete === false ? 1 : 0;
  });
}

export const play: Command = {
  usage: 'play [EXPR] [flags]',
  flags: {
    ...SELECTION_FLAGS,
    speed: { type: 'string', describe: '10x, 0.5x, 200% or max (default: 1x, as recorded)' },
    rate: { type: 'string', describe: 'N/s — so many rows per second, evenly' },
    step: { type: 'boolean', describe: 'a row for each Enter or space, or each line of stdin' },
    'max-gap': {
      type: 'string',
      describe: 'TIME — nobody waits longer for the next row, whatever the speed: 2s',
    },
    loop: { type: 'string', describe: 'N — so many times; 0 or forever: for ever' },
    rebase: {
      type: 'string',
      describe: 'now — shift ts so that the first row (of each loop) is now; ktime stays',
    },
    keys: {
      type: 'boolean',
      default: true,
      describe:
        'on a terminal: space pause, ← → seek 10 s, s step, + - speed, q quit; --no-keys leaves them to a pager',
    },
    output: {
      alias: 'o',
      choices: ['compact', 'json', 'none'],
      describe: 'form [default: compact]; none writes no rows, and the summary to stdout',
    },
    to: {
      type: 'string',
      describe:
        'URL — the rows go there as UnifiedEvents, at least once: nats://, tls:// (NATS JetStream), tapio:// (gRPC), http://, https:// (NDJSON), ndjson:PATH, ndjson:-. Options stand behind a ?: see src/sink/README.md',
    },
    stats: { choices: ['text', 'json'], default: 'text', describe: 'form of the summary' },
  },
  examples: [
    ['tapio-replay play --since 14:00 --until +5m', 'five minutes again, as they went'],
    [
      'tapio-replay play --speed 10x --max-gap 2s',
      'ten times as fast, never idle for longer than 2 s',
    ],
    ['tapio-replay play --rate 5000/s -o json | my-sink', 'a steady load for a program'],
    [
      'tapio-replay play --loop forever --rebase now -o json',
      'without an end, as if it happened now',
    ],
    ['tapio-replay play --op exec --step', 'each program started, one by one'],
    [
      `tapio-replay play 'file.path.startsWith("/etc/")' --speed max`,
      'the filter language of query',
    ],
    ['tapio-replay play --speed max -o none --stats json', 'how fast it can go'],
    [
      'tapio-replay play --since 14:00 --rebase now --to nats://localhost:4222',
      'an incident again, for Tapio, as if it happened now',
    ],
    [
      'tapio-replay play --no-keys | less',
      'Ctrl-C and a closed pipe are normal ends (exit code 0)',
    ],
  ],
  run,
};
