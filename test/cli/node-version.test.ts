// A Node that is too old is told so, in one sentence, by both programs.

import { spawnSync } from 'node:child_process';
import { execPath } from 'node:process';
import { expect, test } from 'vitest';
import { ROOT } from '../support/recording.ts';

const OLD = '20.20.2';
const pretend = `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'${OLD}'})`;

/** Every Node of this machine that is too old, and this one, which says that it is. */
const found = spawnSync('which', ['-a', 'node']).stdout.toString().trim().split('\n');
const old = [...new Set(found)].filter((path) =>
  /^v(1\d|20|21)\./.test(spawnSync(path, ['--version']).stdout?.toString() ?? ''),
);
const nodes = [[execPath, '--import', pretend], ...old.map((path) => [path])];

test.each(nodes)('%s', (command, ...flags) => {
  for (const program of ['tapio-record', 'tapio-replay']) {
    const words = [...flags, `dist/${program}.js`, '--help'];
    const { status, stderr } = spawnSync(command, words, { cwd: ROOT });
    expect(stderr.toString()).toMatch(/^this needs Node 22\.18 or newer, and runs on \S+: .*\n$/);
    expect(status).toBe(1);
  }
});
