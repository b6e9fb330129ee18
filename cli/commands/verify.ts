// tapio-replay verify: reads everything and tells what is not as it was written.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { stderr, stdout } from 'node:process';
import { TapioError } from '../../src/errors.ts';
import { openStore, segmentDirectories, segmentsOf } from '../../src/segment/store.ts';
import { damageSentence, type Verified, verifySegment } from '../../src/segment/verify.ts';
import { bytesText, countText } from '../format.ts';
import type { Command, Flags } from '../program.ts';
import { checkOne, ONE_STORE_FLAG, SERVER_FLAGS, say, withStores } from '../reading.ts';

/** Time between lines of progress on a terminal, ms. */
const PROGRESS_MS = 200;

class Progress {
  readonly #shown = stderr.isTTY === true;
  readonly #began = performance.now();
  readonly #total: number;
  #bytes = 0;
  #last = 0;

  constructor(segments: number) {
    this.#total = segments;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get seconds(): number {
    return (performance.now() - this.#began) / 1000;
  }

  add(bytes: number, done: number): void {
    this.#bytes += bytes;
    if (!this.#shown || performance.now() - this.#last < PROGRESS_MS) return;
    this.#last = performance.now();
    stderr.write(
      `\r\x1b[Kverifying ${done + 1} of ${this.#total}: ${bytesText(this.#bytes)}, ${bytesText(this.#bytes / this.seconds)}/s`,
    );
  }

  clear(): void {
    if (this.#shown) stderr.write('\r\x1b[K');
  }
}

/** Verifies a directory that may be sealed or retired meanwhile: null where it has gone. */
function verifyMoving(directory: string, onBytes: (bytes: number) => void): Verified | null {
  const found = verifySegment(directory, onBytes);
  if (found.damage.length === 0 || existsSync(directory)) return found;
  const sealed = directory.replace(/\.open-([^/]*)$/, '$1');
  return sealed !== directory && existsSync(sealed) ? verifySegment(sealed, onBytes) : null;
}

/** Gaps between segments, and segments that cannot be opened. */
function storeProblems(store: string): string[] {
  const { segments, problems } = openStore(store);
  for (const segment of segments) segment.close();
  return problems.map(({ segment, text }) => `${segment}: ${text}`);
}

async function run(flags: Flags): Promise<number> {
  checkOne(flags);
  return await withStores(flags, ([store = ''], notes) => {
    for (const note of notes) say(note);
    return verifyStore(store, flags);
  });
}

function verifyStore(store: string, flags: Flags): number {
  if (!existsSync(store)) {
    throw new TapioError('store_missing', `there is no store at ${store}: name one with --store`);
  }
  const isStore = existsSync(segmentsOf(store));
  const directories = isStore ? segmentDirectories(store) : [store];
  const progress = new Progress(directories.length);
  const json = flags.output === 'json';
  let damaged = 0;
  let rows = 0;
  directories.forEach((directory, i) => {
    const result = verifyMoving(directory, (bytes) => progress.add(bytes, i));
    if (result === null || isEmpty(directory)) return;
    rows += result.rows;
    damaged += result.damage.length;
    progress.clear();
    if (json) stdout.write(`${JSON.stringify(result)}\n`);
    else for (const one of result.damage) stdout.write(`${damageSentence(result, one)}\n`);
  });
  const between = isStore ? storeProblems(store) : [];
  for (const text of between) {
    if (json) stdout.write(`${JSON.stringify({ problem: text })}\n`);
    else stdout.write(`${text}\n`);
  }
  const bad = damaged + between.length;
  const speed = `${bytesText(progress.bytes)} at ${bytesText(progress.bytes / progress.seconds)}/s`;
  const all = `${directories.length} segment${directories.length === 1 ? '' : 's'}, ${countText(rows)} rows, ${speed}`;
  if (!json) {
    stdout.write(
      bad === 0
        ? `all is as it was written: ${all}\n`
        : `${bad} damaged: ${all}; tapio-replay repair salvages the rest\n`,
    );
  }
  return bad === 0 ? 0 : 1;
}

/** An open segment to which nothing was committed yet. */
function isEmpty(directory: string): boolean {
  return /\.open-[^/]*$/.test(directory) && existsSync(directory) && !hasCommits(directory);
}

function hasCommits(directory: string): boolean {
  return (
    readdirSync(directory).some((name) => name.endsWith('.arrow')) ||
    !existsSync(join(directory, 'dictionary.log'))
  );
}

export const verify: Command = {
  usage: 'verify [flags]',
  flags: {
    ...ONE_STORE_FLAG,
    ...SERVER_FLAGS,
    output: { alias: 'o', choices: ['text', 'json'], default: 'text', describe: 'form' },
  },
  examples: [['tapio-replay verify --store ./recording', 'exit 1 where anything is damaged']],
  run,
};
