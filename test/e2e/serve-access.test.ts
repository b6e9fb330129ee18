// Who may see what: certificates, the policy, its reload, and what the audit says of it.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { accountsOf, cli } from '../crash/cli.ts';
import { certificates } from '../support/certificates.ts';
import { ask, clientOverTls, clientsAt, type Export, streamed } from '../support/grpc-client.ts';
import { queryRows, Recording, type Row, temporaryDirectory } from '../support/recording.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let store = '';
let recording: Recording | null = null;
let clients: { close(): void }[] = [];
beforeEach(() => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
});
afterEach(async () => {
  for (const client of clients) client.close();
  clients = [];
  if (recording?.hasEnded === false) await recording.kill();
  recording = null;
  directory.remove();
});

const free = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

const POLICY = `rules:
  - who: 'cn:agent'
    allow: [network, process.exec]
    filter: pid % 2 == 0
    redact: [network.daddr, {field: process.filename, pattern: '[a-z]+$'}]
  - who: 'san:DNS:chief.test'
    allow: '*'
  - who: 'uid:0'
    allow: [file]
`;

async function start(
  policy = POLICY,
): Promise<{ port: number; at: (name: string) => string; policyFile: string }> {
  const at = certificates(directory.path, 'server', 'agent', 'chief', 'nobody');
  const policyFile = join(directory.path, 'policy.yaml');
  writeFileSync(policyFile, policy, { mode: 0o600 });
  const port = await free();
  const tls = [
    '--tls-cert',
    at('server.pem'),
    '--tls-key',
    at('server.key'),
    '--tls-client-ca',
    at('ca.pem'),
  ];
  const listen = [
    '--listen',
    `127.0.0.1:${port}`,
    '--listen',
    `unix:${join(directory.path, 'sock')}`,
  ];
  recording = await Recording.start(store, [
    ...['--source', 'synthetic', '--rate', '4000', '--events', '6000'],
    ...['--policy', policyFile, ...tls, ...listen],
  ]);
  await sleep(2500);
  return { port, at, policyFile };
}

function client(port: number, at: (name: string) => string, name: string | null): Export {
  const made = clientOverTls(port, at, name);
  clients.push(made);
  return made;
}

const page = (from: Export, request: object = {}): Promise<Row> =>
  ask(from, 'QueryRawEvents', { page_size: 10_000, ...request });
const failureOf = (asked: Promise<Row>): Promise<Row> =>
  asked.then(
    () => ({ code: 'ok' }),
    (error) => error,
  );
const seqsOf = (answer: Row): number[] => answer.events.map(({ seq }: Row) => Number(seq));

test('each identity sees what the policy says, and no more, by every way out', async () => {
  const { port, at } = await start();
  const rows = queryRows(store);
  const agent = client(port, at, 'agent');
  const mine = rows.filter(
    ({ type, op, pid }) =>
      pid % 2 === 0 && (type === 'network' || (type === 'process' && op === 'exec')),
  );
  const seen = await page(agent);
  expect(seqsOf(seen)).toEqual(mine.map(({ seq }) => seq));
  expect(mine.length).toBeGreaterThan(100);
  const names = mine.flatMap(({ process: own }) => (own === undefined ? [] : [own.filename]));
  const text = JSON.stringify(seen);
  for (const { network } of mine) {
    if (network?.daddr != null) expect(text).not.toContain(`"daddr":"${network.daddr}"`);
  }
  const shown = seen.events
    .filter(({ event }: Row) => event === 'process')
    .map((one: Row) => one.process.filename);
  expect(shown).toEqual(names.map((name: string) => name.replace(/[a-z]+$/, '***')));
  // Rows that are hidden are not told by a filter that names them, nor is what is redacted.
  expect(seqsOf(await page(agent, { selection: { filter: 'pid % 2 == 1' } }))).toEqual([]);
  expect(seqsOf(await page(agent, { selection: { types: ['file'] } }))).toEqual([]);
  const oracle = await failureOf(
    page(agent, { selection: { filter: 'network.daddr == "10.0.0.1"' } }),
  );
  expect([oracle.code, oracle.details]).toEqual([
    status.PERMISSION_DENIED,
    expect.stringContaining('network.daddr'),
  ]);
  expect((await failureOf(ask(agent, 'GetRingMetrics', {}))).code).toBe(status.PERMISSION_DENIED);
  const until = `${BigInt(Date.now()) * 1_000_000n}`;
  const stream = await streamed(agent.StreamRawEvents({ since: '1', until }));
  expect(stream.messages).toEqual(seen.events);
  const batches = await streamed(agent.StreamRawEventBatches({ since: '1', until }));
  expect(batches.messages.flatMap((one) => one.events)).toEqual(seen.events);
  // Others: by another name of a certificate, by uid, by nothing.
  expect(seqsOf(await page(client(port, at, 'chief')))).toEqual(rows.map(({ seq }) => seq));
  const local = clientsAt(join(directory.path, 'sock'));
  clients.push(local.events, local.recorder);
  const files = rows.filter(({ type }) => type === 'file').map(({ seq }) => seq);
  expect(seqsOf(await page(local.events))).toEqual(process.getuid?.() === 0 ? files : []);
  const nobody = await failureOf(page(client(port, at, 'nobody')));
  expect([nobody.code, nobody.details]).toEqual([
    status.PERMISSION_DENIED,
    expect.stringContaining('no policy lets cn:nobody see anything'),
  ]);
  expect((await failureOf(page(client(port, at, null)))).code).toBe(status.UNAVAILABLE);
});

