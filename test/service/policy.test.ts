// What rules come to for an identity, and how requests are bound to it.

import { expect, test } from 'vitest';
import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';
import { matches } from '../../src/query/predicate.ts';
import { predicateOf, select } from '../../src/query/select.ts';
import type { Grant } from '../../src/service/grant.ts';
import { type Identity, shownName } from '../../src/service/identity.ts';
import { Policy } from '../../src/service/policy.ts';
import { parsePolicy } from '../../src/service/policy-file.ts';

const NOW = 1_795_000_000_000_000_000n;
const NONE = { since: null, until: null, types: [], ops: [], pids: [], comms: [] };
const peer = (uid: number, gid = uid): Identity => ({ kind: 'peer', uid, gid, pid: 7 });
const jwt = (subject: string, ...groups: string[]): Identity => ({
  kind: 'jwt',
  subject,
  groups,
  claims: {},
});

async function grantOf(text: string, identity: Identity = peer(1000)): Promise<Grant> {
  const grant = (await parsePolicy(text, 'policy.yaml')).grantFor(identity);
  if (grant === null) throw new Error('nothing is allowed');
  return grant;
}

/** Ops that may be seen, by their full names. */
const opsOf = (grant: Grant | null): string[] =>
  [...(grant?.ops ?? [])].flatMap(([type, ops]) => [...ops].map((op) => `${type}.${op}`)).sort();

const ROW = { op: 'exec', pid: 5, uid: 1000, comm: 'sh', ts: NOW };

/** Whether a row of a type is let out. */
function sees(
  grant: Grant,
  type: EventType,
  row: Readonly<Record<string, string | number | bigint>>,
  selection = select(NONE),
): boolean {
  const bound = grant.bind({ selection }, NOW).selection;
  const values: Readonly<Record<string, string | number | bigint>> = { ...ROW, ...row };
  const [ts, { since, until }] = [values.ts as bigint, bound];
  const inWindow = (since === null || ts >= since) && (until === null || ts < until);
  const get = (field: string): string | number | bigint | null => values[field] ?? null;
  return (
    inWindow && bound.types.includes(type) && matches(predicateOf(bound, type, ''), get) === true
  );
}

test('without a file root and the own user read all, and nobody else anything', () => {
  const policy = Policy.builtIn(900);
  for (const uid of [0, 900]) expect(policy.grantFor(peer(uid))?.isUnrestricted).toBe(true);
  const others: Identity[] = [
    peer(1000, 0),
    { kind: 'mtls', commonName: 'uid:0', alternativeNames: ['uid:0'] },
    { kind: 'token', name: 'uid:0' },
    jwt('uid:0', 'uid:0', '*', 'root'),
  ];
  for (const one of others) expect(policy.grantFor(one)).toBeNull();
});

test('an empty policy shows nobody anything', async () => {
  const policy = await parsePolicy('rules: []', 'policy.yaml');
  expect(policy.grantFor(peer(0))).toBeNull();
});

test.each<[who: string, identity: Identity, matches: boolean]>([
  ["'*'", peer(1), true],
  ['uid:1000', peer(1000), true],
  ['uid:1000', peer(100), false],
  ['gid:1000', peer(5, 1000), true],
  ['gid:1000', peer(1000, 5), false],
  ['cn:agent', { kind: 'mtls', commonName: 'agent', alternativeNames: [] }, true],
  ['cn:agent', { kind: 'token', name: 'agent' }, false],
  ['san:DNS:a.b', { kind: 'mtls', commonName: '', alternativeNames: ['DNS:a.b'] }, true],
  ['san:DNS:a.b', { kind: 'mtls', commonName: 'DNS:a.b', alternativeNames: [] }, false],
  ['token:grafana', { kind: 'token', name: 'grafana' }, true],
  ['sub:alice', jwt('alice'), true],
  ['sub:alice', { kind: 'token', name: 'alice' }, false],
  ['group:ops', jwt('alice', 'ops'), true],
  ['group:ops', jwt('ops'), false],
  ['[uid:1, sub:alice]', jwt('alice'), true],
  // Of a group that the file lists nobody else is a member.
  ['group:admins', jwt('mallory', 'admins'), false],
  ['group:admins', jwt('bob'), true],
  ['group:admins', peer(7), true],
])('a rule for %s', async (who, identity, isMatch) => {
  const text = `groups: {admins: [sub:bob, uid:7]}\nrules: [{who: ${who}, allow: process}]`;
  const policy = await parsePolicy(text, 'policy.yaml');
  expect(policy.grantFor(identity) !== null).toBe(isMatch);
});

