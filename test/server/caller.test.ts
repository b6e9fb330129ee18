// Who makes a call: what it carries decides, and what its connection says where it carries nothing.

import { Metadata } from '@grpc/grpc-js';
import { beforeEach, expect, test } from 'vitest';
import {
  type Call,
  Callers,
  type CallersOptions,
  type Connection,
} from '../../src/server/caller.ts';
import type { Denied } from '../../src/service/refusals.ts';
import { type Proof, Unproven } from '../../src/service/standing.ts';

const ROOT: Connection = {
  identity: { kind: 'peer', uid: 0, gid: 0, pid: 7 },
  address: 'unix:pid=7',
};
const NOBODY: Connection = { identity: null, address: '127.0.0.1:4444' };

let lines: Denied[] = [];
let asked: string[] = [];
beforeEach(() => {
  lines = [];
  asked = [];
});

const proves = (kind: string) => ({
  prove: (token: string, peer: string): Promise<Proof> => {
    asked.push(`${kind} ${token} ${peer}`);
    if (token.endsWith('bad')) {
      const claimed = { kind: 'token', name: 'ann' } as const;
      return Promise.reject(new Unproven('it is none', claimed));
    }
    return Promise.resolve({ identity: { kind: 'token', name: token }, watch: () => () => {} });
  },
});

function callers(more: Partial<CallersOptions> = {}): Callers {
  const denied = (entry: Denied): Promise<void> => {
    lines.push(entry);
    return Promise.resolve();
  };
  const both = { tokens: proves('token'), jwt: proves('jwt'), takesCertificates: false };
  const made = new Callers({ ...both, denied, ...more });
  made.add('root', ROOT);
  made.add('nobody', NOBODY);
  return made;
}

function call(peer: string, ...values: readonly string[]): Call {
  const metadata = new Metadata();
  for (const value of values) metadata.add('authorization', value);
  return { metadata, getPeer: () => peer, getPath: () => '/tapio.ebpf.v1.EBPFExport/Query' };
}

test('a token decides, whatever the connection says; each kind goes to who knows it', async () => {
  const all = callers();
  for (const peer of ['root', 'nobody:0']) {
    for (const token of ['tapio_ann_x', 'a.b.c']) {
      const { identity } = await all.of(call(peer, `bEaReR  ${token}`));
      expect(identity).toEqual({ kind: 'token', name: token });
    }
  }
  expect(asked).toEqual([
    ...['token tapio_ann_x unix:pid=7', 'jwt a.b.c unix:pid=7'],
    ...['token tapio_ann_x 127.0.0.1', 'jwt a.b.c 127.0.0.1'],
  ]);
  expect((await all.of(call('root'))).identity).toBe(ROOT.identity);
});

test('without either there is nobody, and with what is none there is nobody either', async () => {
  const all = callers();
  const wrong = ['', 'Bearer', 'Bearer ', 'Basic eA==', 'tapio_ann_x', 'Bearer a b', 'Bearer a,b'];
  const calls = [
    call('nobody'),
    ...wrong.map((value) => call('root', value)),
    call('root', 'Bearer a', 'Bearer a'),
    call('root', `Bearer ${'x'.repeat(20_000)}`),
    call('root', 'Bearer bad'),
  ];
  for (const one of calls) {
    await expect(all.of(one)).rejects.toMatchObject({ code: 'unauthenticated' });
  }
  expect(lines.length).toBe(calls.length);
  expect(lines.at(0)).toMatchObject({ identity: null, peer: NOBODY.address, method: 'Query' });
  expect(lines.at(-1)).toMatchObject({ identity: 'token:ann', peer: ROOT.address });
  expect(asked).toEqual(['jwt bad unix:pid=7']);
});

test('what is not taken here is not looked at', async () => {
  const [own, other] = ['Bearer tapio_ann_x', 'Bearer a.b.c'];
  const none = callers({ tokens: null, jwt: null });
  const onlyTokens = callers({ jwt: null });
  const onlyJwt = callers({ tokens: null });
  for (const [all, value] of [
    [none, own],
    [none, other],
    [onlyJwt, own],
  ] as const) {
    await expect(all.of(call('root', value))).rejects.toThrow('such tokens are not taken here');
  }
  // Whoever keeps tokens says best how one looks.
  await onlyTokens.of(call('root', other));
  expect(asked).toEqual(['token a.b.c unix:pid=7']);
});

test('a connection that is gone is nobody’s', async () => {
  const all = callers();
  all.remove('root');
  await expect(all.of(call('root'))).rejects.toThrow('no identity');
});