test('how far back one may see holds for who goes on with a token as well', async () => {
  const { port, at } = await start(`rules:\n  - who: 'cn:agent'\n    allow: '*'\n    reach: 1s\n`);
  const agent = client(port, at, 'agent');
  // All of it happened more than a second ago.
  await sleep(1500);
  expect((await page(agent)).events).toEqual([]);
  const [{ recording: id } = { recording: '' }] = accountsOf(store);
  const until = `${BigInt(Date.now()) * 1_000_000n}`;
  for (const request of [
    { since: '1', until },
    { resume_token: `${id}:0`, until },
  ]) {
    expect((await streamed(agent.StreamRawEvents(request))).messages).toEqual([]);
  }
  expect((await page(agent, { page_token: `${id}:1` })).events).toEqual([]);
});

test('a policy that is read again holds at once; a broken one does not', async () => {
  const { port, at, policyFile } = await start();
  const agent = client(port, at, 'agent');
  const running = streamed(agent.StreamRawEvents({ since: '1' }));
  await sleep(500);
  writeFileSync(policyFile, 'rules:\n  - who: "cn:agent"\n    alow: "*"\n');
  recording?.signal('SIGHUP');
  while (!recording?.stderr.includes('goes on')) await sleep(50);
  expect(recording?.stderr).toMatch(/policy\.yaml.*alow/s);
  expect(seqsOf(await page(agent)).length).toBeGreaterThan(100);
  writeFileSync(policyFile, `rules:\n  - who: 'cn:chief'\n    allow: '*'\n`);
  recording?.signal('SIGHUP');
  while (!recording?.stderr.includes('was read again and holds')) await sleep(50);
  expect((await failureOf(page(agent))).code).toBe(status.PERMISSION_DENIED);
  expect((await page(client(port, at, 'chief'))).events.length).toBe(6000);
  void running;
});

test('every read is in the audit, which verifies, and every refusal', async () => {
  const { port, at } = await start();
  await page(client(port, at, 'agent'), { selection: { filter: 'pid > 0' } });
  await failureOf(page(client(port, at, 'nobody')));
  await failureOf(page(client(port, at, 'agent'), { selection: { filter: 'pid >' } }));
  await failureOf(page(client(port, at, null)));
  await recording?.stop();
  const audit = join(store, 'audit');
  const lines = readdirSync(audit)
    .filter((name) => name.endsWith('.ndjson'))
    .flatMap((name) => readFileSync(join(audit, name), 'utf8').trimEnd().split('\n'))
    .map((line) => JSON.parse(line) as Row);
  const begin = lines.find(({ kind }) => kind === 'begin') as Row;
  expect(begin).toMatchObject({ identity: 'cn:agent', method: 'QueryRawEvents' });
  expect(JSON.stringify(begin)).toContain('pid > 0');
  const end = lines.find(({ kind }) => kind === 'end') as Row;
  expect(end).toMatchObject({ result: 'ok' });
  expect(end.rows).toBeGreaterThan(100);
  const denied = lines.filter(({ kind, count }) => kind === 'denied' && count === undefined);
  expect(denied.slice(0, 3).map(({ identity, method }) => [identity, method])).toEqual([
    ['cn:nobody', 'QueryRawEvents'],
    ['cn:agent', 'QueryRawEvents'],
    [null, 'TLS'],
  ]);
  const verified = cli('tapio-replay', 'audit', 'verify', audit, '--key', join(store, 'audit.key'));
  expect([verified.status, verified.stderr]).toEqual([0, '']);
});

test.each([
  [['--listen', '127.0.0.1:1'], 2, /add --tls-cert/],
  [['--listen', 'somewhere'], 2, /write unix:PATH/],
  [['--listen', 'unix:/nowhere/at/all'], 2, /cannot be listened at/],
  [['--policy', '/nowhere/policy.yaml'], 1, /policy\.yaml/],
])('%j: one sentence, exit %i', async (flags, code, said) => {
  const failed = new Recording(store, ['--source', 'synthetic', ...flags]);
  expect(await failed.ended()).toBe(code);
  expect(failed.stderr).toMatch(said);
});