test.each<[name: string, rules: string, ops: string[]]>([
  ['a type is all of its ops', '[{who: uid:1000, allow: syscall}]', ['syscall.call']],
  [
    'allows add up',
    "[{who: uid:1000, allow: process.exec}, {who: '*', allow: [process.fork, syscall]}]",
    ['process.exec', 'process.fork', 'syscall.call'],
  ],
  [
    'deny wins, whichever rule comes first',
    "[{who: '*', deny: process.exec}, {who: uid:1000, allow: [process.exec, process.fork]}]",
    ['process.fork'],
  ],
  [
    'deny wins in one rule',
    '[{who: uid:1000, allow: process, deny: [process.exec, process.exit, process.signal]}]',
    ['process.fork'],
  ],
  [
    'rules of others do not count',
    '[{who: uid:1000, allow: syscall}, {who: uid:1, allow: file, deny: syscall}]',
    ['syscall.call'],
  ],
  [
    'a filter that no row of a type can pass',
    "[{who: '*', allow: [syscall, file], filter: 'syscall.nr == 1'}]",
    ['syscall.call'],
  ],
  [
    'a filter that no row of an op can pass',
    "[{who: '*', allow: process.exec}, {who: '*', allow: process.fork, filter: 'has(file.path)'}]",
    ['process.exec'],
  ],
  ['nothing is left', "[{who: '*', allow: syscall}, {who: '*', deny: '*'}]", []],
])('%s', async (_name, rules, ops) => {
  const policy = await parsePolicy(`rules: ${rules}`, 'policy.yaml');
  const grant = policy.grantFor(peer(1000));
  expect(opsOf(grant)).toEqual(ops);
  if (ops.length === 0) expect(grant).toBeNull();
  expect(grant?.shows('network', 'connect') ?? false).toBe(false);
});

test("a rule's filter is for what it allows itself", async () => {
  const grant = await grantOf(`
rules:
  - {who: uid:1000, allow: process, filter: 'uid == 1000'}
  - {who: uid:1000, allow: [process.exec, network], filter: 'comm == "nginx"'}
`);
  expect(sees(grant, 'process', { op: 'fork' })).toBe(true);
  expect(sees(grant, 'process', { op: 'fork', uid: 0, comm: 'nginx' })).toBe(false);
  expect(sees(grant, 'process', { op: 'exec', uid: 0, comm: 'nginx' })).toBe(true);
  expect(sees(grant, 'network', { op: 'connect' })).toBe(false);
  expect(sees(grant, 'network', { op: 'connect', uid: 0, comm: 'nginx' })).toBe(true);
  expect(grant.isUnrestricted).toBe(false);
});

test('the smallest limit holds', async () => {
  const grant = await grantOf(`
rules:
  - {who: uid:1000, allow: '*', events-per-second: 500, bytes-per-second: 1MiB, reach: 2h}
  - {who: '*', streams: 4, bytes-per-second: 64KiB, reach: 1h30m}
`);
  expect(grant.limits).toEqual({
    eventsPerSecond: 500,
    bytesPerSecond: 65_536,
    streams: 4,
    reachMs: 5_400_000,
  });
});

