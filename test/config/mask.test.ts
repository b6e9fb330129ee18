// Secrets of command lines: which are found where nobody says otherwise, what may be said, and that no byte of one is left.

import { expect, test } from 'vitest';
import { MASK_DEFAULTS, maskOf } from '../../src/config/mask.ts';
import { native } from '../../src/source/binding.ts';
import { random } from '../support/batches.ts';

const defaults = new (native().SecretMask)(MASK_DEFAULTS);
const hidden = (...args: string[]): string[] => defaults.hide(args, false);

test.each<readonly [string[], string[]]>([
  [
    ['mysql', '--password=hunter2', '-h', 'db'],
    ['mysql', '--password=***', '-h', 'db'],
  ],
  [
    ['x', '--password', 'hunter2', '--verbose'],
    ['x', '--password', '***', '--verbose'],
  ],
  [
    ['sh', '-c', 'mysql --password=hunter2 -e "select 1"'],
    ['sh', '-c', 'mysql --password=*** -e "select 1"'],
  ],
  [
    ['sh', '-c', 'tool --token abc --url x'],
    ['sh', '-c', 'tool --token *** --url x'],
  ],
  [
    ['env', 'PGPASSWORD=a b c', 'psql'],
    ['env', 'PGPASSWORD=***', 'psql'],
  ],
  [
    ['sh', '-c', 'first\nexport DB_PASS=abc\nthird'],
    ['sh', '-c', 'first\nexport DB_PASS=***\nthird'],
  ],
  [
    ['psql', 'postgres://u:p@ss@host/db?x=1'],
    ['psql', 'postgres://u:***@host/db?x=1'],
  ],
  [
    ['curl', '-H', 'Authorization: Bearer abc def'],
    ['curl', '-H', 'Authorization: Bearer ***'],
  ],
  [
    ['curl', '-H', 'X-Api-Key: abc def'],
    ['curl', '-H', 'X-Api-Key: ***'],
  ],
  [
    ['sh', '-c', 'curl -H "Authorization: Basic dXNlcg==" http://x'],
    ['sh', '-c', 'curl -H "Authorization: Basic ***" http://x'],
  ],
  [
    ['/usr/bin/curl', '-sSu', 'bob:s3 cret', 'http://x'],
    ['/usr/bin/curl', '-sSu', 'bob:***', 'http://x'],
  ],
  [
    ['mysqldump', '-uroot', '-phunter2', 'db'],
    ['mysqldump', '-uroot', '-p***', 'db'],
  ],
  [
    ['sh', '-c', 'mysqldump -uroot -phunter2 db | gzip'],
    ['sh', '-c', 'mysqldump -uroot -p*** db | gzip'],
  ],
  [
    ['java', '-Djavax.net.ssl.keyStorePassword=abc', '-cp', 'x'],
    ['java', '-Djavax.net.ssl.keyStorePassword=***', '-cp', 'x'],
  ],
  [
    ['aws', '--aws-secret-access-key', 'q', 'AKIAIOSFODNN7EXAMPLE'],
    ['aws', '--aws-secret-access-key', '***', '***'],
  ],
  [
    ['x', '{"password":"a b"}'],
    ['x', '{"password":***'],
  ],
  [
    ['x', '--token', '-----BEGIN RSA PRIVATE KEY-----\nabc'],
    ['x', '--token', '***'],
  ],
])('%j', (args, without) => {
  expect(hidden(...args)).toEqual(without);
});

test('what is no secret stays', () => {
  for (const line of [
    ['x', '--password', '--verbose'],
    ['x', '--password-file=/etc/x', '--token-ttl=3', '--max-tokens=5'],
    ['docker', 'run', '-u', '1000:1000', 'image'],
    ['docker', 'login', '--password-stdin'],
    ['curl', 'http://host:8080/a@b'],
    ['env', 'PWD=/home', 'OLDPWD=/x', 'compass=1', 'ls'],
    ['grep', '-r', 'password', '.'],
    ['ssh', '-p', '22', 'git@host'],
    ['mkdir', '-p', '/x'],
    [],
    [''],
  ]) {
    expect(hidden(...line)).toEqual(line);
  }
});

