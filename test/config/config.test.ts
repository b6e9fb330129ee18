import { expect, test } from 'vitest';
import { allOps, resolveConfig } from '../../src/config/config.ts';
import { settingsFromFile } from '../../src/config/file.ts';
import { settingsFromEnvironment } from '../../src/config/settings.ts';
import { parseDuration, parseSize } from '../../src/config/values.ts';

const names = (ids: readonly number[]): string[] =>
  [...allOps()].filter(([, op]) => ids.includes(op.id)).map(([name]) => name);

test('flags beat the environment, which beats the file, which beats the defaults', () => {
  const file = settingsFromFile('profile: minimal\nlatency: false\nseed: 3\n', 'c.yaml');
  const environment = settingsFromEnvironment({
    TAPIO_RECORD_SEED: '4',
    TAPIO_RECORD_RATE: '9',
    OTHER: '1',
  });
  const config = resolveConfig([{ rate: '10' }, environment, file], 2);
  expect(config).toMatchObject({ rate: 10, seed: 4, latency: false, source: 'live' });
  expect(names(config.ops)).toEqual([
    'process.fork',
    'process.exec',
    'process.exit',
    'process.signal',
  ]);
});

test('profiles hold only what is recorded', () => {
  for (const profile of ['minimal', 'default', 'full']) {
    for (const name of names(resolveConfig([{ profile }], 2).ops)) {
      expect(allOps().get(name)?.recorded, name).toBe(true);
    }
  }
  const full = names(resolveConfig([{ profile: 'full' }], 2).ops);
  expect(full).toContain('file.read');
  expect(full).not.toContain('syscall.call');
});

test('ops are added and taken away; naming syscalls turns their op on', () => {
  const on = names(
    resolveConfig([{ enable: ['file.read,file.write'], disable: 'file.open' }], 2).ops,
  );
  expect(on).toContain('file.read');
  expect(on).not.toContain('file.open');
  expect(names(resolveConfig([{ syscalls: 'getppid' }], 2).ops)).toContain('syscall.call');
});

test('exclusions of each kind, given in any form', () => {
  const { exclude } = resolveConfig([{ exclude: ['comm=a b,pid=1', 'uid=0', 'cgroup=77'] }], 2);
  expect(exclude).toEqual({ comms: ['a b'], pids: [1], uids: [0], cgroups: [77n] });
});

test('a filter is a text, which is not looked into here', () => {
  expect(resolveConfig([{}], 2).filter).toBe(null);
  expect(resolveConfig([{ filter: 'pid == 1' }, { filter: 'pid == 2' }], 2).filter).toBe(
    'pid == 1',
  );
});

test('rings are a power of two within bounds, and by default no more than 2 % of memory', () => {
  expect(resolveConfig([{ 'ring-size': '8MiB' }], 2).ringBytes).toBe(8 << 20);
  for (const bad of ['3MiB', '256KiB', '2GiB', 'big']) {
    expect(() => resolveConfig([{ 'ring-size': bad }], 2), bad).toThrow();
  }
  const many = resolveConfig([{}], 4096).ringBytes;
  expect(Math.log2(many) % 1).toBe(0);
  expect(many).toBe(512 * 1024);
});

test('how much of a packet is kept', () => {
  expect(resolveConfig([{}], 2).snaplen).toBe(128);
  expect(resolveConfig([{ snaplen: '1024' }], 2).snaplen).toBe(1024);
  for (const bad of ['0', '1025', '-1', '1.5', 'all']) {
    expect(() => resolveConfig([{ snaplen: bad }], 2), bad).toThrow('snaplen');
  }
});

test('durations and sizes', () => {
  expect(parseDuration('1h30m')).toBe(5_400_000);
  expect(parseDuration('250ms')).toBe(250);
  expect(parseSize('64MiB')).toBe(64 << 20);
  expect(parseSize('64M')).toBe(64 << 20);
  expect(parseSize('1024')).toBe(1024);
  for (const bad of ['', '10', 's', '1h 30'])
    expect(() => parseDuration(bad), bad).toThrow('duration');
});

test('a file with a wrong setting is refused with the nearest one', () => {
  expect(() => settingsFromFile('profil: full', 'c.yaml')).toThrow('did you mean profile');
  expect(() => settingsFromFile('- a', 'c.yaml')).toThrow('must be a list of settings');
  expect(() => settingsFromFile('a: [', 'c.yaml')).toThrow('is not YAML');
  expect(settingsFromFile('', 'c.yaml')).toEqual({});
});

test('settings of the wrong shape are refused, each with a sentence', () => {
  const from = (text: string): unknown => resolveConfig([settingsFromFile(text, 'c.yaml')], 2);
  expect(() => from('profile: [full]')).toThrow('profile must be one value');
  expect(() => from('exclude: { comm: x }')).toThrow('exclude must be a list of words');
  expect(() => from('exclude: [[a]]')).toThrow('exclude must be a list of words');
  expect(() => from('toString: 1')).toThrow('unknown setting toString');
  expect(() => from('seed: 1.5')).toThrow('whole number');
  expect(from('exclude:\nenable: [file.read]')).toMatchObject({ source: 'live' });
  expect(() => settingsFromEnvironment({ TAPIO_RECORD_PROFIL: 'full' })).toThrow(
    'did you mean TAPIO_RECORD_PROFILE',
  );
  expect(settingsFromEnvironment({ TAPIO_RECORD_CONFIG: 'c.yaml' })).toEqual({});
});

