// What a program does to its memory, and the kernel for it, is found with right fields.

import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { describeKernel, eachDirectory, recordedWhile } from '../support/kernel.ts';
import { ROOT, type Row, run } from '../support/recording.ts';

const directory = eachDirectory();

/** Records these ops while the driver does one thing; its facts, all memory rows and its own. */
async function drive(what: string, ops: string): Promise<{ facts: Row; all: Row[]; rows: Row[] }> {
  const driver = `${directory.path}/memory`;
  execFileSync('gcc', ['-O2', '-o', driver, 'test/kernel/memory.c'], { cwd: ROOT });
  const flags = ['--profile', 'minimal', '--enable', ops];
  const { facts, rows, pid } = await recordedWhile(directory.path, flags, () =>
    run(driver, [what]),
  );
  const all = rows.filter((row) => row.type === 'memory');
  expect(all.filter((row) => row.pid === pid)).toEqual([]);
  return { facts, all, rows: all.filter((row) => row.pid === facts.pid) };
}

const UNSET = {
  address: null,
  length: null,
  prot: null,
  map_flags: null,
  order: null,
  gfp: null,
  call_site: null,
  ret: null,
  target_pid: null,
};

const hex = (address: bigint): string => `0x${address.toString(16)}`;

describeKernel('kernel memory', () => {
  test('mmap, munmap, mprotect, pkey_mprotect, brk, and what fails', async () => {
    const ops = 'memory.mmap,memory.munmap,memory.mprotect,memory.brk';
    const { facts, rows } = await drive('calls', ops);
    const at = BigInt(facts.mapped);
    const end = BigInt(facts.brk);
    const wanted = [
      ['mmap', { address: hex(at), length: 12288, prot: 3, map_flags: 34, ret: Number(at) }],
      ['mmap', { address: '0x0', length: 0, prot: 1, map_flags: 34, ret: -22 }],
      ['mprotect', { address: hex(at), length: 4096, prot: 1, ret: 0 }],
      ['mprotect', { address: hex(at + 4096n), length: 4096, prot: 0, ret: 0 }],
      ['mprotect', { address: hex(at + 1n), length: 4096, prot: 1, ret: -22 }],
      ['munmap', { address: hex(at), length: 12288, ret: 0 }],
      ['munmap', { address: hex(at + 1n), length: 4096, ret: -22 }],
      ['brk', { address: '0x0', ret: Number(end) }],
      ['brk', { address: hex(end + 65536n), ret: Number(facts.moved) }],
    ] as const;
    expect(facts.moved).toBe(String(end + 65536n));
    expect(rows.slice(-wanted.length).map((row) => [row.op, row.memory])).toEqual(
      wanted.map(([op, fields]) => [op, { ...UNSET, ...fields }]),
    );
  });

  test('page faults at known addresses, with the access that needed the page', async () => {
    const { facts, rows } = await drive('fault', 'memory.fault');
    for (const [name, prot] of [
      ['written', 2],
      ['read', 1],
    ] as const) {
      const address = hex(BigInt(facts[name]));
      const found = rows.filter((row) => row.memory.address === address);
      const call_site = expect.stringMatching(/^0x[0-9a-f]+$/);
      expect(found.map((row) => row.memory)).toEqual([{ ...UNSET, address, prot, call_site }]);
    }
    // Where code is fetched, the address is that of the instruction.
    const fetched = rows.filter((row) => row.memory.prot === 4);
    expect(fetched.length).toBeGreaterThan(0);
    for (const { memory } of fetched) expect(memory.call_site).toBe(memory.address);
  });

  test('resident size, as it grows and whose it is', async () => {
    const { facts, all, rows } = await drive('rss', 'memory.rss');
    const own = rows.filter((row) => row.memory.target_pid === facts.pid);
    const most = Math.max(...own.map((row) => row.memory.length));
    expect(most).toBeGreaterThan(Number(facts.filled));
    expect(most).toBeLessThan(Number(facts.filled) * 1.2);
    for (const { memory } of rows) {
      expect(memory).toEqual({ ...UNSET, length: memory.length, target_pid: memory.target_pid });
      expect(memory.length % 4096).toBe(0);
    }
    // Nobody's: what exit takes down.
    expect(rows.at(-1)?.memory.target_pid).toBeNull();
    expect(all.length).toBeGreaterThan(rows.length);
  });

  test('kernel allocations and the frees that give them back', async () => {
    const { all, rows } = await drive('alloc', 'memory.alloc,memory.free');
    const free = new Set(all.filter((row) => row.op === 'free').map((row) => row.memory.address));
    const allocs = rows.filter((row) => row.op === 'alloc');
    // A pipe is an inode, two files, its ring of buffers and a page, at least.
    expect(allocs.length).toBeGreaterThan(200 * 5);
    const given = allocs.filter((row) => free.has(row.memory.address));
    expect(given.length).toBeGreaterThan(allocs.length * 0.8);
    for (const { op, memory } of rows) {
      const ofPages = memory.order !== null;
      expect(memory.call_site === null).toBe(ofPages);
      if (op === 'free') expect(memory).toMatchObject({ length: null, gfp: null });
      else expect(memory.gfp).not.toBeNull();
      if (op === 'alloc' && ofPages) expect(memory.length).toBe(4096 << memory.order);
      expect(memory).toMatchObject({ prot: null, map_flags: null, ret: null, target_pid: null });
    }
    expect(allocs.filter((row) => row.memory.order === 0).length).toBeGreaterThan(0);
    expect(allocs.filter((row) => row.memory.order === null).length).toBeGreaterThan(0);
  });
});
