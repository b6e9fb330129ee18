// tapio-record stop: ends the recording of a store and waits until it is sealed.

import { stdout } from 'node:process';
import { askRecorder } from '../../src/control.ts';
import type { Command, Flags } from '../program.ts';
import { storeOf } from '../store-of.ts';

async function run(flags: Flags): Promise<number> {
  const store = storeOf(flags);
  const summary = await askRecorder(store, 'stop');
  if (flags.output === 'json') stdout.write(`${JSON.stringify(summary)}\n`);
  else stdout.write(`the recording in ${store} is sealed\n`);
  return 0;
}

export const stop: Command = {
  usage: 'stop [flags]',
  flags: {
    store: { type: 'string', describe: 'DIR — the store that is recorded into' },
    output: { alias: 'o', choices: ['text', 'json'], default: 'text', describe: 'how to answer' },
  },
  examples: [['tapio-record stop --store ./recording', 'end that recording']],
  run,
};
