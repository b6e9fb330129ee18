// What is refused before anything is read: the message, and the place that its caret shows.

import { describe, expect, test } from 'vitest';
import { parseFilter } from '../../../src/query/filter/filter.ts';

async function refusal(text: string): Promise<string> {
  const error = await parseFilter(text).then(
    () => null,
    (cause: unknown) => cause,
  );
  expect(error, text).toMatchObject({ name: 'TapioError', code: 'usage' });
  return (error as Error).message;
}

describe('expressions', () => {
  test.each([
    ['network.dprot == 443', 8, 'network has no field dprot (did you mean dport?)'],
    ['netwrk.dport == 443', 0, 'unknown name netwrk (did you mean network?)'],
    ['dport == 443', 0, 'unknown name dport (did you mean network.dport?)'],
    [
      'latency_ns > 5',
      0,
      'unknown name latency_ns (did you mean network.latency_ns, file.latency_ns or syscall.latency_ns?)',
    ],
    ['network.path == "x"', 8, 'network has no field path (did you mean file.path?)'],
    ['network.pid == 1', 8, 'pid is a field of every type: write it without network.'],
    ['pdi == 1', 0, 'unknown name pdi (did you mean pid?)'],
    [
      'network',
      0,
      'network is a type: name a field of it, as in network.family, or write type == "network"',
    ],
    [
      'has(network)',
      4,
      'network is a type: name a field of it, as in network.family, or write type == "network"',
    ],
    [
      'network == "x"',
      0,
      'network is a type: name a field of it, as in network.family, or write type == "network"',
    ],
    ['pid', 0, 'pid is a number, not a condition: compare it, as in pid == 1'],
    ['comm', 0, 'comm is a string, not a condition: compare it, as in comm == "nginx"'],
    [
      'ts',
      0,
      'ts is a time, not a condition: compare it, as in ts > timestamp("2026-11-22T18:00:00Z")',
    ],
    [
      'ts - ts',
      0,
      'ts - ts is a duration, not a condition: compare it, as in ts - ts > duration("5ms")',
    ],
    [
      'process.args',
      0,
      'process.args is a list of strings, not a condition: ask for an element, as in "-c" in process.args',
    ],
    [
      'syscall.args',
      0,
      'syscall.args is a list of numbers, not a condition: ask for an element, as in 0 in syscall.args',
    ],
    [
      'network.packet',
      0,
      'network.packet is bytes, not a condition: ask whether it is there: has(network.packet)',
    ],
    [
      '1.5',
      0,
      '1.5 is a number with a fraction, not a condition: compare a field with it, as in pid > 1.5',
    ],
    [
      'duration("1s")',
      0,
      'duration("1s") is a duration, not a condition: compare it, as in duration("1s") > duration("5ms")',
    ],
    ['[1]', 0, '[1] is a list, not a condition: ask whether a field is in it, as in pid in [1]'],
    [
      'cidr("10.0.0.0/8")',
      0,
      'cidr("10.0.0.0/8") is a network, not a condition: ask for an address, as in cidr("10.0.0.0/8").containsIP(network.daddr)',
    ],
    ['null', 0, 'null is no condition: compare something'],
    ['"x"', 0, '"x" is a string, not a condition: compare it, as in "x" == "nginx"'],
    ['-pid', 0, '-pid is a number, not a condition: compare it, as in -pid == 1'],
    [
      '(pid == 1 ? 1 : 2)',
      1,
      'pid == 1 ? 1 : 2 is a number, not a condition: compare it, as in (pid == 1 ? 1 : 2) == 1',
    ],
    ['comm == 5', 8, 'comm is a string, 5 is a number: they do not compare'],
    ['type == true', 8, 'type is a string, true is a condition: they do not compare'],
    ['pid == "443"', 7, 'pid is a number, "443" is a string: they do not compare; write 443'],
    ["comm == 'x' || pid == comm", 22, 'pid is a number, comm is a string: they do not compare'],
    ['ts == 5', 6, 'ts is a time, 5 is a number: they do not compare'],
    [
      'ts > "2026-11-22T18:00:00Z"',
      5,
      'ts is a time, "2026-11-22T18:00:00Z" is a string: they do not compare; write timestamp("2026-11-22T18:00:00Z")',
    ],
    [
      'network.latency_ns > "5ms"',
      21,
      'network.latency_ns is a number, "5ms" is a string: they do not compare; write duration("5ms")',
    ],
    [
      'pid > duration("1s")',
      6,
      'pid is a number, duration("1s") is a duration: they do not compare',
    ],
    ['ts < duration("1s")', 5, 'ts is a time, duration("1s") is a duration: they do not compare'],
    [
      'network.daddr == null',
      17,
      'nothing equals null: write has(network.daddr) or !has(network.daddr)',
    ],
    [
      'process.args == ["x"]',
      16,
      'process.args is a list of strings, ["x"] is a list: they do not compare; use in, exists or [0]',
    ],
    ['network.packet == "x"', 18, 'network.packet is bytes, "x" is a string: they do not compare'],
    ['(pid == 1) < (pid == 2)', 14, 'conditions have no order: < is for numbers'],
    ['pid == true', 7, 'pid is a number, true is a condition: they do not compare'],
    ['!pid', 1, 'pid is a number, not a condition: compare it, as in pid == 1'],
    ['-comm == 1', 1, 'comm is a string: - is for numbers'],
    ['-duration("1s") == duration("1s")', 1, 'duration("1s") is a duration: - is for numbers'],
    ['pid && true', 0, 'pid is a number, not a condition: compare it, as in pid == 1'],
    ['true || comm', 8, 'comm is a string, not a condition: compare it, as in comm == "nginx"'],
    ['pid ? true : false', 0, 'pid is a number, not a condition: compare it, as in pid == 1'],
    ['(true ? 1 : "x") == 1', 12, '1 is a number, "x" is a string: both must be the same'],
    ['pid + comm == 1', 6, 'pid is a number, comm is a string: there is no + of them'],
    ['comm + "x" == "y"', 7, 'only constant strings can be joined'],
    ['pid + 1.5 > 2', 6, 'a number with a fraction can only be compared, as in pid > 1.5'],
    ['ts + ts > ts', 5, 'ts is a time, ts is a time: there is no + of them'],
    ['ts + 1 > ts', 5, 'ts is a time, 1 is a number: there is no + of them'],
    [
      'network.latency_ns + duration("1s") > duration("1s")',
      21,
      'network.latency_ns is a number, duration("1s") is a duration: there is no + of them',
    ],
    ['1.5 * 2 > pid', 0, 'a number with a fraction can only be compared, as in pid > 1.5'],
    ['pid / 0 == 1', 6, 'this divides by zero'],
    ['pid % (1 - 1) == 1', 7, 'this divides by zero'],
    ['9223372036854775807 * 4 == pid', 0, 'the result is beyond 64 bits'],
    ['18446744073709551616 == pid', 0, '18446744073709551616 is beyond 64 bits'],
    ['-9223372036854775809 == pid', 0, '-9223372036854775809 is beyond 64 bits'],
    [
      'timestamp("9999-12-31T00:00:00Z") + duration("48h") > ts',
      0,
      'the result is no time of the years 1 to 9999',
    ],
    [
      'ts - timestamp("9999-12-31T00:00:00Z") < duration("1s")',
      5,
      'this is too far from now to reckon with: compare it instead',
    ],
    [
      'timestamp("9999-12-31T00:00:00Z") - timestamp("0001-01-01T00:00:00Z") > duration("1s")',
      0,
      'the result is beyond 292 years',
    ],
    ['pid in 5', 7, '5 is a number: in looks into a list, as in pid in [1, 2]'],
    ['pid in comm', 7, 'comm is a string: in looks into a list, as in pid in [1, 2]'],
    ['pid in [1, "x"]', 11, 'pid is a number, "x" is a string: they do not compare'],
    ['comm in [1]', 9, 'comm is a string, 1 is a number: they do not compare'],
    ['pid in [1.5]', 8, 'a list has no numbers with a fraction: compare them with =='],
    ['1.5 in [1]', 0, '1.5 is a number with a fraction: in is for numbers and strings'],
    ['(pid == 1) in [true]', 1, 'pid == 1 is a condition: in is for numbers and strings'],
    [
      'pid in process.args',
      0,
      'pid is a number, process.args is a list of strings: it is never in there',
    ],
    [
      '"x" in syscall.args',
      0,
      '"x" is a string, syscall.args is a list of numbers: it is never in there',
    ],
    [
      'process.args in [1]',
      17,
      'process.args is a list of strings, 1 is a number: they do not compare; use in, exists or [0]',
    ],
    [
      'pid in [[1]]',
      8,
      'pid is a number, [1] is a list: they do not compare; use in, exists or [0]',
    ],
    ['true in []', 0, 'true is a condition: in is for numbers and strings'],
    ['pid[0] == 1', 0, 'pid is a number: only fields that are lists have elements'],
    ['process.args[pid] == "x"', 13, 'an index is a constant number, as in process.args[0]'],
    ['process.args[-1] == "x"', 13, 'no list has an element -1'],
    ['process.args["x"] == "x"', 13, 'an index is a constant number, as in process.args[0]'],
    ['process.args[4294967296] == "x"', 13, 'no list has an element 4294967296'],
    ['network["dport"] == 443', 8, 'network is a type: write network.dport'],
    ['["a"][0] == "a"', 0, '["a"] is a list: only fields that are lists have elements'],
    ['pid.foo == 1', 4, 'pid is a number: it has no field foo'],
    ['comm.size == 4', 5, 'comm is a string: it has no field size: write comm.size(…)'],
    ['network.dport.x == 1', 14, 'network.dport is a number: it has no field x'],
    ['{"a": 1} == 1', 0, 'the filter language has no maps'],
    ['b"x" == comm', 0, 'the filter language has no bytes'],
    ['has(1)', 4, 'has asks for a field, as in has(network.daddr)'],
    ['has(comm.size)', 9, 'comm is a string: it has no field size: write comm.size(…)'],
    ['has(process.args[0])', 4, 'has asks for a field, as in has(network.daddr)'],
    ['has(network.dprot)', 12, 'network has no field dprot (did you mean dport?)'],
    ['has()', 0, 'has takes 1 argument, not 0'],
    ['has(pid, uid)', 0, 'has takes 1 argument, not 2'],
    ['size(pid) == 1', 5, 'pid is a number: size is of strings and of fields that are lists'],
    ['size([1]) == 1', 5, '[1] is a list: size is of strings and of fields that are lists'],
    ['startsWith(comm, "x")', 0, 'startsWith follows a value: write x.startsWith(…)'],
    ['strlen(comm) == 1', 0, 'unknown function strlen'],
    [
      'timestmp("2026-11-22T18:00:00Z") < ts',
      0,
      'unknown function timestmp (did you mean timestamp?)',
    ],
    ['int(comm) == 1', 0, 'unknown function int'],
    ['comm.startWith("x")', 5, 'unknown method startWith (did you mean startsWith?)'],
    ['comm.timestamp() == ts', 5, 'timestamp is a function: write timestamp(…)'],
    ['comm.startsWith()', 5, 'startsWith takes 1 argument, not 0'],
    ['comm.startsWith("a", "b")', 5, 'startsWith takes 1 argument, not 2'],
    ['comm.startsWith(5)', 16, '5 is a number: startsWith takes a string'],
    ['pid.startsWith("x")', 4, 'pid is a number: startsWith is for strings'],
    ['comm.size(1) == 1', 5, 'size takes no argument, not 1'],
    ['comm.matches(comm)', 13, 'matches takes a constant pattern'],
    ['comm.matches("(a")', 13, '"(a" is no pattern: a ) is missing'],
    ['comm.matches("(?=a)")', 13, '"(?=a)" is no pattern: RE2 has no lookaround'],
    ['comm.matches("(a)\\\\1")', 13, '"(a)\\\\1" is no pattern: RE2 has no backreferences'],
    ['comm.matches("a**")', 13, '"a**" is no pattern: nothing to repeat'],
    ['comm.matches("a{1001}")', 13, '"a{1001}" is no pattern: it repeats more than 1000 times'],
    ['comm.matches("[b-a]")', 13, '"[b-a]" is no pattern: a range is the wrong way'],
    ['timestamp("2026-11-22") < ts', 10, '"2026-11-22" is no time: write "2026-11-22T18:00:00Z"'],
    [
      'timestamp("2026-11-22T18:00:00") < ts',
      10,
      '"2026-11-22T18:00:00" is no time: write "2026-11-22T18:00:00Z"',
    ],
    [
      'timestamp("2026-02-30T18:00:00Z") < ts',
      10,
      '"2026-02-30T18:00:00Z" is no time: write "2026-11-22T18:00:00Z"',
    ],
    ['timestamp(comm) < ts', 10, 'timestamp takes a constant string'],
    ['duration("5") < duration("1s")', 9, '"5" is no duration: write "1h30m", "1.5s" or "100ms"'],
    [
      'duration("1.5ns") < duration("1s")',
      9,
      '"1.5ns" is no duration: write "1h30m", "1.5s" or "100ms"',
    ],
    ['duration("5d") < duration("1s")', 9, '"5d" is no duration: write "1h30m", "1.5s" or "100ms"'],
    [
      'cidr("10.0.0.0").containsIP(network.daddr)',
      5,
      '"10.0.0.0" is no network: write 10.0.0.0/8 or fe80::/10',
    ],
    [
      'cidr("10.0.0.0/33").containsIP(network.daddr)',
      5,
      '"10.0.0.0/33" is no network: write 10.0.0.0/8 or fe80::/10',
    ],
    [
      'cidr("10.0.0.1/8").containsIP(network.daddr)',
      5,
      '"10.0.0.1/8" is no network: bits are set beyond its first 8',
    ],
    [
      'cidr("::ffff:10.0.0.0/104").containsIP(network.daddr)',
      5,
      '"::ffff:10.0.0.0/104" is no network: addresses mapped into IPv6 are recorded as IPv4',
    ],
    ['cidr(network.daddr).containsIP("10.0.0.1")', 5, 'cidr takes a constant string'],
    ['cidr("10.0.0.0/8").containsIP("localhost")', 30, '"localhost" is no address'],
    ['cidr("10.0.0.0/8").containsIP(pid)', 30, 'pid is a number: containsIP takes a string'],
    [
      'network.daddr.containsIP("10.0.0.0/8")',
      14,
      'network.daddr is a string: write cidr("10.0.0.0/8").containsIP(…)',
    ],
    [
      'process.args.exists(a, process.args.exists(b, a == b))',
      36,
      'exists cannot stand within exists, all or exists_one',
    ],
    [
      'process.args.exists(a, a in process.args)',
      28,
      'a list cannot be searched within exists, all or exists_one',
    ],
    ['process.args.exists(a)', 13, 'exists takes 2 arguments, not 1'],
    [
      'process.args.exists("a", true)',
      20,
      '"a" cannot be a variable: write a name, as in process.args.exists(a, a == "-c")',
    ],
    [
      'process.args.exists(a, a)',
      23,
      'a is a string, not a condition: compare it, as in a == "nginx"',
    ],
    ['process.args.map(a, a)', 13, 'unknown method map'],
    ['comm.exists(a, a == "x")', 5, 'comm is a string: exists is for fields that are lists'],
    ['[1].exists(a, a == 1)', 4, '[1] is a list: exists is for fields that are lists'],
    ['pid ==', 6, 'the expression ends too early'],
    ['pid = 1', 4, 'write ==, not ='],
    ['pid == 1 & uid == 2', 9, 'write &&, not &'],
    ['(pid == 1', 9, ') is missing'],
    ['pid == 1)', 8, ') is out of place'],
    ['pid == 1 uid', 9, 'uid is out of place'],
    ['pid == "x', 7, 'the string does not end'],
    ["pid == 'x\\q'", 9, 'invalid escape sequence: \\q'],
    ['pid == @', 7, '@ is out of place'],
    ['for == 1', 0, 'for is a reserved word'],
    ['a.', 2, 'a name is missing'],
    ['pid == 0x', 7, '0x is no number'],
    ['comm == "a" ? 1', 15, ': is missing'],
    ['[1, 2', 5, '] is missing'],
    ['pid === 1', 6, 'write ==, not ='],
    ['pid <> 1', 5, '> is out of place'],
    ['pid == 1 and uid == 2', 9, 'write &&, not and'],
    ['not pid == 1', 4, 'pid is out of place'],
  ] as const)('%s', async (text, at, message) => {
    expect(await refusal(text)).toBe(`${message}\n  ${text}\n  ${' '.repeat(at)}^`);
  });
});

