// What expressions come to.

import { describe, expect, test } from 'vitest';
import type { EventType } from '../../../schemas/arrow.ts';
import { parseFilter } from '../../../src/query/filter/filter.ts';
import { type Bool, fieldsIn, type Int, matches, type Text } from '../../../src/query/predicate.ts';

/** A tree on one line: operators as words, fields bare, strings quoted. */
function show(node: Bool | Int | Text): string {
  switch (node.kind) {
    case 'true':
    case 'false':
    case 'error':
    case 'item':
      return node.kind;
    case 'int':
      return String(node.value);
    case 'text':
      return JSON.stringify(node.value);
    case 'field':
      return node.field;
    case 'element':
      return `${node.field}[${node.index}]`;
    case 'arith':
      return `(${show(node.left)} ${node.op} ${show(node.right)})`;
    case 'compare':
    case 'compareText':
      return `${show(node.left)} ${node.op} ${show(node.right)}`;
    case 'negate':
    case 'not':
    case 'untrue':
    case 'size':
      return `${node.kind}(${show(node.of)})`;
    case 'length':
    case 'has':
      return `${node.kind}(${node.field})`;
    case 'and':
    case 'or':
      return `${node.kind}(${node.args.map(show).join(', ')})`;
    case 'choose':
      return `choose(${show(node.test)}, ${show(node.then)}, ${show(node.else)})`;
    case 'within': {
      const end = (n: bigint): string => (n === -(2n ** 63n) || n === 2n ** 64n - 1n ? '' : `${n}`);
      const ranges = node.ranges.map(([a, b]) => (a === b ? `${a}` : `${end(a)}..${end(b)}`));
      return `within(${show(node.of)}, ${ranges.join(' ')})`;
    }
    case 'oneOf':
      return `oneOf(${show(node.of)}, ${node.values.join(' ')})`;
    case 'startsWith':
    case 'endsWith':
    case 'contains':
      return `${node.kind}(${show(node.of)}, ${show(node.text)})`;
    case 'matches':
      return `matches(${show(node.of)}, ${node.pattern})`;
    case 'inNetworks':
      return `inNetworks(${show(node.of)}, ${node.networks.join(' ')})`;
    case 'any':
    case 'every':
    case 'one':
      return `${node.kind}(${node.field}, ${show(node.test)})`;
  }
}

const treeOf = async (text: string, type: EventType): Promise<string> =>
  show((await parseFilter(text)).for(type));

describe('network rows', () => {
  test.each([
    ['true', 'true'],
    ['type == "network" && network.dport in [8443, 443u]', 'within(dport, 443 8443)'],
    ['network.dport != 0x10', 'within(dport, ..15 17..)'],
    ['5 < pid', 'within(pid, 6..)'],
    ['pid > 1.5', 'within(pid, 2..)'],
    ['pid <= -1.5 || pid >= -0.5', 'within(pid, ..-2 0..)'],
    ['network.dport == 1.5', 'false'],
    ['pid >= 5 && uid == 0 && pid < 10 && pid != 7', 'and(within(pid, 5..6 8..9), within(uid, 0))'],
    ['comm == "a" || uid == 1 || comm in ["c", "b"]', 'or(oneOf(comm, a b c), within(uid, 1))'],
    ['!(comm != "a")', 'oneOf(comm, a)'],
    ['!(pid >= ppid)', 'not(ppid <= pid)'],
    ['pid > ppid', 'ppid < pid'],
    ['comm >= "b"', '"b" <= comm'],
    ['"ng" + "inx" == comm', 'oneOf(comm, nginx)'],
    ['pid == size("äö") + 3 * 2 - 7 / 2 % 2', 'within(pid, 7)'],
    ['-pid + 1 > 2', 'within((negate(pid) + 1), 3..)'],
    ['size(comm) == comm.size()', 'size(comm) == size(comm)'],
    ['network.latency_ns > duration("5ms")', 'within(latency_ns, 5000001..)'],
    ['network.srtt_us < duration("1500ns")', 'within(srtt_us, ..1)'],
    ['network.srtt_us >= duration("1500ns")', 'within(srtt_us, 2..)'],
    ['network.srtt_us == duration("1ms")', 'within(srtt_us, 1000)'],
    ['network.srtt_us != duration("-1500ns")', 'within(srtt_us, ..)'],
    [
      'network.latency_ns in [duration("1s"), duration("1us")]',
      'within(latency_ns, 1000 1000000000)',
    ],
    ['ts >= timestamp("1970-01-01T01:00:00.000000001+01:00")', 'within(ts, 1..)'],
    ['ts < timestamp("1970-01-01T00:00:01Z") - duration("1s")', 'within(ts, ..-1)'],
    ['ts < timestamp("9999-12-31T23:59:59Z")', 'true'],
    [
      'ts - timestamp("1970-01-01T00:00:01Z") < duration("1ms")',
      'within((ts - 1000000000), ..999999)',
    ],
    ['ts + duration("1s") > ts', 'ts < (ts + 1000000000)'],
    ['ktime > 5', 'within(ktime, 6..)'],
    ['(pid == 1 ? uid : gid) > 5', 'choose(within(pid, 1), within(uid, 6..), within(gid, 6..))'],
    ['type == "file" ? pid == 1 : pid == 2', 'within(pid, 2)'],
    ['(pid == 1) != (uid == 0)', 'choose(within(pid, 1), within(uid, ..-1 1..), within(uid, 0))'],
    ['has(network.daddr) && has(pid)', 'has(daddr)'],
    ['has(file.path) || network.sport == 1', 'within(sport, 1)'],
    ['file.path == "x" || network.sport == 1', 'or(within(sport, 1), error)'],
    ['file.path == "x" && network.sport == 1', 'false'],
    ['file.path == "x"', 'error'],
    ['op == "exec"', 'false'],
    ['cidr("fe80::/10").containsIP(network.daddr)', 'inNetworks(daddr, fe80::/10)'],
    ['cidr("10.0.0.0/8").containsIP("10.1.2.3")', 'true'],
    ['network.daddr.matches(r"^10\\.")', 'matches(daddr, ^10\\.)'],
    ['comm.contains(network.family)', 'contains(comm, family)'],
    ['type.startsWith("net")', 'true'],
    ['pid in [ppid, 1, tid, 2]', 'or(pid == ppid, within(pid, 1..2), pid == tid)'],
    [
      'pid in [network.sport, 1]',
      'choose(within(sport, ..), or(pid == sport, within(pid, 1)), false)',
    ],
    ['pid in [] || uid == 1', 'within(uid, 1)'],
    ['network.dport in [] || uid == 1', 'or(within(dport, ), within(uid, 1))'],
    ['type.matches("^net")', 'matches("network", ^net)'],
    ['network.dport in []', 'false'],
    ['// a comment\npid == 1\n', 'within(pid, 1)'],
  ])('%s', async (text, tree) => {
    expect(await treeOf(text, 'network')).toBe(tree);
  });
});

