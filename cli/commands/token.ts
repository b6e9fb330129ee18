// tapio-record token: makes a bearer token, which is shown once; the recorder keeps its hash.

import { closeSync, constants, fsyncSync, openSync, writeSync } from 'node:fs';
import { geteuid, stderr, stdout } from 'node:process';
import { systemCode, TapioError } from '../../src/errors.ts';
import { makeToken, parseTokens } from '../../src/service/bearer-token.ts';
import { readTrusted } from '../../src/service/trusted-file.ts';
import type { Command, Flags } from '../program.ts';

/** What is in the file by now; a file that is not there yet is empty. */
async function textIn(path: string): Promise<string> {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return '';
  }
  return await readTrusted({ path, what: 'tokens', ownUid: geteuid?.() ?? 0, isSecret: true });
}

/** Adds a line to the file, which stays whose it is. */
function append(path: string, text: string): void {
  try {
    const fd = openSync(path, 'a', 0o600);
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new TapioError(
      'io',
      `${path} cannot be written (${systemCode(error)}): name a file that can`,
    );
  }
}

async function run(flags: Flags): Promise<number> {
  const [name, ...more] = flags._.map(String);
  if (name === undefined || more.length > 0) {
    throw new TapioError('usage', 'name one token: tapio-record token grafana --tokens FILE');
  }
  const path = typeof flags.tokens === 'string' ? flags.tokens : null;
  const { token, line } = await makeToken(name);
  if (path !== null) {
    const before = await textIn(path);
    if (parseTokens(before, path).has(name)) {
      throw new TapioError(
        'usage',
        `${path} has a token ${name} already: take its line out first, or give this one another name`,
      );
    }
    append(path, `${before === '' || before.endsWith('\n') ? '' : '\n'}${line}\n`);
  }
  if (flags.output === 'json') {
    stdout.write(`${JSON.stringify({ name, token, line })}\n`);
    return 0;
  }
  stdout.write(`${token}\n`);
  const told =
    path === null
      ? `its line for the file of --tokens:\n${line}\n`
      : `its hash is in ${path}; a recorder that runs reads it on SIGHUP\n`;
  stderr.write(`the token is shown this once; ${told}`);
  return 0;
}

export const token: Command = {
  usage: 'token NAME [flags]',
  flags: {
    tokens: { type: 'string', describe: 'FILE — add its hash there; made where there is none' },
    output: { alias: 'o', choices: ['text', 'json'], default: 'text', describe: 'how to answer' },
  },
  examples: [
    ['tapio-record token grafana --tokens /etc/tapio/tokens', 'a token for token:grafana'],
    ['tapio-record start --tokens /etc/tapio/tokens --policy policy.yaml …', 'take it'],
  ],
  run,
};