test('a recording of nothing is refused', () => {
  const disable = 'process.fork,process.exec,process.exit,process.signal';
  expect(() => resolveConfig([{ profile: 'minimal', disable }], 2)).toThrow('every op is off');
  expect(() => resolveConfig([{ enable: 'syscall.call' }], 2)).toThrow('add --syscalls');
  const both = { enable: 'syscall.call', source: 'synthetic' };
  expect(names(resolveConfig([both], 2).ops)).toContain('syscall.call');
});

test('what a store may take: sizes, ages, shares of a disk', () => {
  const config = (given: object): unknown => resolveConfig([given], 2);
  expect(config({})).toMatchObject({
    maxBytes: 4 * 2 ** 30,
    maxAgeMs: 86_400_000,
    minFree: { share: 0.05 },
    orphanTimeoutMs: 600_000,
  });
  const given = {
    'max-bytes': '10GiB',
    'max-age': '90m',
    'min-free': '2G',
    'orphan-timeout': '1h',
  };
  expect(config(given)).toMatchObject({
    maxBytes: 10 * 2 ** 30,
    maxAgeMs: 5_400_000,
    minFree: { bytes: 2 * 2 ** 30 },
    orphanTimeoutMs: 3_600_000,
  });
  expect(config({ 'min-free': '7.5 %' })).toMatchObject({ minFree: { share: 0.075 } });
  for (const [name, value, why] of [
    ['max-bytes', '10', /1MiB or more/],
    ['max-bytes', 'much', /no size/],
    ['max-age', '1ms', /too short/],
    ['min-free', '95%', /90% or less/],
    ['min-free', 'half', /no size/],
    ['orphan-timeout', '0s', /too short/],
  ] as const) {
    expect(() => config({ [name]: value }), `${name} ${value}`).toThrow(why);
  }
});

test('a sink sends rows as they are only where it is told so', () => {
  const sink = (given: object): unknown =>
    resolveConfig([{ sinks: [{ name: 'one', url: 'nats://h', ...given }] }], 2).sinks[0];
  expect(sink({})).toMatchObject({ raw: false, from: 'now', rate: null, filter: null });
  expect(sink({ raw: true })).toMatchObject({ raw: true });
  expect(resolveConfig([{ sink: 'nats://h' }], 2).sinks).toMatchObject([{ raw: false }]);
  for (const raw of ['true', 1, null]) {
    expect(() => sink({ raw })).toThrow('one: raw is true or false, not');
  }
  expect(() => sink({ row: true })).toThrow('did you mean raw');
});

test('where Prometheus is told: nowhere, or at an address', () => {
  expect(resolveConfig([{}], 2).metrics).toBe(null);
  const given = (metrics: string): unknown => resolveConfig([{ metrics }], 2).metrics;
  expect(given('127.0.0.1:9464')).toEqual({ host: '127.0.0.1', port: 9464 });
  expect(given('[::1]:0')).toEqual({ host: '::1', port: 0 });
  for (const wrong of ['9464', '127.0.0.1', '127.0.0.1:', '127.0.0.1:65536', 'unix:/a', '::1:5']) {
    expect(() => given(wrong), wrong).toThrow(`--metrics ${wrong}: write HOST:PORT`);
  }
});

test('caps are read op by op', () => {
  const given = {
    limit: ['file.open=50k/s,process.exec=1.5M/s', 'file.read=7/s'],
    sample: 'file.open=1/100',
    enable: ['file.read'],
  };
  const id = (name: string): number => allOps().get(name)?.id ?? 0;
  expect(resolveConfig([given], 2).caps).toEqual([
    { op: id('file.open'), every: 100, perSecond: 50_000 },
    { op: id('process.exec'), every: 1, perSecond: 1_500_000 },
    { op: id('file.read'), every: 1, perSecond: 7 },
  ]);
  expect(resolveConfig([{}], 2).caps).toEqual([]);
  const file = settingsFromFile('limit: [file.open=5/s]\nsample: [process.exec=1/2]\n', 'c.yaml');
  expect(resolveConfig([file], 2).caps).toHaveLength(2);
});

test.each([
  [{ limit: 'file.opne=5/s' }, 'unknown op file.opne (did you mean file.open?)'],
  [{ limit: 'file.read=5/s' }, '--limit file.read=5/s: file.read is off; --enable file.read'],
  [{ limit: '5/s' }, '--limit 5/s: write OP=RATE, such as file.open=50k/s'],
  [{ limit: 'file.open' }, '--limit file.open: write OP=RATE, such as file.open=50k/s'],
  [{ limit: 'file.open=50k' }, '50k is no rate: write 100/s, 50k/s or 1M/s'],
  [{ limit: 'file.open=-1/s' }, '-1/s is no rate'],
  [{ limit: 'file.open=5/m' }, '5/m is no rate'],
  [{ limit: 'file.open=0/s' }, '--limit file.open=0/s leaves nothing: 1/s or more'],
  [{ limit: 'file.open=2000M/s' }, 'limits nothing: 1000M/s or less'],
  [{ limit: 'file.open=1/s,file.open=2/s' }, '--limit says two things of file.open'],
  [{ sample: 'file.open=1/0' }, '--sample file.open=1/0 leaves nothing'],
  [{ sample: 'file.open=2/3' }, '2/3 is no sample: write 1/N, such as 1/100'],
  [{ sample: 'file.open=1%' }, '1% is no sample'],
  [{ sample: 'file.open=1/2000000000' }, 'is too seldom: 1/1000000000 or more often'],
  [{ sample: 'process.exec=1/2', source: 'synthetic' }, '--limit and --sample are the kernel’s'],
])('%o is refused: %s', (given, message) => {
  expect(() => resolveConfig([given], 2)).toThrow(message);
});
