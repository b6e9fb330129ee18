// policy.yaml: what is understood, how the rest is refused, and how the file is read again.

import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getuid } from 'node:process';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TapioError } from '../../src/errors.ts';
import { parsePolicy } from '../../src/service/policy-file.ts';
import { PolicyHolder } from '../../src/service/policy-holder.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const OWN_UID = getuid?.() ?? 0;
const ROOT = { kind: 'peer', uid: 0, gid: 0, pid: 1 } as const;

test('every setting', async () => {
  const policy = await parsePolicy(
    `
groups:
  ops: [uid:1000, cn:agent]
  one: token:grafana
rules:
  - who: [group:ops, 'sub:alice@example.com']
    allow: [process, network.connect]
    deny: process.signal
    filter: uid == 1000
    redact:
      - network.packet
      - {field: comm}
      - {field: process.args, pattern: 'token=(\\S+)'}
      - {field: file.path, pattern: '^/home/[^/]+', with: '/home/***'}
    events-per-second: 500
    bytes-per-second: 64KiB
    streams: 2
    reach: 1h30m
`,
    'policy.yaml',
  );
  expect(policy.groups).toEqual(
    new Map([
      ['ops', ['uid:1000', 'cn:agent']],
      ['one', ['token:grafana']],
    ]),
  );
  const [rule] = policy.rules;
  expect(rule).toMatchObject({
    who: ['group:ops', 'sub:alice@example.com'],
    allow: new Map([
      ['process', new Set(['fork', 'exec', 'exit', 'signal'])],
      ['network', new Set(['connect'])],
    ]),
    deny: new Map([['process', new Set(['signal'])]]),
    filter: { text: 'uid == 1000' },
    redact: [
      { field: 'network.packet', mask: null },
      { field: 'comm', mask: null },
      { field: 'process.args', mask: { pattern: 'token=(\\S+)', with: '***' } },
      { field: 'file.path', mask: { pattern: '^/home/[^/]+', with: '/home/***' } },
    ],
    limits: { eventsPerSecond: 500, bytesPerSecond: 65_536, streams: 2, reachMs: 5_400_000 },
  });
});

const RULE = (settings: string): string => `rules:\n  - who: '*'\n    ${settings}\n`;

