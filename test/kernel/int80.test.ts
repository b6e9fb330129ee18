// Calls through the 32-bit entry give the rows that the same calls of 64-bit programs give.

import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { describeKernel } from '../support/kernel.ts';
import {
  queryRows,
  Recording,
  ROOT,
  type Row,
  run,
  temporaryDirectory,
} from '../support/recording.ts';

describeKernel('32-bit entries', () => {
  test.skipIf(process.arch !== 'x64')('the same rows', async () => {
    const directory = temporaryDirectory();
    const driver = `${directory.path}/int80`;
    execFileSync('gcc', ['-O2', '-o', driver, 'test/kernel/int80.c'], { cwd: ROOT });
    const ops = ['file.read', 'file.write', 'memory.mmap', 'memory.munmap', 'syscall.call'];
    const flags = ['--enable', ops.join(','), '--syscalls', 'writev'];
    const recording = await Recording.start(`${directory.path}/store`, flags);
    try {
      const facts = JSON.parse(await run(driver, [directory.path])) as Row;
      await recording.stop();
      const rows = queryRows(recording.store).filter((row) => row.pid === facts.pid);
      const of = (type: string, op: string): Row[] =>
        rows.filter((row) => row.type === type && row.op === op).map((row) => row[type]);

      const path = `${directory.path}/made-by-int80`;
      expect(of('file', 'open').slice(-2)).toMatchObject([
        { path, fd: facts.fd, ret: facts.fd, open_flags: 0o102, mode: 0o640 },
        { path: `${directory.path}/missing`, fd: null, ret: -2, open_flags: 0, inode: null },
      ]);
      const write = of('file', 'write').find((row) => row.fd === facts.fd);
      expect(write).toMatchObject({ path, bytes: 10, ret: 10, offset: null });
      const read = of('file', 'read').at(-1);
      expect(read).toMatchObject({ path, bytes: 0, ret: 0, offset: 3 * 2 ** 32 + 4 });

      const peer = { daddr: '127.0.0.1', dport: facts.port };
      expect(of('network', 'connect')).toMatchObject([
        { ...peer, error: 111 },
        { ...peer, error: 0, new_state: 'ESTABLISHED' },
      ]);
      expect(of('network', 'listen')).toMatchObject([{ sport: facts.port, error: 0 }]);
      expect(of('network', 'accept')).toMatchObject([{ sport: facts.port, error: 0 }]);

      const hex = (address: number): string => `0x${address.toString(16)}`;
      expect(of('memory', 'mmap').slice(-2)).toMatchObject([
        { address: hex(facts.block), length: 12288, prot: 1, map_flags: 34, ret: facts.block },
        { address: hex(facts.second), length: 20480, prot: 3, map_flags: 34, ret: facts.second },
      ]);
      expect(of('memory', 'munmap').at(-1)).toMatchObject({
        address: hex(facts.second),
        length: 20480,
        ret: 0,
      });
      // Its numbers are not those of the table that the rows are named by: i386's getpid is writev.
      expect(of('syscall', 'call')).toEqual([]);
    } finally {
      recording.signal('SIGKILL');
      directory.remove();
    }
  });
});
