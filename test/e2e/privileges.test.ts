// A recorder as another user than root, with two capabilities, and its threads that face the network, which hold none.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ProcessPrivileges } from '../../src/privileges.ts';
import { accountsOf, cleanUp, cli, pinsOf, statusOf, until } from '../crash/cli.ts';
import { certificates } from '../support/certificates.ts';
import { ask, clientsAt } from '../support/grpc-client.ts';
import {
  queryRows,
  Recording,
  type Row,
  temporaryDirectory,
  whyNoKernel,
} from '../support/recording.ts';

const why = whyNoKernel();
if (why !== null && process.env.CI !== undefined) throw new Error(`kernel tests must run: ${why}`);

/** An account that most hosts have, and a number that none has. */
const NOBODY = 65534;
const MADE_UP = 54_321;
/** CAP_PERFMON and CAP_BPF. */
const RECORDING = (1n << 38n) | (1n << 39n);

let directory: ReturnType<typeof temporaryDirectory>;
let store = '';
let recording: Recording | null = null;
beforeEach(() => {
  directory = temporaryDirectory();
  // Who records as another user must get there.
  chmodSync(directory.path, 0o755);
  store = join(directory.path, 'store');
});
afterEach(async () => {
  if (recording?.hasEnded === false) await recording.kill();
  recording = null;
  cleanUp(store);
  directory.remove();
});

interface Thread {
  readonly comm: string;
  readonly uid: number;
  readonly sets: Readonly<Record<'CapInh' | 'CapPrm' | 'CapEff' | 'CapBnd' | 'CapAmb', bigint>>;
  readonly noNewPrivs: string;
}

/** What the kernel says of each thread of a process. */
function threadsOf(pid: number): Thread[] {
  return readdirSync(`/proc/${pid}/task`).map((tid) => {
    const status = readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8');
    const word = (key: string): string =>
      new RegExp(`^${key}:\\s*(\\w+)`, 'm').exec(status)?.[1] ?? '';
    const set = (key: string): bigint => BigInt(`0x${word(key)}`);
    return {
      comm: /^Name:\s*(.*)$/m.exec(status)?.[1] ?? '',
      uid: Number(word('Uid')),
      sets: {
        CapInh: set('CapInh'),
        CapPrm: set('CapPrm'),
        CapEff: set('CapEff'),
        CapBnd: set('CapBnd'),
        CapAmb: set('CapAmb'),
      },
      noNewPrivs: word('NoNewPrivs'),
    };
  });
}

const facing = (pid: number): Thread[] =>
  threadsOf(pid).filter(({ comm }) => comm === 'tapio-serve' || comm === 'tapio-sink');

/** Everything below a directory. */
const filesOf = (path: string): string[] =>
  readdirSync(path, { recursive: true }).map((name) => join(path, String(name)));

const execsOf = (name: string): Row[] =>
  queryRows(store, ['--all', '--type', 'process', '--op', 'exec']).filter(({ process: own }) =>
    own.filename?.endsWith(`/${name}`),
  );

/** A program of a name of its own, which does nothing. */
function program(name: string): string {
  const path = join(directory.path, name);
  execFileSync('cp', ['/bin/true', path]);
  return path;
}

test('as nobody it records, sends, serves, attaches anew, and is taken over', async () => {
  const config = join(directory.path, 'tapio.yaml');
  writeFileSync(config, 'profile: minimal\n', { mode: 0o644 });
  const out = join(directory.path, 'out');
  mkdirSync(out);
  chownSync(out, NOBODY, NOBODY);
  const flags = [
    ...['--user', 'nobody', '--config', config, '--ring-size', '1MiB'],
    ...['--sink', `ndjson:${join(out, 'events.ndjson')}`, '--sink-filter', 'true'],
  ];
  recording = await Recording.start(store, flags);
  for (const { comm, uid, sets, noNewPrivs } of threadsOf(recording.pid)) {
    expect([uid, noNewPrivs], comm).toEqual([NOBODY, '1']);
    for (const set of Object.values(sets)) expect(set & ~RECORDING, comm).toBe(0n);
  }
  const held = facing(recording.pid);
  expect(held.map(({ comm }) => comm).sort()).toEqual(['tapio-serve', 'tapio-sink']);
  for (const { sets } of held) {
    expect([sets.CapInh, sets.CapPrm, sets.CapEff, sets.CapAmb]).toEqual([0n, 0n, 0n, 0n]);
  }
  execFileSync(program('before'));

  // Other hooks, which take programs to be attached.
  writeFileSync(config, 'profile: minimal\nenable: [network.listen]\n');
  recording.signal('SIGHUP');
  await until('it is read', () => recording?.stderr.includes('read again') === true);
  await new Promise<void>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => server.close(() => resolve()));
  });
  recording.signal('SIGUSR2');
  await until('a segment is sealed', () =>
    readdirSync(join(store, 'segments')).some((name) => !name.startsWith('.')),
  );

  const clients = clientsAt(join(store, 'recorder.sock'));
  const answer = await ask(clients.events, 'QueryRawEvents', { selection: { types: ['process'] } });
  for (const client of Object.values(clients)) client.close();
  expect(JSON.stringify(answer)).toContain('/before');
  const told = statusOf(store).privileges as ProcessPrivileges;
  expect(told).toMatchObject({ uid: NOBODY, capabilities: ['perfmon', 'bpf'], no_new_privs: true });
  expect(told.threads.map(({ name, capabilities }) => [name, capabilities])).toEqual(
    expect.arrayContaining([
      ['serve', []],
      ['sink', []],
    ]),
  );
  expect(cli('tapio-record', 'doctor', '--store', store).stdout).toContain(
    'its thread serve: no capabilities, no new privileges',
  );

  await recording.kill();
  expect(existsSync(pinsOf(store))).toBe(true);
  expect(statSync(pinsOf(store)).uid).toBe(NOBODY);
  execFileSync(program('meanwhile'));
  recording = await Recording.start(store, flags);
  expect(recording.stderr).toContain('its rings went on');
  execFileSync(program('after'));
  await recording.stop();
  for (const name of ['before', 'meanwhile', 'after']) expect(execsOf(name), name).toHaveLength(1);
  const listens = queryRows(store, ['--all', '--op', 'listen']).map(({ pid }) => pid);
  expect(listens).toContain(process.pid);
  expect(accountsOf(store).map(({ holds }) => holds)).toEqual([true]);
  for (const path of [store, ...filesOf(store)]) expect(statSync(path).uid, path).toBe(NOBODY);
  expect(existsSync(pinsOf(store))).toBe(false);
  await until('the sink has it', () =>
    readFileSync(join(out, 'events.ndjson'), 'utf8').includes('/meanwhile'),
  );
});