test.each<[text: string, message: string]>([
  ['', ': it is empty: begin with "rules:"'],
  ['rules:', ':1:7: rules: it has no value: give it one, or take it out'],
  ['{}', ':1:1: it has no rules: begin with "rules:"'],
  ['- a', ':1:1: the policy is a set of settings, each as "name: value"'],
  ['role: []', ':1:7: role: unknown setting of the policy role (did you mean rules?)'],
  ['rules: {who: x}', ':1:8: rules: begin each rule with "- who:"'],
  ['rules: [1]', ':1:9: rules: a rule is a set of settings, each as "name: value"'],
  ['rules: [[]]', ':1:9: rules: a rule is a set of settings, each as "name: value"'],
  ['rules: [{}]', ":1:9: rules: it says nothing of whom it is: add who, as in who: '*'"],
  ['a: 1\na: 2', ':2:1: this is not YAML: Map keys must be unique'],
  ['rules: [', ':1:9: this is not YAML: Flow sequence'],
  ['rules: !secret []', ':1:8: this is not YAML: Unresolved tag: !secret'],
  ['rules: []\n---\nrules: []', ':2:1: this is not YAML: Source contains multiple documents'],
  [
    'rules:\n  - who: *',
    ":2:10: this is not YAML: Alias cannot be an empty string: write '*' in quotes",
  ],
  ['rules: &a [*a]', ':1:12: rules: a rule is a set of settings'],
  [RULE(''), ':2:5: rules: it allows nothing: add allow'],
  [RULE('alow: process'), ':3:11: alow: unknown setting of a rule alow (did you mean allow?)'],
  [RULE('__proto__: process'), ':3:16: __proto__: unknown setting of a rule __proto__'],
  [
    RULE('allow: network.conect'),
    ':3:12: allow: unknown type or op network.conect (did you mean network.connect?)',
  ],
  [
    RULE('allow: [process, netwrk]'),
    ':3:22: allow: unknown type or op netwrk (did you mean network?)',
  ],
  [RULE('allow: exec'), ':3:12: allow: write process.exec for exec: ops are named with their type'],
  [RULE('allow: constructor'), ':3:12: allow: unknown type or op constructor'],
  [RULE('allow: {process: exec}'), ':3:12: allow: name types and ops, as one word or text'],
  [RULE('allow: process\n    deny:'), ':4:10: deny: it has no value: give it one, or take it out'],
  [RULE('allow: [process, null]'), ':3:22: allow: name types and ops, as one word or text'],
  [
    RULE('filter: pid == 1'),
    ':3:13: filter: it says which rows of what is allowed are seen: add allow',
  ],
  [
    RULE('allow: process\n    filter: pidd == 1'),
    ':4:13: filter: unknown name pidd (did you mean pid?)\n  pidd == 1\n  ^',
  ],
  [RULE("allow: process\n    filter: ''"), ':4:13: filter: '],
  [RULE('allow: process\n    filter: 1'), ':4:13: filter: '],
  [
    RULE('redact: process.arg'),
    ':3:13: redact: unknown field to redact process.arg (did you mean process.args?)',
  ],
  [RULE('redact: seq'), ':3:13: redact: unknown field to redact seq'],
  [RULE('redact: op'), ':3:13: redact: unknown field to redact op'],
  [RULE('redact: {pattern: a}'), ':3:13: redact: it redacts nothing: add field'],
  [
    RULE('redact: {field: comm, with: a}'),
    ':3:33: with: it stands for what a pattern finds: add pattern',
  ],
  [
    RULE('redact: {field: uid, pattern: a}'),
    ':3:35: pattern: uid is no text: leave the pattern out, and it is redacted as a whole',
  ],
  [
    RULE('redact: {field: network.packet, pattern: a}'),
    ':3:46: pattern: network.packet is no text',
  ],
  [
    RULE("redact: {field: comm, pattern: '(?=a)'}"),
    ':3:36: pattern: (?=a) is no pattern: RE2 has no lookaround',
  ],
  [
    RULE("redact: {field: comm, pattern: '(a)\\1'}"),
    ':3:36: pattern: (a)\\1 is no pattern: RE2 has no backreferences',
  ],
  [
    RULE("redact: {field: comm, pattern: '((a{30}){30}){30}'}"),
    ':3:36: pattern: ((a{30}){30}){30} is no pattern: it repeats',
  ],
  [RULE("redact: {field: comm, pattern: '('}"), ':3:36: pattern: ( is no pattern: a ) is missing'],
  [
    RULE("redact: {field: comm, pattern: ''}"),
    ':3:36: pattern: a pattern has 1 to 1000 characters',
  ],
  [RULE('streams: 0'), ':3:14: streams: 0 is not a number of streams: 1 or more'],
  [RULE('streams: 1.5'), ':3:14: streams: 1.5 is not a number of streams: 1 or more'],
  [
    RULE('events-per-second: lots'),
    ':3:24: events-per-second: lots is not a number of events: 1 or more',
  ],
  [
    RULE('bytes-per-second: 1MB/s'),
    ':3:23: bytes-per-second: 1MB/s is no size: write 64MiB or 67108864',
  ],
  [RULE('bytes-per-second: 0'), ':3:23: bytes-per-second: nothing could be sent: 1 or more'],
  [
    RULE('reach: yesterday'),
    ':3:12: reach: yesterday is no duration: write 500ms, 10s, 5m or 1h30m',
  ],
  [
    'rules: [{who: bob, allow: file}]',
    ":1:15: who: bob is no name: write uid:1000, token:NAME or '*'",
  ],
  ['rules: [{who: user:bob, allow: file}]', ':1:15: who: unknown kind of name user'],
  ['rules: [{who: uid:bob, allow: file}]', ':1:15: who: uid:bob: write its number, as in uid:1000'],
  ['rules: [{who: uid:01, allow: file}]', ':1:15: who: uid:01: write its number, as in uid:1000'],
  [
    'rules: [{who: {uid: 1000}, allow: file}]',
    ':1:15: who: write a name without a space, as in uid:1000',
  ],
  ["groups: {a: '*'}\nrules: []", ':1:13: a: * is no member: name each'],
  ['groups: {a: group:b}\nrules: []', ':1:13: a: group:b is no member: name each'],
  ['groups: [a]\nrules: []', ':1:9: groups: groups is a set of settings'],
])('%j is refused with its place', async (text, message) => {
  const refusal = parsePolicy(text, 'policy.yaml');
  await expect(refusal).rejects.toMatchObject({ name: 'TapioError', code: 'usage' });
  await expect(refusal).rejects.toThrow(`policy.yaml${message}`);
});

const fill = (before: string, unit: string): string =>
  before + unit.repeat(Math.floor(200_000 / unit.length));

test.each([
  ['brackets', fill('rules: ', '[')],
  ['braces', fill('rules: ', '{a: ')],
  ['dashes', fill('', '- ')],
  ['anchors', fill('rules:\n', '- &a a\n')],
  ['aliases', `a: &a [x, x]\nb: &b [*a, *a]\nrules: [${'*b, '.repeat(50_000)}]`],
  ['quotes', fill('rules: ', '"')],
  ['controls', fill('rules: ', '\u0000')],
  ['keys', fill('rules:\n', 'a: 1\n')],
])('many %s are refused, soon', async (_name, text) => {
  const before = process.cpuUsage();
  await expect(parsePolicy(text, 'p')).rejects.toMatchObject({ code: 'usage' });
  expect(process.cpuUsage(before).user).toBeLessThan(30_000_000);
});

