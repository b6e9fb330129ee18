// Each op is provoked by a program that knows nothing of the recorder, and found with right fields.

import { expect, test } from 'vitest';
import { describeKernel, eachDirectory, recordedWhile } from '../support/kernel.ts';
import { type Row, run } from '../support/recording.ts';

const directory = eachDirectory();

/** Records while the driver does one thing; its facts, and the rows. */
const drive = (what: string, flags: readonly string[] = []) =>
  recordedWhile(directory.path, flags, () =>
    run('python3', ['test/kernel/drive.py', what, directory.path]),
  );

const of = (rows: readonly Row[], type: string, op: string): Row[] =>
  rows.filter((row) => row.type === type && row.op === op);

describeKernel('kernel', () => {
  test('exec: odd, long and non-UTF-8 arguments, relative and failed', async () => {
    const { facts, rows } = await drive('exec');
    const execs = of(rows, 'process', 'exec');
    const by = (pid: number): Row => execs.findLast((row) => row.pid === pid) ?? {};
    expect(by(facts.odd_pid).process).toMatchObject({
      filename: '/bin/true',
      args: facts.odd.map((arg: string) => arg.replaceAll('\\', '\\\\')),
      result: 0,
      exit_code: null,
    });
    expect(by(facts.odd_pid)).toMatchObject({ comm: 'true', ppid: facts.me, flags: 0 });
    expect(by(facts.bytes_pid).process.args).toEqual(['/bin/true', '\\xff\\xfe raw', 'ok']);
    const long = by(facts.long_pid);
    expect(long.process.args_length).toBe(facts.long_length);
    expect(long.flags & 2).toBe(2);
    expect(long.process.args.join('').length).toBeGreaterThan(3900);
    expect(by(facts.relative_pid).process).toMatchObject({
      filename: `${facts.cwd}/./here`,
      cwd: facts.cwd,
    });
    expect(by(facts.missing_pid).process).toMatchObject({
      filename: '/nonexistent/program',
      result: -2,
      args: null,
      args_length: null,
    });
    const forks = of(rows, 'process', 'fork').filter((row) => row.pid === facts.me);
    const children = new Map(forks.map((row) => [row.process.child_pid, row.process.child_pstart]));
    for (const pid of [facts.odd_pid, facts.long_pid, facts.missing_pid]) {
      expect(children.get(pid)).toBe(by(pid).pstart);
    }
  });

  test('exit code, death by signal, signals sent', async () => {
    const { facts, rows } = await drive('exit');
    const exit = (pid: number): Row =>
      of(rows, 'process', 'exit').find((row) => row.pid === pid)?.process ?? {};
    expect(exit(facts.coded)).toMatchObject({ exit_code: 42, signal: null });
    expect(exit(facts.killed)).toMatchObject({ exit_code: null, signal: 15 });
    expect(exit(facts.killed).duration_ns).toBeGreaterThan(0);
    expect(exit(facts.coded).cpu_ns).toBeGreaterThan(50e6);
    const signals = of(rows, 'process', 'signal');
    const kill = signals.find((row) => row.process.signal === 15 && row.pid === facts.me);
    expect(kill?.process).toMatchObject({ target_pid: facts.killed, result: 0 });
    const ignored = signals.find((row) => row.process.signal === 10 && row.pid === facts.ignored);
    expect(ignored?.process).toMatchObject({ target_pid: facts.ignored, result: 1 });
    const parents = signals.filter((row) => row.process.signal === 17);
    expect(parents.some((row) => row.pid === facts.coded)).toBe(true);
  });

  test('connect refused, accepted and non-blocking; accept; close with its byte counts', async () => {
    const { facts, rows } = await drive('network');
    for (const [version, address, family] of [
      ['v4', '127.0.0.1', 'inet'],
      ['v6', '::1', 'inet6'],
    ] as const) {
      const { refused, port, local, late_local, refused_later } = facts[version];
      const mine = rows.filter((row) => row.pid === facts.me && row.type === 'network');
      const connects = of(mine, 'network', 'connect');
      const to = (dport: number): Row[] => connects.filter((row) => row.network.dport === dport);
      expect(to(refused).map((row) => row.network.error)).toEqual([111]);
      expect(to(refused)[0]?.network).toMatchObject({ family, protocol: 'tcp', daddr: address });
      const made = to(port);
      expect(made.map((row) => [row.network.sport, row.network.error])).toEqual([
        [local, 0],
        [late_local, 0],
      ]);
      expect(made[0]?.network).toMatchObject({
        saddr: address,
        daddr: address,
        new_state: 'ESTABLISHED',
      });
      expect(made[0]?.network.latency_ns).toBeGreaterThan(0);
      expect(made[1]?.network.latency_ns).toBeGreaterThan(0);
      // The failed one is told once, although the program asks for its outcome again.
      expect(to(refused_later).map((row) => row.network.error)).toEqual([111]);
      const accepts = of(mine, 'network', 'accept').filter((row) => row.network.sport === port);
      expect(accepts.map((row) => [row.network.dport, row.network.error])).toEqual([
        [local, 0],
        [late_local, 0],
      ]);
      const closes = of(rows, 'network', 'close').filter((row) =>
        [row.network.sport, row.network.dport].includes(local),
      );
      const client = closes.find((row) => row.network.sport === local);
      const server = closes.find((row) => row.network.dport === local);
      expect(client?.network).toMatchObject({ bytes_sent: 12345, bytes_received: 678 });
      expect(server?.network).toMatchObject({ bytes_sent: 678, bytes_received: 12345 });
      expect(client?.pid).toBe(facts.me);
      expect(server?.pid).toBe(facts.me);
      const listens = of(mine, 'network', 'listen').filter((row) => row.network.sport === port);
      expect(listens.map((row) => [row.network.saddr, row.network.error])).toEqual([[address, 0]]);
      const resets = of(rows, 'network', 'reset').filter((row) => row.network.sport === refused);
      expect(resets.length).toBeGreaterThan(0);
    }
    // A v4-mapped peer is an IPv4 one, on both sides.
    const mapped = rows.filter(
      (row) =>
        row.type === 'network' &&
        ['connect', 'accept'].includes(row.op) &&
        [row.network.sport, row.network.dport].includes(facts.mapped),
    );
    expect(mapped.map((row) => [row.op, row.network.family, row.network.daddr])).toEqual([
      ['connect', 'inet', '127.0.0.1'],
      ['accept', 'inet', '127.0.0.1'],
    ]);
    const datagrams = of(rows, 'network', 'connect').filter(
      (row) => row.pid === facts.me && row.network.protocol === 'udp',
    );
    expect(
      datagrams.map((row) => [row.network.dport, row.network.error, row.network.old_state]),
    ).toEqual([[9, 0, null]]);
  });

  test('connect that times out, and the retransmits on the way', async () => {
    const { facts, rows } = await drive('timeout');
    expect(facts.error).toBe(110);
    const timedOut = of(rows, 'network', 'connect').filter(
      (row) => row.network.dport === facts.port && row.network.error === 110,
    );
    expect(timedOut.length).toBe(1);
    expect(timedOut[0]?.pid).toBe(facts.me);
    expect(timedOut[0]?.network.latency_ns).toBeGreaterThan(1e9);
    const again = of(rows, 'network', 'retransmit').filter(
      (row) => row.network.dport === facts.port,
    );
    expect(again.length).toBeGreaterThan(0);
    // They are sent by a timer, and are still the caller's.
    for (const row of again) expect(row.pid).toBe(facts.me);
    expect(again[0]?.network.old_state).toBe('SYN_SENT');
  });

  test('open relative to a directory, relative to the cwd, odd names, missing files', async () => {
    const { facts, rows } = await drive('open');
    const opens = of(rows, 'file', 'open').filter((row) => row.pid === facts.me);
    const at = (path: string): Row[] => opens.filter((row) => row.file.path === path);
    const file = at(`${facts.cwd}/sub/file`);
    expect(file.length).toBe(3);
    expect(file[1]?.file).toMatchObject({
      fd: facts.fd,
      ret: facts.fd,
      inode: String(facts.inode),
      device: String(facts.device),
      open_flags: 0o2000002,
    });
    expect(at(`${facts.cwd}/odd-\\xff\\\\name`)[0]?.file).toMatchObject({ mode: 0o640 });
    expect(at(`${facts.cwd}/missing`)[0]?.file).toMatchObject({
      ret: -2,
      fd: null,
      inode: null,
      device: null,
      bytes: null,
    });
    expect(file[0]?.file.latency_ns).toBeGreaterThan(0);
  });

  test('read and write: bytes, offsets, paths, pipes; sockets are not files', async () => {
    const { facts, rows } = await drive('io', ['--enable', 'file.read,file.write']);
    const mine = rows.filter((row) => row.pid === facts.me && row.type === 'file');
    const data = mine.filter((row) => row.file.inode === String(facts.inode) && row.op !== 'open');
    expect(data.map((row) => [row.op, row.file.bytes, row.file.offset])).toEqual([
      ['write', 1, null],
      ['write', 10, null],
      ['write', 4096, null],
      ['write', 5, 100],
      ['read', 7, null],
      ['read', 3, 50],
    ]);
    for (const row of data) expect(row.file.path).toBe(`${directory.path}/data`);
    const pipe = mine.filter((row) => row.file.path === `pipe:[${facts.pipe}]`);
    expect(pipe.map((row) => [row.op, row.file.bytes])).toEqual([
      ['write', 4],
      ['read', 4],
    ]);
    const bad = mine.filter((row) => row.file.fd === 999);
    expect(bad.map((row) => [row.file.ret, row.file.bytes, row.file.path])).toEqual([
      [-9, null, null],
    ]);
    expect(mine.some((row) => String(row.file.path).startsWith('socket'))).toBe(false);
  });

  test('an out-of-memory kill names its victim', async () => {
    const { facts, rows } = await drive('oom');
    expect(facts.signal).toBe(9);
    const kills = of(rows, 'memory', 'oom').filter((row) => row.memory.target_pid === facts.victim);
    expect(kills.length).toBe(1);
    const exit = of(rows, 'process', 'exit').find((row) => row.pid === facts.victim);
    expect(exit?.process).toMatchObject({ signal: 9, exit_code: null });
  });
});
