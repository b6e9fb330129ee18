// Which conditions a filter becomes; that they are right is shown by test/source/pushdown.test.ts.

import { expect, test } from 'vitest';
import { EVENTS } from '../../schemas/events.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';
import { pushDown } from '../../src/query/pushdown.ts';
import type { PushedFilter } from '../../src/source/binding.ts';

const PASS = 254;
const REJECT = 255;
const { exec, exit } = EVENTS.process.ops;
const { connect, listen } = EVENTS.network.ops;
const { open, read } = EVENTS.file.ops;

async function pushed(text: string): Promise<PushedFilter | null> {
  const filter = await parseFilter(text);
  return pushDown((type) => filter.for(type));
}

async function entriesOf(text: string): Promise<(op: { readonly id: number }) => number> {
  const made = await pushed(text);
  return ({ id }) => made?.ops.find(({ op }) => op === id)?.entry ?? PASS;
}

test('one test serves all ops that it is for; what an op has not is asked of none', async () => {
  const made = await pushed('pid == 5');
  expect(made?.tests).toEqual([
    { word: 0, masked: false, inverted: false, pass: PASS, fail: REJECT, a: [5n, 0n], b: [0n, 0n] },
  ]);
  expect(new Set(made?.ops.map(({ entry }) => entry))).toEqual(new Set([0]));
  const port = await entriesOf('network.dport == 443');
  expect([connect, listen, exec, open].map(port)).toEqual([0, REJECT, REJECT, REJECT]);
  const type = await entriesOf('type == "file"');
  expect([connect, exec, open, read].map(type)).toEqual([REJECT, REJECT, PASS, PASS]);
  const op = await entriesOf('op in ["exec", "read"] || op.startsWith("li")');
  expect([exec, read, listen, open, exit].map(op)).toEqual([PASS, PASS, PASS, REJECT, REJECT]);
});

test('what cannot be decided passes', async () => {
  for (const text of [
    'comm.endsWith("x")',
    'pid + 1 == 6',
    'pid == ppid',
    'comm != "a\\\\xffb"',
    'pid == 5 || size(comm) > 3',
    '!(pid == 5 && cpu == 1)',
  ]) {
    expect([text, await pushed(text)]).toEqual([text, null]);
  }
  const long = `/${'directory/'.repeat(6)}`;
  const without = await entriesOf(`file.path != "${long}" && !has(process.exit_code)`);
  expect([open, exit].map(without)).toEqual([PASS, REJECT]);
  expect((await entriesOf('!has(process.exit_code)'))(exit)).toBe(PASS);
  // An IPv4 address, which is among those of IPv6 there, is in no network of these.
  const networks = (text: string): Promise<number> =>
    entriesOf(`!cidr("${text}").containsIP(network.daddr)`).then((entry) => entry(connect));
  expect(await Promise.all(['::/64', '::/0', '2000::/3', '10.0.0.0/8'].map(networks))).toEqual([
    PASS,
    PASS,
    0,
    0,
  ]);
  // An element may do without a field that is absent in its op's rows, and so may an empty list.
  const nested = await entriesOf('process.args.exists(x, x == "a" || process.exit_code == 0)');
  expect([exec, exit, open].map(nested)).toEqual([PASS, REJECT, REJECT]);
});

test('texts are compared as far as they are seen; numbers that are many, with the smallest gaps closed', async () => {
  const bytes = async (text: string): Promise<unknown> =>
    (await pushed(text))?.tests.map(({ word, a, b }) => [word, ...a, ...b]);
  const [A, ALL] = [0x61n, 2n ** 64n - 1n];
  expect(await bytes('comm == "a"')).toEqual([[7, A, 0n, 0xffffn, 0n]]);
  expect(await bytes('comm.startsWith("a")')).toEqual([[7, A, 0n, 0xffn, 0n]]);
  expect(await bytes('comm == "a\\\\xff"')).toEqual([[7, A, 0n, 0xffn, 0n]]);
  expect(await bytes(`comm.startsWith("${'a'.repeat(9)}")`)).toEqual([
    [7, 0x6161616161616161n, A, ALL, 0xffn],
  ]);
  expect(await bytes('cidr("10.0.0.0/8").containsIP(network.daddr)')).toEqual([
    [11, 0n, 0x0a_ffff_0000n, ALL, 0xff_ffff_ffffn],
  ]);
  expect(await bytes('pid in [1, 3, 5, 100, 200, 300, 400, 500, 600, 700]')).toEqual(
    [[1n, 4n], ...[100n, 200n, 300n, 400n, 500n, 600n, 700n].map((pid) => [pid, 0n])].map(
      ([low, reach]) => [0, low, 0n, reach, 0n],
    ),
  );
});

test('jumps lead forward, and what is too much is made weaker until it fits', async () => {
  const names = Array.from(
    { length: 60 },
    (_, i) => `"${'long name of one'.slice(0, i % 13)}${i}"`,
  );
  const pids = Array.from({ length: 60 }, (_, i) => `${i * i + (i > 30 ? 1000 : 0)}`);
  const all = Array.from({ length: 100 }, (_, i) => `"a${i}"`);
  expect(await pushed(`comm in [${all}]`)).toBe(null);
  const ports = Array.from({ length: 40 }, (_, i) => `network.dport == ${i * 3} && uid == ${i}`);
  for (const [text, least] of [
    [`comm in [${names}]`, 60],
    [`pid in [${pids}]`, 8],
    [ports.join(' || '), 1],
    [`(${ports.join(' || ')}) && pid == 1 && comm in [${names}]`, 1],
    [`comm in [${names}] && op == "exec" || comm in [${names.slice(0, 50)}] && op != "exec"`, 50],
  ] as const) {
    const tests = (await pushed(text))?.tests ?? [];
    expect(tests.length).toBeGreaterThanOrEqual(least);
    expect(tests.length).toBeLessThanOrEqual(248);
    tests.forEach(({ pass, fail }, at) => {
      for (const next of [pass, fail]) {
        expect(next > at && (next < tests.length || next >= PASS)).toBe(true);
      }
    });
  }
});
