// What the commands that read rows share: the flags that choose them.

import type { Options } from 'yargs';
import { TapioError } from '../src/errors.ts';
import { type Selection, select } from '../src/query/select.ts';
import type { Flags } from './program.ts';
import { STORE_FLAG, WINDOW_FLAGS, windowOf } from './reading.ts';

/** Which store, and which of its rows. */
export const SELECTION_FLAGS: Readonly<Record<string, Options>> = {
  ...STORE_FLAG,
  ...WINDOW_FLAGS,
  type: { type: 'string', describe: 'TYPE,… — process, network, file, memory, syscall' },
  op: { type: 'string', describe: 'OP,… — such as network.connect, or exec' },
  pid: { type: 'string', describe: 'PID,…' },
  comm: { type: 'string', describe: 'NAME,… — thread names' },
  not: { type: 'boolean', describe: 'what the expression and the flags above do not choose' },
};

/** The words of a flag that takes a list: with commas, or given several times. */
export function words(value: unknown): string[] {
  if (value === undefined) return [];
  const parts = Array.isArray(value) ? value : [value];
  return parts.flatMap((part) => String(part).split(',')).filter((part) => part !== '');
}

/** A number of rows, or null where the flag is not given. */
export function count(name: string, value: unknown): number | null {
  if (value === undefined) return null;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0) {
    throw new TapioError('usage', `--${name} ${value} is not a number of rows`);
  }
  return number;
}

/** What the flags and the expression choose. Throws TapioError('usage') for what they do not know. */
export async function selectionOf(flags: Flags): Promise<Selection> {
  const [expression, ...more] = flags._;
  if (more.length > 0) {
    throw new TapioError(
      'usage',
      `unexpected ${more[0]}: an expression is one word, quote it as in 'pid == 1 && op == "exec"'`,
    );
  }
  const filter =
    expression === undefined
      ? null
      : await (await import('../src/query/filter/filter.ts')).parseFilter(String(expression));
  return select({
    ...windowOf(flags),
    types: words(flags.type),
    ops: words(flags.op),
    pids: words(flags.pid),
    comms: words(flags.comm),
    filter,
    not: flags.not === true,
  });
}
