// Bearer tokens: their form, their file, who is let in by one, and until when.

import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TapioError } from '../../src/errors.ts';
import { makeToken, nameOfToken, parseTokens } from '../../src/service/bearer-token.ts';
import { Tokens } from '../../src/service/tokens.ts';
import { temporaryDirectory } from '../support/recording.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let path = '';
let said: string[] = [];
beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory.path, 'tokens');
  said = [];
});
afterEach(() => directory.remove());

const ownUid = process.geteuid?.() ?? 0;
const open = (): Promise<Tokens> => Tokens.open({ path, ownUid, say: (text) => said.push(text) });

function write(...lines: readonly string[]): void {
  writeFileSync(path, `# who may ask\n\n${lines.join('\n')}\n`, { mode: 0o600 });
}

const failureOf = (asked: Promise<unknown>): Promise<TapioError> =>
  asked.then(
    () => {
      throw new Error('it was let in');
    },
    (error) => error,
  );

test('a token says its name, which no other part of it can be taken for', async () => {
  for (const name of ['a', 'grafana', 'on-call.2', 'A'.repeat(64)]) {
    const { token, line } = await makeToken(name);
    expect(nameOfToken(token)).toBe(name);
    expect(token).toMatch(/^tapio_[^_]+_[A-Za-z0-9_-]{43}$/);
    expect(line).not.toContain(token.slice(-43));
  }
  for (const name of ['', 'a_b', '-a', 'a-', 'a b', 'ä', 'A'.repeat(65), 'a\n']) {
    await expect(makeToken(name)).rejects.toThrow('is no name of a token');
  }
});

test('its holder is let in, nobody else', async () => {
  const [ann, bob] = [await makeToken('ann'), await makeToken('bob')];
  write(ann.line, bob.line);
  const tokens = await open();
  for (const { token, name } of [
    { ...ann, name: 'ann' },
    { ...bob, name: 'bob' },
    { ...ann, name: 'ann' },
  ]) {
    expect((await tokens.prove(token, 'here')).identity).toEqual({ kind: 'token', name });
  }
  const stranger = (await makeToken('ann')).token;
  const unknown = (await makeToken('eve')).token;
  const mixed = ann.token.replace('tapio_ann_', 'tapio_bob_');
  const sentences = new Set<string>();
  for (const wrong of [stranger, unknown, mixed, `${ann.token.slice(0, -1)}~`, `${ann.token}A`]) {
    const { code, message } = await failureOf(tokens.prove(wrong, 'here'));
    expect(code).toBe('unauthenticated');
    expect(message).not.toContain(wrong.slice(-20));
    sentences.add(message);
  }
  // What has the form of a token is told no more than that it is none.
  expect(sentences.size).toBe(2);
});

test('however many calls come with one token, it is hashed once; floods of others are refused', async () => {
  const ann = await makeToken('ann');
  write(ann.line);
  const tokens = await open();
  const many = Array.from({ length: 500 }, () => tokens.prove(ann.token, 'here'));
  expect((await Promise.all(many)).length).toBe(500);
  const secrets = Array.from({ length: 200 }, (_, i) => ann.token.slice(0, -3) + (100 + i));
  const codes = await Promise.all(
    secrets.map(async (one) => (await failureOf(tokens.prove(one, 'there'))).code),
  );
  expect(codes.filter((code) => code === 'exhausted').length).toBe(200 - 16);
  expect(codes.filter((code) => code === 'unauthenticated').length).toBe(16);
  // Who was let in before is so meanwhile, whoever else knocks.
  const flood = secrets.map((one) => failureOf(tokens.prove(one, 'there')));
  let isOver = false;
  const over = Promise.all(flood).then(() => {
    isOver = true;
  });
  expect((await tokens.prove(ann.token, 'there')).identity).toEqual({ kind: 'token', name: 'ann' });
  expect(isOver).toBe(false);
  await over;
});

