// tapio-record doctor: can this host record? What works, what does not, what to do.

import { stdout } from 'node:process';
import { allChecks, type Check } from '../checks.ts';
import type { Command, Flags } from '../program.ts';
import { storeOf } from '../store-of.ts';

const MARKS = { ok: '✓', missing: '✗', note: '·' } as const;

function reportText(checks: readonly Check[], able: boolean): string {
  const lines: string[] = [];
  let area = '';
  for (const check of checks) {
    if (check.area !== area) lines.push(check.area);
    area = check.area;
    const detail = check.detail === '' ? '' : `: ${check.detail}`;
    lines.push(`  ${MARKS[check.state]} ${check.name}${detail}`);
  }
  const verdict = able
    ? 'this host can record: tapio-record'
    : 'this host cannot record as it is; mend what is marked ✗, or use --source synthetic';
  return [...lines, '', verdict, ''].join('\n');
}

async function run(flags: Flags): Promise<number> {
  const checks = allChecks(storeOf(flags));
  const able = checks.every((check) => !check.needed || check.state === 'ok');
  stdout.write(
    flags.output === 'json' ? `${JSON.stringify({ able, checks })}\n` : reportText(checks, able),
  );
  return able ? 0 : 1;
}

export const doctor: Command = {
  usage: 'doctor [flags]',
  flags: {
    store: { type: 'string', describe: 'DIR — the store that would be recorded into' },
    output: { alias: 'o', choices: ['text', 'json'], default: 'text', describe: 'how to answer' },
  },
  examples: [['tapio-record doctor', 'before the first recording, or when an op is missing']],
  run,
};
