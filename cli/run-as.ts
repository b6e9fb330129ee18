// --user: the recorder takes root's place for as long as it takes to make what only root can, and runs as somebody else.
// Capabilities are a thread's own and Node has begun several by now, so the program begins anew.

import { chmodSync, chownSync, existsSync, mkdirSync, openSync, statfsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { argv, env, execArgv, execPath, geteuid } from 'node:process';
import { TapioError } from '../src/errors.ts';
import { RECORDING_CAPABILITIES } from '../src/privileges.ts';
import { addonPath, PINS, privilegeNative } from '../src/source/binding.ts';
import type { Account } from '../src/source/privileges.ts';

/** Names the descriptor of the directory of pins, which the other user may not reach by its path. */
const PINS_VARIABLE = 'TAPIO_PINS_FD';
const BPF_FS_MAGIC = 0xcafe4a11;

const usage = (message: string): TapioError => new TapioError('usage', message);

function accountOf(text: string): Account {
  const [, user, group = ''] = /^([^:]+)(?::([^:]+))?$/.exec(text) ?? [];
  if (user === undefined) throw usage(`--user ${text}: write NAME, NUMBER or NAME:GROUP`);
  let account: Account;
  try {
    account = privilegeNative().findAccount(user, group);
  } catch (error) {
    throw usage(`--user ${text}: ${(error as Error).message}: name one that there is, or a number`);
  }
  if (account.uid === 0) {
    throw usage(`--user ${text} gives nothing up: name another than root, such as nobody`);
  }
  return account;
}

/** Makes a directory, and those above it that are missing, for a user. What is there stays as it is. */
function makeFor(account: Account, path: string): void {
  if (existsSync(path)) return;
  makeFor(account, dirname(path));
  mkdirSync(path, 0o700);
  chownSync(path, account.uid, account.gid);
}

/** A descriptor of the directory of pins, where each user makes and removes their own; null without a BPF file system. */
function openPins(): number | null {
  const parent = dirname(PINS);
  if (!existsSync(parent) || statfsSync(parent).type !== BPF_FS_MAGIC) return null;
  mkdirSync(PINS, { recursive: true });
  chmodSync(PINS, 0o1777);
  return openSync(PINS, 'r');
}

/**
 * Goes on as a user, NAME or NAME:GROUP, with what recording takes of root and no more. Comes back where that is so
 * already; else the program begins anew, with the same words. Throws TapioError where that cannot be.
 */
export function runAs(text: string, store: string, source: 'live' | 'synthetic'): void {
  const account = accountOf(text);
  const euid = geteuid?.();
  if (euid === account.uid) return;
  if (euid !== 0) {
    throw new TapioError('not_permitted', `--user ${text} needs root: use sudo, or leave it out`);
  }
  const isLive = source === 'live';
  let pins: number | null = null;
  try {
    makeFor(account, resolve(store));
    pins = isLive ? openPins() : null;
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    throw new TapioError('io', `${path} cannot be made for --user ${text} (${code})`);
  }
  if (pins !== null) env[PINS_VARIABLE] = String(pins);
  const [script = ''] = argv.slice(1);
  try {
    privilegeNative().runAs(account, {
      capabilities: isLive ? RECORDING_CAPABILITIES : [],
      arguments: [execPath, ...execArgv, ...argv.slice(1)],
      files: [execPath, script, addonPath()],
      descriptors: pins === null ? [] : [pins],
    });
  } catch (error) {
    throw new TapioError(
      'not_permitted',
      `--user ${text} cannot run this program (${(error as Error).message}): put it where that user can read it`,
    );
  }
}

/** Where rings are kept, as a process that runAs() began reaches it; undefined: by its path. */
export function inheritedPins(): string | undefined {
  const descriptor = env[PINS_VARIABLE];
  delete env[PINS_VARIABLE];
  return descriptor !== undefined && /^\d+$/.test(descriptor)
    ? `/proc/self/fd/${descriptor}`
    : undefined;
}
