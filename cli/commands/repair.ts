// tapio-replay repair: salvages what verifies of damaged segments into a new store.

import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { stdout } from 'node:process';
import { nearestName, TapioError } from '../../src/errors.ts';
import { diskFiles } from '../../src/segment/files.ts';
import { type Repaired, repairSegment } from '../../src/segment/repair.ts';
import { ensureStore, segmentDirectories, segmentsOf } from '../../src/segment/store.ts';
import { verifySegment } from '../../src/segment/verify.ts';
import { countText } from '../format.ts';
import type { Command, Flags } from '../program.ts';
import { ONE_STORE_FLAG, storeOf } from '../reading.ts';

/** The segments that are to be repaired: those named, else all that are damaged. */
function chosen(store: string, names: readonly string[]): string[] {
  if (!existsSync(segmentsOf(store))) return [store];
  const all = segmentDirectories(store);
  if (names.length === 0) return all.filter((one) => verifySegment(one).damage.length > 0);
  return names.map((name) => {
    const found = all.find((one) => basename(one) === name || one.endsWith(`.open-${name}`));
    if (found !== undefined) return found;
    const near = nearestName(
      name,
      all.map((one) => basename(one)),
    );
    const hint = near === null ? '' : ` (did you mean ${near}?)`;
    throw new TapioError('usage', `there is no segment ${name} in ${store}${hint}`);
  });
}

function report(name: string, { rows, left, problems }: Repaired): string {
  const lost =
    left === null
      ? 'an unknown number of rows could not be read'
      : `${countText(left)} rows could not be read`;
  return [
    `${name}: ${countText(rows)} rows salvaged, ${lost}`,
    ...problems.map((one) => `  ${one}`),
  ].join('\n');
}

async function run(flags: Flags): Promise<number> {
  const store = storeOf(flags);
  const to = resolve(String(flags.to ?? './repaired'));
  if (to === resolve(store)) {
    throw new TapioError('usage', '--to is the damaged store itself: name another directory');
  }
  const directories = chosen(store, flags._.map(String));
  if (directories.length === 0) {
    stdout.write('nothing is damaged\n');
    return 0;
  }
  ensureStore(to);
  for (const directory of directories) {
    const name = basename(directory).replace(/^\.open-/, '');
    if (existsSync(join(segmentsOf(to), name))) {
      throw new TapioError('usage', `${to} has a segment ${name} already: name another with --to`);
    }
    const repaired = repairSegment(diskFiles, directory, to);
    if (flags.output === 'json') {
      const { rows, left, problems } = repaired;
      stdout.write(`${JSON.stringify({ segment: name, rows, left, problems })}\n`);
    } else {
      stdout.write(`${report(name, repaired)}\n`);
    }
  }
  if (flags.output !== 'json') {
    stdout.write(`written to ${to}; the originals are as they were\n`);
  }
  return 0;
}

export const repair: Command = {
  usage: 'repair [SEGMENT…] [flags]',
  flags: {
    ...ONE_STORE_FLAG,
    to: { type: 'string', describe: 'DIR — the store to write to (./repaired)' },
    output: { alias: 'o', choices: ['text', 'json'], default: 'text', describe: 'form' },
  },
  examples: [
    ['tapio-replay repair --store ./recording --to ./mended', 'all segments that are damaged'],
    ['tapio-replay repair 20261122T180000.123Z-0000042 --to ./mended', 'this one'],
  ],
  run,
};