test('random command lines: no byte of a planted secret is left, and the arguments keep their places', () => {
  const seed = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
  const next = random(seed);
  const below = (limit: number): number => Math.floor(next() * limit);
  const one = <T>(of: readonly T[]): T => of[below(of.length)] as T;
  // Letters that stand in nothing else here.
  const letters = [...'QXZ'];
  const word = (of: readonly string[], most: number): string =>
    Array.from({ length: 1 + below(most) }, () => one(of)).join('');
  const plain = (): string => word([...'abcdefg/.,:=-_ 0123"\'\n\\é', '\\xff'], 12);
  const names = ['--password', '-token', '--db-secret', '--API_KEY', '--client.secret'];
  const variables = ['PGPASSWORD', 'GH_TOKEN', 'my_secret', 'AWS_SECRET_ACCESS_KEY', '--passwd'];
  for (let round = 0; round < 20_000; round++) {
    const exact = word(letters, 20);
    // In a text for a shell, a secret is a word.
    const wild =
      exact + word([...letters, ' ', '\n', '"', "'", '\\xff', '\\\\', 'é', '@', ';'], 10);
    const planted = one<() => string[]>([
      () => [`${one(variables)}=${wild}`],
      () => [one(names), wild],
      () => [`run ${one(names)} ${exact} more`],
      () => [`run; ${one(variables)}=${exact} more`],
      () => [`https://user:${exact}@host/path`],
      () => ['-H', `Authorization: Bearer ${wild.replace(/["'\n]/g, '')}`],
    ])();
    const before = Array.from({ length: below(6) }, plain);
    const after = Array.from({ length: below(6) }, plain);
    const given = ['prog', ...before, ...planted, ...after];
    const found = hidden(...given);
    const told = `seed ${seed}, round ${round}: ${JSON.stringify(given)} → ${JSON.stringify(found)}`;
    expect(found.join(' '), told).not.toMatch(/[QXZ]/);
    expect(found.length, told).toBe(given.length);
    // What was masked is not masked again.
    expect(hidden(...found), told).toEqual(found);
  }
});

test('a secret that the end of what is kept runs through is found', () => {
  expect(defaults.hide(['psql', 'postgres://u:hunt'], true)).toEqual(['psql', 'postgres://u:***']);
  expect(defaults.hide(['psql', 'postgres://u:hunt'], false)).toEqual([
    'psql',
    'postgres://u:hunt',
  ]);
  expect(defaults.hide(['x', '--password=hun'], true)).toEqual(['x', '--password=***']);
});

test('ten thousand arguments are looked at as one line', () => {
  const many = Array.from({ length: 10_000 }, (_, i) => `--flag-${i}`);
  expect(hidden(...many)).toEqual(many);
  const all = Array.from({ length: 10_000 }, (_, i) => `--token=${i}`);
  expect(hidden(...all)).toEqual(all.map(() => '--token=***'));
});

test('patterns of the user: groups, ends of arguments, across them, bytes', () => {
  const hide = (pattern: string, ...args: string[]): string[] =>
    new (native().SecretMask)([{ name: 'own', pattern }]).hide(args, false);
  expect(hide('(?m)^-k(.*)$', 'x', '-kabc', '-k')).toEqual(['x', '-k***', '-k']);
  expect(hide('--pin\\s+(\\d+)', 'x', '--pin', '1234', '5')).toEqual(['x', '--pin', '***', '5']);
  expect(hide('b.*', 'abc', 'de')).toEqual(['a***', 'de']);
  // What reaches over arguments leaves as many.
  expect(hide('(?s)b.*e', 'ab', 'cd', 'ef')).toEqual(['a***', '***', '***f']);
  expect(hide('ä(.)', 'äé')).toHaveLength(1);
});

test('settings: beside the defaults, in their place, none', () => {
  const names = (mask: unknown): string[] => maskOf({ mask }).map(({ name }) => name);
  const known = MASK_DEFAULTS.map(({ name }) => name);
  expect(names(undefined)).toEqual(known);
  expect(names('a{1,3}')).toEqual([...known, 'a{1,3}']);
  expect(names(['none', 'b', 'b'])).toEqual(['b']);
  expect(names('none')).toEqual([]);
  expect(() => names('')).toThrow('--mask is empty');
});