test('whatever the text, the outcome is a policy or a refusal', async () => {
  const words = [
    ...['rules:', 'groups:', '- ', 'who:', "'*'", 'uid:1', 'allow:', 'process', 'deny:', 'filter:'],
    ...['pid == 1', 'redact:', '{field: comm, ', 'pattern: a}', 'reach:', '1h', '\n', '\n  ', ' '],
    ...['[', ']', '{', '}', ',', ': ', '&a ', '*a', '!!binary ', '"', '|\n', '? ', '#', '<<: '],
  ];
  const text = fc.oneof(
    fc.array(fc.constantFrom(...words), { maxLength: 30 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary', maxLength: 60 }),
  );
  await fc.assert(
    fc.asyncProperty(text, async (one) => {
      const outcome = await parsePolicy(one, 'p').catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(TapioError);
    }),
    { seed: SEED, numRuns: 500 },
  );
});

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'policy-'));
  path = join(directory, 'policy.yaml');
});
afterEach(() => rmSync(directory, { recursive: true }));

const ALLOWING = (ops: string): string => `rules: [{who: '*', allow: ${ops}}]`;

test('a file is read again, and a broken one leaves the one before', async () => {
  const said: string[] = [];
  writeFileSync(path, ALLOWING('process'));
  const holder = await PolicyHolder.open(path, OWN_UID, (message) => said.push(message));
  const shows = (type: 'process' | 'file'): boolean =>
    holder.policy.grantFor(ROOT)?.ops.has(type) ?? false;
  expect([shows('process'), shows('file')]).toEqual([true, false]);

  const { policy } = holder;
  for (const broken of ['rules: [{who: 1', ALLOWING('fil'), '']) {
    writeFileSync(path, broken);
    expect(await holder.reload()).toBe(false);
    expect(holder.policy).toBe(policy);
  }
  expect(said).toEqual([
    expect.stringMatching(/:1:16: this is not YAML: .*\nthe policy that was read before goes on$/s),
    expect.stringContaining('unknown type or op fil (did you mean file?)'),
    expect.stringContaining('it is empty'),
  ]);

  writeFileSync(path, ALLOWING('file'));
  expect(await holder.reload()).toBe(true);
  expect([shows('process'), shows('file')]).toEqual([false, true]);
  expect(said.at(-1)).toBe(`${path} was read again and holds from now on`);

  rmSync(path);
  expect(await holder.reload()).toBe(false);
  expect(said.at(-1)).toContain('cannot be read (ENOENT)');
  expect(shows('file')).toBe(true);
});

test('of reloads that overlap the last one holds', async () => {
  writeFileSync(path, ALLOWING('process'));
  const holder = await PolicyHolder.open(path, OWN_UID, () => {});
  const first = holder.reload();
  writeFileSync(path, ALLOWING('file'));
  await Promise.all([first, holder.reload(), holder.reload()]);
  expect([...(holder.policy.grantFor(ROOT)?.ops.keys() ?? [])]).toEqual(['file']);
});

test('a file that others can write is no policy', async () => {
  writeFileSync(path, ALLOWING('process'));
  for (const mode of [0o620, 0o602, 0o666]) {
    chmodSync(path, mode);
    await expect(PolicyHolder.open(path, OWN_UID, () => {})).rejects.toMatchObject({
      code: 'not_permitted',
      message: `${path} can be written by others: chmod go-w '${path}'`,
    });
  }
});

test('what is no file is refused', async () => {
  const inside = join(directory, 'inside');
  mkdirSync(inside);
  await expect(PolicyHolder.open(inside, OWN_UID, () => {})).rejects.toThrow('is no file');
  await expect(PolicyHolder.open('/dev/zero', OWN_UID, () => {})).rejects.toThrow('is no file');
  writeFileSync(path, Buffer.alloc((1 << 20) + 1, ' '));
  await expect(PolicyHolder.open(path, OWN_UID, () => {})).rejects.toThrow('up to 1 MiB');
});

test('without a file the built-in policy holds, whatever is read again', async () => {
  const said: string[] = [];
  const holder = await PolicyHolder.open(null, 900, (message) => said.push(message));
  const { policy } = holder;
  expect(policy.grantFor(ROOT)?.isUnrestricted).toBe(true);
  expect(await holder.reload()).toBe(false);
  expect(holder.policy).toBe(policy);
  expect(said).toEqual(['there is no policy file to read again: the built-in policy goes on']);
});

test('the example of POLICY.md is a policy, and does what it says', async () => {
  const page = readFileSync(new URL('../../src/service/POLICY.md', import.meta.url), 'utf8');
  const [, example = ''] = /```yaml\n(.*?)```/s.exec(page) ?? [];
  const policy = await parsePolicy(example, 'POLICY.md');
  const analyst = policy.grantFor({ kind: 'token', name: 'grafana' });
  expect([...(analyst?.ops.keys() ?? [])]).toEqual(['process', 'network', 'file']);
  expect(analyst?.ops.get('network')).toEqual(new Set(['connect', 'accept']));
  expect(analyst?.limits.reachMs).toBe(86_400_000);
  const pager = policy.grantFor({
    kind: 'mtls',
    commonName: 'pager.example.com',
    alternativeNames: [],
  });
  expect([...(pager?.ops.keys() ?? [])]).toEqual(['process', 'network', 'file', 'memory']);
  expect(pager?.shows('network', 'packet')).toBe(false);
  expect(pager?.limits).toMatchObject({ streams: 4, reachMs: null });
  expect(policy.grantFor(ROOT)).toBeNull();
});
