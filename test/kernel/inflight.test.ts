// Calls that have not returned: on demand, and as rows when recording ends.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { execPath } from 'node:process';
import { expect, test } from 'vitest';
import { describeKernel, eachDirectory } from '../support/kernel.ts';
import { queryRows, Recording, ROOT, type Row } from '../support/recording.ts';

const directory = eachDirectory();

/** One thread waits for a connection, one for a pipe, and the main one sleeps. */
const HANGS = `
import os, socket, threading, time
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen()
read, _ = os.pipe()
threading.Thread(target=server.accept, daemon=True).start()
threading.Thread(target=os.read, args=(read, 1), daemon=True).start()
print("ready", flush=True)
time.sleep(600)
`;

const inflight = (store: string, ...flags: string[]) =>
  spawnSync(execPath, ['cli/tapio-record.ts', 'inflight', '--store', store, ...flags], {
    cwd: ROOT,
    encoding: 'utf8',
  });

describeKernel('kernel calls in flight', () => {
  test('who hangs is told while it does, and is a row with the flag pending in the end', async () => {
    const flags = ['--enable', 'file.read', '--syscalls', 'clock_nanosleep'];
    const recording = await Recording.start(`${directory.path}/store`, flags);
    const hung = spawn('python3', ['-c', HANGS], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      await new Promise((resolve) => hung.stdout.once('data', resolve));
      let calls: Row[] = [];
      // It asks for those that are a second old.
      while (calls.length < 3) {
        const said = inflight(recording.store, '-o', 'json');
        expect(said.status, said.stderr).toBe(0);
        const lines = said.stdout.split('\n').filter((line) => line !== '');
        calls = lines.map((line) => JSON.parse(line)).filter((call) => call.pid === hung.pid);
      }
      expect(calls.map((call) => call.call).sort()).toEqual(['accept4', 'clock_nanosleep', 'read']);
      for (const call of calls) expect(call.seconds).toBeGreaterThan(1);
      const of = (name: string): Row => calls.find((call) => call.call === name) ?? {};
      expect(of('accept4').file).toMatch(/^socket:/);
      expect(of('read').file).toMatch(/^pipe:/);
      expect(of('clock_nanosleep')).toMatchObject({ tid: hung.pid, file: null });
      const text = inflight(recording.store).stdout;
      expect(text).toMatch(/^for +pid +tid +comm +call +of\n/);
      expect(inflight(recording.store, '--older', '1h').stdout).toBe(
        'no recorded call is older than 1h\n',
      );
      await recording.stop();
      const pending = queryRows(recording.store).filter(
        (row) => row.pid === hung.pid && (row.flags & 4) !== 0,
      );
      expect(pending.map((row) => `${row.type}.${row.op}`).sort()).toEqual([
        'file.read',
        'network.accept',
        'syscall.call',
      ]);
      for (const row of pending) {
        expect(row[row.type].latency_ns).toBeGreaterThan(1e9);
        expect(row[row.type].ret ?? null).toBeNull();
      }
      const accept = pending.find((row) => row.op === 'accept')?.network;
      expect([accept.error, accept.saddr, accept.new_state]).toEqual([null, null, null]);
    } finally {
      hung.kill('SIGKILL');
      recording.signal('SIGKILL');
    }
    const account = ['cli/tapio-replay.ts', 'account', '--store', recording.store];
    expect(execFileSync(execPath, account, { cwd: ROOT, encoding: 'utf8' })).toContain('it holds');
  });

  test('without latencies no starts are known', async () => {
    const recording = await Recording.start(`${directory.path}/store`, ['--no-latency']);
    try {
      const said = inflight(recording.store);
      expect(said.status).toBe(1);
      expect(said.stderr).toMatch(/^tapio-record: .* leave out --no-latency\n$/);
    } finally {
      await recording.stop();
    }
  });

  test('nobody records', () => {
    const said = inflight(`${directory.path}/none`);
    expect(said.status).toBe(1);
    expect(said.stderr).toMatch(/^tapio-record: no recorder of .* has its rings pinned: .*\n$/);
  });
});