test('reach moves the window, and never to the past', async () => {
  const grant = await grantOf("rules: [{who: '*', allow: '*', reach: 1h}]");
  const hour = 3_600_000_000_000n;
  const sinceOf = (since: bigint | null, until: bigint | null = null): [bigint | null, number] => {
    const { selection } = grant.bind({ selection: select({ ...NONE, since, until }) }, NOW);
    return [selection.since, selection.types.length];
  };
  expect(sinceOf(null)).toEqual([NOW - hour, EVENT_TYPES.length]);
  expect(sinceOf(NOW - 2n * hour)).toEqual([NOW - hour, EVENT_TYPES.length]);
  expect(sinceOf(NOW - 1n)).toEqual([NOW - 1n, EVENT_TYPES.length]);
  expect(sinceOf(null, NOW)).toEqual([NOW - hour, EVENT_TYPES.length]);
  expect(sinceOf(NOW - 3n * hour, NOW - hour)).toEqual([NOW - hour, 0]);
  const not = select({ ...NONE, pids: ['5'], not: true });
  expect(sees(grant, 'process', { pid: 6, ts: NOW - hour }, not)).toBe(true);
  expect(sees(grant, 'process', { pid: 6, ts: NOW - hour - 1n }, not)).toBe(false);
  expect(grant.isUnrestricted).toBe(false);
});

test('a selection that is turned around stays within what may be seen', async () => {
  const grant = await grantOf(`
rules:
  - {who: '*', allow: [process.exec, file], filter: 'uid == 1000'}
`);
  const not = select({ ...NONE, ops: ['process.exec'], not: true });
  expect(sees(grant, 'process', { op: 'exec' }, not)).toBe(false);
  expect(sees(grant, 'process', { op: 'fork' }, not)).toBe(false);
  expect(sees(grant, 'file', { op: 'open' }, not)).toBe(true);
  expect(sees(grant, 'file', { op: 'open', uid: 0 }, not)).toBe(false);
  expect(sees(grant, 'network', { op: 'connect' }, not)).toBe(false);
  const filter = await parseFilter('uid == 1000');
  const turned = select({ ...NONE, filter, not: true });
  for (const uid of [0, 1000]) expect(sees(grant, 'file', { op: 'open', uid }, turned)).toBe(false);
});

const REDACTING = `
rules:
  - who: '*'
    allow: [process, network, syscall]
    redact:
      - process.args
      - comm
      - pstart
      - {field: process.filename, pattern: '^/home/[^/]+', with: '/home/***'}
`;

test.each<[given: Partial<Parameters<typeof select>[0]>, filter: string | null, field: string]>([
  [{}, 'process.args.exists(a, a == "x")', 'process.args'],
  [{}, 'has(process.args)', 'process.args'],
  [{}, 'size(process.args) > 1', 'process.args'],
  [{}, 'pid == 1 || process.args[0] == "x"', 'process.args'],
  [{ not: true }, 'process.args[0] == "x"', 'process.args'],
  [{}, 'comm == "sh"', 'comm'],
  [{ comms: ['sh'] }, null, 'comm'],
  [{ comms: ['sh'], not: true }, null, 'comm'],
  [{ types: ['network'] }, 'pstart > 5', 'pstart'],
  [{}, 'process.filename.startsWith("/home/a")', 'process.filename'],
  [{}, 'type == "process" ? process.filename == "x" : true', 'process.filename'],
])('a filter that reads what is redacted is refused: %j %s', async (given, text, field) => {
  const grant = await grantOf(REDACTING);
  const filter = text === null ? null : await parseFilter(text);
  const selection = select({ ...NONE, ...given, filter });
  const parts = field === 'process.filename' ? 'parts of ' : '';
  expect(() => grant.bind({ selection }, NOW)).toThrow(
    expect.objectContaining({
      code: 'not_permitted',
      message: `the policy hides ${parts}${field}: filter and group by other fields`,
    }),
  );
});