test('a token that is taken out, or changed, ends what runs by it; others go on', async () => {
  const [ann, bob, cid] = await Promise.all(['ann', 'bob', 'cid'].map(makeToken));
  if (ann === undefined || bob === undefined || cid === undefined) throw new Error('no tokens');
  write(ann.line, bob.line, cid.line);
  const tokens = await open();
  const ended: string[] = [];
  const proofs = await Promise.all([ann, bob, cid].map(({ token }) => tokens.prove(token, 'here')));
  for (const [i, { watch }] of proofs.entries()) watch(({ code }) => ended.push(`${i} ${code}`));
  const forget = proofs[0]?.watch(() => ended.push('forgotten'));
  forget?.();
  write(cid.line, (await makeToken('bob')).line);
  await tokens.reload();
  expect(ended).toEqual(['0 unauthenticated', '1 unauthenticated']);
  for (const { token } of [ann, bob]) {
    expect((await failureOf(tokens.prove(token, 'here'))).code).toBe('unauthenticated');
  }
  expect((await tokens.prove(cid.token, 'here')).identity).toEqual({ kind: 'token', name: 'cid' });
  // Whoever watches what has ended already hears it at once.
  proofs[0]?.watch(({ message }) => ended.push(message));
  expect(ended.at(-1)).toMatch(/ann was taken out/);
});

test('a token whose line changes while it is looked at is not let in', async () => {
  const [before, after] = [await makeToken('ann'), await makeToken('ann')];
  write(before.line);
  const tokens = await open();
  const asked = failureOf(tokens.prove(before.token, 'here'));
  write(after.line);
  await tokens.reload();
  const again = failureOf(tokens.prove(before.token, 'here'));
  expect([(await asked).code, (await again).code]).toEqual(['unauthenticated', 'unauthenticated']);
  expect((await tokens.prove(after.token, 'here')).identity).toEqual({
    kind: 'token',
    name: 'ann',
  });
  expect((await failureOf(tokens.prove(before.token, 'here'))).code).toBe('unauthenticated');
});

test('a file that is broken when it is read again changes nothing, and is told', async () => {
  const ann = await makeToken('ann');
  write(ann.line);
  const tokens = await open();
  write('ann nonsense');
  await tokens.reload();
  expect(said.join()).toMatch(/tokens:3: this is no token’s line.*goes on/s);
  expect((await tokens.prove(ann.token, 'here')).identity.kind).toBe('token');
  write();
  await tokens.reload();
  expect((await failureOf(tokens.prove(ann.token, 'here'))).code).toBe('unauthenticated');
});

test.each([0o644, 0o640, 0o620, 0o602])('a file of mode %o is refused', async (mode) => {
  write((await makeToken('ann')).line);
  chmodSync(path, mode);
  expect((await failureOf(open())).message).toMatch(/chmod (600|go-w) /);
});

test('what is no file, or not there, is refused', async () => {
  expect((await failureOf(open())).message).toMatch(/cannot be read \(ENOENT\)/);
  path = directory.path;
  expect((await failureOf(open())).message).toMatch(/is no file/);
});

const LINE = 'ann $scrypt$ln=14,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$';
const HASH = 'A'.repeat(43);

test.each([
  ['ann', /is no token’s line/],
  [`ann:${HASH}`, /is no token’s line/],
  [`${LINE}${HASH}x`, /is no token’s line/],
  [`${LINE.replace('ann', 'a_n')}${HASH}`, /is no token’s line/],
  [`${LINE.replace('ln=14', 'ln=9')}${HASH}`, /ln is 10 or more/],
  [`${LINE.replace('ln=14', 'ln=20')}${HASH}`, /64 MiB at most/],
  [`${LINE.replace('p=1', 'p=9')}${HASH}`, /p up to 4/],
  [`${LINE.replace('r=8', 'r=0')}${HASH}`, /ln is 10 or more/],
  [`${LINE}${HASH}\n${LINE}${HASH}`, /a token ann already/],
])('%j: the line and what is wrong', (text, said) => {
  expect(() => parseTokens(text, 'FILE')).toThrow(TapioError);
  expect(() => parseTokens(text, 'FILE')).toThrow(said);
  expect(() => parseTokens(text, 'FILE')).toThrow(/^FILE:[12]: /);
});

test('an unknown name is looked at as long as a wrong secret is', async () => {
  const ann = await makeToken('ann');
  write(ann.line);
  const tokens = await open();
  // Both are still under way when a known token would long have been let in.
  for (const token of [`${ann.token.slice(0, -1)}0`, (await makeToken('eve')).token]) {
    let isOver = false;
    const asked = failureOf(tokens.prove(token, 'here')).then(() => {
      isOver = true;
    });
    await sleep(0);
    expect(isOver).toBe(false);
    await asked;
  }
});
