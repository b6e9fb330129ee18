// The examples beside a recorder of the live kernel: they tell what is done here, each thing, and nothing else.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath, pid } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cleanUp } from '../crash/cli.ts';
import { OtherNetwork } from '../support/network.ts';
import {
  queryRows,
  Recording,
  ROOT,
  type Row,
  temporaryDirectory,
  whyNoKernel,
} from '../support/recording.ts';

const why = whyNoKernel();
if (why !== null && process.env.CI !== undefined) throw new Error(`kernel tests must run: ${why}`);

const RESETS = 25;
const FIRST = '127.9.9.9';
const CLOSED = '127.7.7.7';
/** Nobody listens there. */
const PORT = 1;

/** An example that runs, and what it has printed. */
class Example {
  readonly #child: ChildProcess;
  out = '';

  constructor(command: string, ...args: string[]) {
    this.#child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (text) => {
        this.out += text;
      });
    }
  }

  /** Waits until it has printed something, and does something meanwhile. */
  async tells(what: RegExp | string, meanwhile: () => unknown = () => {}): Promise<void> {
    const isThere = (): boolean =>
      typeof what === 'string' ? this.out.includes(what) : what.test(this.out);
    while (!isThere()) {
      if (this.#child.exitCode !== null) throw new Error(`it has ended: ${this.out}`);
      await meanwhile();
      await sleep(100);
    }
  }

  /** Columns of a peer in the last table. */
  last(peer: string): number[] {
    const line = this.out.split('\n').findLast((one) => one.startsWith(`${peer} `)) ?? '';
    return line.trim().split(/\s+/).slice(1).map(Number);
  }

  end(): Promise<unknown> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL');
    return ended;
  }
}

const directory = temporaryDirectory();
const store = join(directory.path, 'store');
const address = `unix:${join(store, 'recorder.sock')}`;
let recording: Recording;
beforeAll(async () => {
  if (why === null) recording = await Recording.start(store, []);
});
afterAll(async () => {
  if (recording?.hasEnded === false) await recording.kill();
  cleanUp(store);
  directory.remove();
});

const python = join(ROOT, '.venv/bin/python');
const languages: [string, (name: string) => [string, string]][] = [
  ['TypeScript', (name) => [execPath, `examples/${name}.ts`]],
  ['Python', (name) => [python, `examples/${name.replace('-', '_')}.py`]],
];

const listener = (port: number): Promise<Server> =>
  new Promise((resolve) => {
    const server = createServer().listen(port, '127.0.0.1', () => resolve(server));
  });

const troubles = (): Row[] => queryRows(store, ['--all', '--op', 'reset,retransmit']);

/** A connection to where nobody listens, which is reset. */
const refused = (host: string): Promise<void> =>
  new Promise((resolve) => {
    connect(PORT, host).on('error', () => resolve());
  });

test.skipIf(why !== null).each(languages)('security watcher, %s', async (language, commandOf) => {
  const [command, file] = commandOf('security-watcher');
  const program = join(tmpdir(), `tapio-example-${language}-${pid}`);
  const later = `${program}-later`;
  copyFileSync('/usr/bin/true', program);
  const expected = await listener(0);
  const { port } = expected.address() as AddressInfo;
  const example = new Example(command, file, address, `22,${port}`);
  try {
    await example.tells(`EXEC ${program} by`, () => execFileSync(program));
    execFileSync('/usr/bin/true');
    expected.close();
    // A listener that is expected, and then one that is not: what is told comes in order.
    const again = await listener(port);
    const other = await listener(0);
    const { port: unexpected } = other.address() as AddressInfo;
    await example.tells(new RegExp(`^LISTEN \\S+ port ${unexpected} by .*\\[${pid}\\]`, 'm'));
    again.close();
    other.close();
    expect(example.out).not.toContain('/usr/bin/true');
    expect(example.out).not.toContain(`port ${port} `);
    // What is done while the recorder is dead is told when it is back.
    await recording.kill();
    await example.tells('once more in');
    copyFileSync('/usr/bin/true', later);
    execFileSync(later);
    recording = await Recording.start(store, []);
    await example.tells(`EXEC ${later} by`);
  } finally {
    await example.end();
    for (const one of [program, later]) rmSync(one, { force: true });
  }
});

test.skipIf(why !== null).each(languages)(
  'TCP trouble-shooter, %s',
  async (_language, commandOf) => {
    const [command, file] = commandOf('tcp-troubleshooter');
    const example = new Example(command, file, address, '0.2');
    const network = new OtherNetwork();
    const server = spawn(
      network.under[0] as string,
      [
        ...network.under.slice(1),
        'python3',
        '-c',
        'import socket,time;s=socket.create_server(("",4444));print("up",flush=True);c=s.accept();time.sleep(60)',
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    let socket: Socket | null = null;
    try {
      await example.tells(`${FIRST} `, () => refused(FIRST));
      const before = troubles().length;
      for (let i = 0; i < RESETS; i++) await refused(CLOSED);
      while (example.last(CLOSED)[2] !== RESETS) await sleep(50);

      await new Promise((resolve) => server.stdout.once('data', resolve));
      const client = connect(4444, network.address);
      socket = client;
      client.on('error', () => {});
      await new Promise((resolve) => client.once('connect', resolve));
      network.cut();
      client.write('are you there?');
      await example.tells(`${network.address} `);
      while ((example.last(network.address)[0] ?? 0) < 2) await sleep(50);
      network.mend();
      await new Promise<void>((resolve) => client.end(resolve));
      const since = (): Row[] => troubles().slice(before);
      const told = (): number =>
        since().filter(({ op, network: of }) => op === 'retransmit' && of.daddr === network.address)
          .length;
      let said = -1;
      for (let count = told(); said !== count; count = told()) {
        await sleep(500);
        [said = -1] = example.last(network.address);
      }
      expect(said).toBeGreaterThanOrEqual(2);
      const received = since().filter(
        ({ network: of }) => of.direction === 'received' && of.saddr === CLOSED,
      );
      expect(received).toHaveLength(RESETS);
    } finally {
      socket?.destroy();
      server.kill('SIGKILL');
      await example.end();
      network.remove();
    }
  },
);
