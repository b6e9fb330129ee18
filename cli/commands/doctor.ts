// tapio-record doctor: can this host record? What works, what does not, what to do.

import { stdout } from 'node:process';
import { native } from '../../src/source/binding.ts';
import { allChecks, type Check, kernelFileChecks, leftovers, leftoverText } from '../checks.ts';
import type { Command, Flags } from '../program.ts';
import { storeOf } from '../store-of.ts';

const MARKS = { ok: '✓', missing: '✗', note: '·' } as const;

function reportText(checks: readonly Check[], verdict: string): string {
  const lines: string[] = [];
  let area = '';
  for (const check of checks) {
    if (check.area !== area) lines.push(check.area);
    area = check.area;
    const detail = check.detail === '' ? '' : `: ${check.detail}`;
    lines.push(`  ${MARKS[check.state]} ${check.name}${detail}`);
  }
  return [...lines, '', verdict, ''].join('\n');
}

/** Removes what recorders that died have left in the kernel. */
function clean(store: string | null): number {
  const addon = native();
  const found = leftovers(addon, store);
  for (const set of found) {
    addon.unpin(set.path);
    stdout.write(`removed ${leftoverText(set)}\n`);
  }
  if (found.length === 0) stdout.write('nothing was left behind\n');
  return 0;
}

/** Says what would be recorded on a kernel that is not this one. */
function other(path: string, flags: Flags): number {
  const checks = kernelFileChecks(native(), path);
  const able = checks.every((check) => check.state === 'ok');
  const verdict = able ? 'that kernel has every hook' : 'that kernel lacks what is marked ·';
  stdout.write(
    flags.output === 'json' ? `${JSON.stringify({ able, checks })}\n` : reportText(checks, verdict),
  );
  return able ? 0 : 1;
}

async function run(flags: Flags): Promise<number> {
  if (flags.clean === true) return clean((flags.store as string | undefined) ?? null);
  if (flags.kernelBtf !== undefined) return other(String(flags.kernelBtf), flags);
  const checks = allChecks(storeOf(flags));
  const able = checks.every((check) => !check.needed || check.state === 'ok');
  const verdict = able
    ? 'this host can record: tapio-record'
    : 'this host cannot record as it is; mend what is marked ✗, or use --source synthetic';
  stdout.write(
    flags.output === 'json' ? `${JSON.stringify({ able, checks })}\n` : reportText(checks, verdict),
  );
  return able ? 0 : 1;
}

export const doctor: Command = {
  usage: 'doctor [flags]',
  flags: {
    store: { type: 'string', describe: 'DIR — the store that would be recorded into' },
    'kernel-btf': {
      type: 'string',
      describe: 'FILE — type information of another kernel: which hooks and ops it would have',
    },
    clean: {
      type: 'boolean',
      describe: 'remove rings and programs that dead recorders left (of --store, or of all)',
    },
    output: { alias: 'o', choices: ['text', 'json'], default: 'text', describe: 'how to answer' },
  },
  examples: [
    ['tapio-record doctor', 'before the first recording, or when an op is missing'],
    ['tapio-record doctor --kernel-btf ./vmlinux', 'whether another host’s kernel would do'],
    ['tapio-record doctor --clean', 'after a recorder was killed and is not to be started again'],
  ],
  run,
};