test('a user without an account, where nobody but root may look into the BPF file system', async () => {
  const script = 'mount -t bpf -o mode=0700 none /sys/fs/bpf && exec "$@"';
  recording = await Recording.start(
    store,
    ['--user', `${MADE_UP}:${MADE_UP + 1}`, '--profile', 'minimal', '--ring-size', '1MiB'],
    { under: ['unshare', '-m', 'sh', '-c', script, 'sh'] },
  );
  expect(recording.stderr).not.toMatch(/ends with this process|not all goes on/);
  const { uid, gid } = statSync(join(store, 'segments'));
  expect([uid, gid]).toEqual([MADE_UP, MADE_UP + 1]);
  execFileSync(program('here'));
  await recording.stop();
  expect(execsOf('here')).toHaveLength(1);
});

test('root gives nothing up of its own, but what faces the network holds nothing', async () => {
  recording = await Recording.start(store, [
    ...['--source', 'synthetic', '--rate', '1000', '--events', '1000'],
    ...['--sink', `ndjson:${join(directory.path, 'events.ndjson')}`, '--sink-filter', 'true'],
  ]);
  const held = facing(recording.pid);
  expect(held).toHaveLength(2);
  for (const { sets, noNewPrivs } of held) {
    expect([sets.CapPrm, sets.CapEff, sets.CapAmb, noNewPrivs]).toEqual([0n, 0n, 0n, '1']);
  }
  const others = threadsOf(recording.pid).filter(({ comm }) => !comm.startsWith('tapio'));
  for (const { sets } of others) expect(sets.CapEff & RECORDING).toBe(RECORDING);
  await recording.stop();
});

test('what cannot be is said in a sentence', () => {
  const refused = (...flags: string[]): [number | null, string] => {
    const { status, stderr } = cli('tapio-record', 'start', '--store', store, ...flags);
    return [status, stderr];
  };
  const cases: readonly (readonly [string, number, string])[] = [
    ['nobody-here', 2, 'there is no user nobody-here'],
    ['nobody:no-such-group', 2, 'there is no group no-such-group'],
    [':', 2, 'write NAME, NUMBER or NAME:GROUP'],
    ['root', 2, 'gives nothing up'],
  ];
  for (const [user, code, text] of cases) {
    const [status, stderr] = refused('--user', user);
    expect([status, stderr.trim().split('\n').length], stderr).toEqual([code, 1]);
    expect(stderr).toContain(text);
  }
  // Another user's store is left as it is.
  mkdirSync(store, { mode: 0o700 });
  const [status, stderr] = refused('--user', 'nobody', '--source', 'synthetic');
  expect([status, stderr]).toEqual([
    1,
    `tapio-record: the store ${store} belongs to uid 0, not to ${NOBODY}: chown -R ${NOBODY} ${store}\n`,
  ]);
  expect(readdirSync(store)).toEqual([]);
  const at = certificates(directory.path, 'server');
  const [code, said] = refused(
    ...['--source', 'synthetic', '--duration', '1s', '--listen', '127.0.0.1:443'],
    ...['--tls-cert', at('server.pem'), '--tls-key', at('server.key')],
    ...['--tls-client-ca', at('ca.pem'), '--store', join(directory.path, 'other')],
  );
  const first = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  if (first <= 443) expect(code).toBe(0);
  else expect([code, said]).toEqual([2, expect.stringContaining('choose one from 1024')]);
});
