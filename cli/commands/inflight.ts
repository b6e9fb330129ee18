// tapio-record inflight: calls that have not returned. The kernel is asked, not the recorder: it may hang too.

import { readlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { stdout } from 'node:process';
import { parseDuration } from '../../src/config/values.ts';
import { TapioError } from '../../src/errors.ts';
import { type CallUnderWay, native, PINS } from '../../src/source/binding.ts';
import { escapeControls } from '../format.ts';
import type { Command, Flags } from '../program.ts';
import { tableLines } from '../rows.ts';
import { storeOf } from '../store-of.ts';

/** Calls whose first argument is a descriptor. */
const OF_DESCRIPTOR =
  /^(p?readv?(64|2)?|p?writev?(64|2)?|accept4?|connect|listen|(send|recv)(to|from|m?msg)|f.*sync|ftruncate|close)$/;

function names(): ReadonlyMap<number, string> {
  return new Map(Object.entries(native().syscalls()).map(([name, number]) => [number, name]));
}

/** What a descriptor of a process is, by its link in /proc; null where that is closed to us. */
function openFile(pid: number, fd: bigint): string | null {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return null;
  }
}

interface Told extends CallUnderWay {
  readonly name: string;
  readonly seconds: number;
  readonly file: string | null;
}

/** Calls in flight of a set of rings; what keeps us from knowing is for the user. */
function callsOf(path: string): readonly CallUnderWay[] {
  try {
    return native().callsUnderWay(path);
  } catch (error) {
    throw new TapioError('not_permitted', `inflight: ${(error as Error).message}`);
  }
}

function told(store: string, older: number): Told[] {
  const addon = native();
  const sets = addon.pinned(PINS).filter((set) => set.alive && set.store === resolve(store));
  if (sets.length === 0) {
    throw new TapioError(
      'not_running',
      `no recorder of ${store} has its rings pinned: name its --store, and see tapio-record doctor (mounts)`,
    );
  }
  const called = names();
  const { monotonic } = addon.clocks();
  return sets
    .flatMap((set) => callsOf(set.path))
    .map((call) => {
      const name = call.is32 ? `32-bit call ${call.number}` : called.get(call.number);
      const of = OF_DESCRIPTOR.test(name ?? '') ? openFile(call.pid, call.args[0] ?? 0n) : null;
      const seconds = Number(monotonic - call.started) / 1e9;
      return { ...call, name: name ?? `call ${call.number}`, seconds, file: of };
    })
    .filter((call) => call.seconds >= older)
    .sort((a, b) => b.seconds - a.seconds);
}

function json({ pid, tid, uid, pstart, comm, name, seconds, args, file }: Told): string {
  const addresses = Array.from(args, (arg) => `0x${arg.toString(16)}`);
  const of = { pid, pstart: String(pstart), tid, uid, comm };
  return JSON.stringify({ ...of, call: name, seconds, args: addresses, file });
}

function table(calls: readonly Told[]): string[] {
  const rows = calls.map(({ pid, tid, comm, name, seconds, args, file }) => {
    const what = file ?? Array.from(args, (arg) => `0x${arg.toString(16)}`).join(' ');
    const cells = [`${seconds.toFixed(1)} s`, pid, tid, comm, name, what];
    return cells.map((cell) => escapeControls(String(cell)));
  });
  return tableLines(['for', 'pid', 'tid', 'comm', 'call', 'of'], rows);
}

async function run(flags: Flags): Promise<number> {
  const store = storeOf(flags);
  const calls = told(store, parseDuration(String(flags.older)) / 1000);
  const lines = flags.output === 'json' ? calls.map(json) : table(calls);
  if (flags.output !== 'json' && calls.length === 0) {
    lines.splice(0, lines.length, `no recorded call is older than ${flags.older}`);
  }
  for (const line of lines) stdout.write(`${line}\n`);
  return 0;
}

export const inflight: Command = {
  usage: 'inflight [flags]',
  flags: {
    store: { type: 'string', describe: 'DIR — the store that is recorded into' },
    older: {
      type: 'string',
      default: '1s',
      describe:
        'DURATION — calls that are this old; those of recorded ops and --syscalls are known',
    },
    output: { alias: 'o', choices: ['text', 'json'], default: 'text', describe: 'how to answer' },
  },
  examples: [
    ['tapio-record inflight', 'who hangs, in what, since when'],
    ['tapio-record inflight --older 1m -o json', 'the same for a script, the oldest first'],
  ],
  run,
};