test.each<[request: { fields?: string[]; measures?: string[] }, code: string, message: string]>([
  [{ fields: ['process.args'] }, 'not_permitted', 'the policy hides process.args: leave it out'],
  [{ fields: ['comm'] }, 'not_permitted', 'the policy hides comm: leave it out'],
  [{ measures: ['comm'] }, 'not_permitted', 'the policy hides comm: leave it out'],
  [
    { measures: ['process.filename'] },
    'not_permitted',
    'the policy hides parts of process.filename: filter and group by other fields',
  ],
  [
    { measures: ['file.bytes'] },
    'not_permitted',
    'the policy shows no file events: leave out file.bytes',
  ],
  [
    { fields: ['file.path'] },
    'not_permitted',
    'the policy shows no file events: leave out file.path',
  ],
  [{ fields: ['prosess.cwd'] }, 'usage', 'unknown field prosess.cwd (did you mean process.cwd?)'],
  [{ measures: ['args'] }, 'usage', 'unknown field args'],
])('fields that may not be seen are refused: %j', async (request, code, message) => {
  const grant = await grantOf(REDACTING);
  const ask = (): unknown => grant.bind({ selection: select(NONE), ...request }, NOW);
  expect(ask).toThrow(expect.objectContaining({ code, message }));
});

test('what may be seen is asked for as ever', async () => {
  const grant = await grantOf(REDACTING);
  const filter = await parseFilter('file.path == "/etc/shadow" || process.cwd == "/"');
  const request = {
    selection: select({ ...NONE, filter }),
    fields: ['pid', 'process.filename', 'ktime', 'type'],
    measures: ['type', 'network.daddr', 'uid'],
  };
  const { columns, selection } = grant.bind(request, NOW);
  expect(selection.types).toEqual(['process']);
  expect(columns('process')).toEqual(['seq', 'ts', 'pid', 'filename']);
  const all = grant.bind({ selection: select(NONE) }, NOW).columns('process');
  for (const hidden of ['args', 'comm', 'pstart']) expect(all).not.toContain(hidden);
  expect(all).toContain('filename');
});

test('a filter on a type that is denied matches nothing', async () => {
  const grant = await grantOf(REDACTING);
  for (const text of ['type == "file"', 'has(file.path)', 'file.bytes > 0']) {
    const selection = select({ ...NONE, filter: await parseFilter(text) });
    for (const type of EVENT_TYPES) {
      expect(sees(grant, type, { op: 'open', path: '/x', bytes: 5n }, selection), text).toBe(false);
    }
  }
});

test.each<[settings: string, isAll: boolean]>([
  ['', true],
  [', streams: 1, events-per-second: 1', true],
  [', reach: 24h', false],
  [', deny: file.read', false],
  [', redact: comm', false],
  [", redact: {field: comm, pattern: 'a'}", false],
  [", filter: 'pid > 0'", false],
])('whether a policy%s is one that hides nothing', async (settings, isAll) => {
  const grant = await grantOf(`rules: [{who: '*', allow: '*'${settings}}]`);
  expect(grant.isUnrestricted).toBe(isAll);
});

test('descendants are looked for only by who sees all', async () => {
  const selection = { ...select(NONE), processes: new Map() };
  const restricted = await grantOf(REDACTING);
  expect(() => restricted.bind({ selection }, NOW)).toThrow(
    'descendants are looked for in all rows, and the policy hides some: ask by pid or ppid',
  );
  const all = Policy.builtIn(0).grantFor(peer(0));
  expect(all?.bind({ selection }, NOW).selection.processes).toBe(selection.processes);
});

test('a name that is shown obeys no terminal', () => {
  expect(shownName({ kind: 'token', name: 'a\u001b[2Jb\n' })).toBe('token:a\\x1b[2Jb\\n');
  expect(shownName(peer(7))).toBe('uid:7');
});
