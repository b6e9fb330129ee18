// tapio-replay tail: rows as they come.

import { follow } from '../follow.ts';
import type { Command } from '../program.ts';
import { ONE_STORE_FLAG, SERVER_FLAGS, WINDOW_FLAGS } from '../reading.ts';
import { SELECTION_FLAGS } from '../selection.ts';
import { FIELDS_FLAG, fieldsOf } from './query.ts';

export const tail: Command = {
  usage: 'tail [EXPR] [flags]',
  flags: {
    ...SELECTION_FLAGS,
    ...ONE_STORE_FLAG,
    ...SERVER_FLAGS,
    // Refused with a reason, but not offered.
    until: { ...WINDOW_FLAGS.until, hidden: true },
    around: { ...WINDOW_FLAGS.around, hidden: true },
    span: { ...WINDOW_FLAGS.span, hidden: true },
    last: { type: 'string', describe: 'N — stored rows that come first (10 without --since)' },
    all: { type: 'boolean', describe: 'first all that is stored' },
    ...FIELDS_FLAG,
    output: { alias: 'o', choices: ['compact', 'json'], default: 'compact', describe: 'form' },
  },
  examples: [
    ['tapio-replay tail', 'the last 10 rows, then what comes, until Ctrl-C'],
    [`tapio-replay tail 'op == "exec"' --last 0`, 'each program as it is started'],
    ['tapio-replay tail --since 10m -o json | my-sink', 'ten minutes, and on without a seam'],
  ],
  run: (flags) => follow(flags, fieldsOf(flags)),
};