describe('lists', () => {
  test.each([
    ['"-c" in process.args', 'process', 'any(args, oneOf(item, -c))'],
    ['comm in process.args', 'process', 'any(args, item == comm)'],
    ['process.cwd in process.args', 'process', 'choose(cwd <= cwd, any(args, item == cwd), false)'],
    ['process.args[1] == "x"', 'process', 'oneOf(args[1], x)'],
    ['size(process.args) > 2', 'process', 'within(length(args), 3..)'],
    ['process.args.all(a, a.size() < pid)', 'process', 'every(args, size(item) < pid)'],
    ['process.args.exists(pid, pid == comm)', 'process', 'any(args, item == comm)'],
    ['5 in syscall.args', 'syscall', 'any(args, within(item, 5))'],
    ['syscall.args[0] + 1 == 3', 'syscall', 'within((args[0] + 1), 3)'],
    ['syscall.args.exists_one(a, a > 4)', 'syscall', 'one(args, within(item, 5..))'],
    ['syscall.args.exists_one(a, a > 4)', 'process', 'error'],
  ] as const)('%s (%s)', async (text, type, tree) => {
    expect(await treeOf(text, type)).toBe(tree);
  });
});

test('fields that a predicate reads', async () => {
  const filter = await parseFilter(
    'pid == 1 || size(process.cwd) > uid || process.args.exists(a, a == comm) || has(network.daddr)',
  );
  expect([...fieldsIn(filter.for('process'))].sort()).toEqual([
    'args',
    'comm',
    'cwd',
    'pid',
    'uid',
  ]);
  expect([...fieldsIn(filter.for('network'))].sort()).toEqual(['daddr', 'pid']);
  expect(filter.text).toContain('size(process.cwd)');
});

test('hundreds of alternatives are one node', async () => {
  const ports = Array.from({ length: 200 }, (_, i) => `pid == ${i * 2}`);
  const filter = await parseFilter(ports.join(' || '));
  const tree = filter.for('file');
  expect(tree.kind === 'within' && tree.ranges.length).toBe(200);
  const names = Array.from({ length: 150 }, (_, i) => `comm.startsWith("${i}")`);
  const chain = (await parseFilter(names.join(' && '))).for('file');
  expect(chain.kind === 'and' && chain.args.length).toBe(150);
});

test('results beyond 64 bits are errors, up to there they are exact', async () => {
  const text = 'syscall.args[0] + syscall.args[1] == 18446744073709551615';
  const tree = (await parseFilter(text)).for('syscall');
  const of = (...args: bigint[]): boolean | null => matches(tree, () => args);
  expect(of(2n ** 63n, 2n ** 63n - 1n)).toBe(true);
  expect(of(2n ** 63n, 2n ** 63n - 2n)).toBe(false);
  expect(of(2n ** 63n, 2n ** 63n)).toBeNull();
  expect(of(2n ** 63n)).toBeNull();
  const negated = (await parseFilter('-syscall.args[0] == -9223372036854775808')).for('syscall');
  expect(matches(negated, () => [2n ** 63n])).toBe(true);
  expect(matches(negated, () => [2n ** 63n + 1n])).toBeNull();
});

test('strings have the order of their code points', async () => {
  const tree = (await parseFilter('comm < "\\U0001F600"')).for('file');
  // By UTF-16 units the emoji would come first.
  expect(matches(tree, () => '\uffee')).toBe(true);
  expect(matches(tree, () => '\u{1f601}')).toBe(false);
  expect(matches(tree, () => '\u{1f600}')).toBe(false);
  const sorted = (await parseFilter('comm in ["\\U0001F600", "\\uffee", "a"]')).for('file');
  expect(sorted.kind === 'oneOf' && sorted.values).toEqual(['a', '\uffee', '\u{1f600}']);
});