test('the line that is meant is shown, without what a terminal might obey', async () => {
  expect(await refusal('pid == 1 &&\n\tcomm == 5 ||\nuid == 0')).toBe(
    'comm is a string, 5 is a number: they do not compare\n   comm == 5 ||\n           ^',
  );
  expect(await refusal('comm == "\u{1b}[2J\u202e" + 5')).toBe(
    '"\ufffd[2J\ufffd" is a string, 5 is a number: there is no + of them\n' +
      '  comm == "\ufffd[2J\ufffd" + 5\n                    ^',
  );
});

test('of a long line only the place is shown', async () => {
  const message = await refusal(
    `${'pid == 1 || '.repeat(50)}comm == 5${' || pid == 1'.repeat(50)}`,
  );
  const [, line = '', caret = ''] = message.split('\n');
  expect(line.length).toBeLessThan(110);
  expect(line.slice(caret.indexOf('^'))).toMatch(/^5 \|\| pid == 1/);
});

test('limits', async () => {
  const first = async (text: string): Promise<string | undefined> =>
    (await refusal(text)).split('\n')[0];
  const long = 'the expression is longer than 4 KiB';
  expect(await first('')).toBe('the expression is empty');
  expect(await first(`comm == "${'é'.repeat(2048)}"`)).toBe(long);
  expect(await first(`pid in [${Array(1001).fill('1').join()}]`)).toBe(
    'a list has at most 1,000 elements',
  );
  expect(await first('comm == "\ud800"')).toBe('the expression is not UTF-8');
  // Cases multiply: 3 ^ 6 of them.
  const cases = Array(6).fill('(pid == 1 ? 1 : pid == 2 ? 2 : 3)').join(' + ');
  expect(await first(`${cases} == 7`)).toBe('this has too many cases of ?:');
  // Each level stands twice in the next one.
  const level = (n: number): string =>
    n === 0 ? 'pid == 1' : `(pid == 2 ? uid : 3) < (${level(n - 1)} ? 1 : 2)`;
  expect(await first(level(16))).toBe('this grows too large when its ?: and == are spelled out');
});

test('what is just within the limits is taken', async () => {
  const good = [
    `${'('.repeat(64)}pid == 1${')'.repeat(64)}`,
    `${'!'.repeat(60)}(pid == 1)`,
    `pid in [${Array(1000).fill('1').join()}]`,
    `comm == "${'x'.repeat(4096 - 10)}"`,
    `pid${'+1'.repeat(60)} == 1`,
  ];
  for (const text of good) expect((await parseFilter(text)).text).toBe(text);
});
