// Who is let in: by each way in, with what may be shown there; and until when.

import { execFileSync } from 'node:child_process';
import { appendFileSync, copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { type Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeToken } from '../../src/service/bearer-token.ts';
import { cli } from '../crash/cli.ts';
import { certificates } from '../support/certificates.ts';
import {
  ask,
  authorization,
  clientOverTcp,
  clientOverTls,
  clientsAt,
  type Export,
  leanBatches,
  streamed,
} from '../support/grpc-client.ts';
import { AUDIENCE, ISSUER, type Issuer, issuerOf, writeKeys } from '../support/jwt.ts';
import { Recording, ROOT, type Row, temporaryDirectory } from '../support/recording.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let store = '';
let recording: Recording | null = null;
let clients: { close(): void }[] = [];
let issuer: Issuer;
beforeEach(async () => {
  directory = temporaryDirectory();
  store = join(directory.path, 'store');
  issuer = await issuerOf();
});
afterEach(async () => {
  for (const client of clients) client.close();
  clients = [];
  if (recording?.hasEnded === false) await recording.kill();
  recording = null;
  directory.remove();
});

const file = (name: string): string => join(directory.path, name);
const write = (name: string, text: string): void =>
  writeFileSync(file(name), text, { mode: 0o600 });

const free = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

/** A token as the program makes it; its hash is in the file of tokens. */
function newToken(name: string): string {
  const words = ['cli/tapio-record.ts', 'token', name, '--tokens', file('tokens')];
  return execFileSync(execPath, words, { cwd: ROOT, stdio: 'pipe' }).toString().trim();
}

const POLICY = `rules:
  - who: ['token:ann', 'group:watchers', 'cn:agent', 'token:eve']
    allow: '*'
`;

interface Served {
  readonly tls: number;
  readonly loopback: number;
  readonly sock: string;
  readonly at: (name: string) => string;
}

/** Records so many events a second, and serves them in every way there is. */
async function start(rate: number): Promise<Served> {
  const at = certificates(directory.path, 'server', 'next', 'agent', 'stranger');
  execFileSync(
    'openssl',
    [
      ...[
        'x509',
        '-req',
        '-in',
        at('stranger.csr'),
        '-CA',
        at('other.pem'),
        '-CAkey',
        at('other.key'),
      ],
      ...['-CAcreateserial', '-out', at('stranger.pem')],
    ],
    { stdio: 'pipe' },
  );
  for (const end of ['pem', 'key']) copyFileSync(at(`server.${end}`), file(`serving.${end}`));
  write('policy.yaml', POLICY);
  writeKeys(file('keys.json'), issuer);
  const [tls, loopback, sock] = [await free(), await free(), file('sock')];
  recording = await Recording.start(store, [
    ...['--source', 'synthetic', '--rate', String(rate), '--policy', file('policy.yaml')],
    ...['--tls-cert', file('serving.pem'), '--tls-key', file('serving.key')],
    ...['--tls-client-ca', at('ca.pem'), '--tokens', file('tokens'), '--insecure-loopback'],
    ...['--jwt-issuer', ISSUER, '--jwt-audience', AUDIENCE, '--jwt-algorithm', 'ES256'],
    ...['--jwt-keys', file('keys.json'), '--listen', `unix:${sock}`],
    // What is no loopback address is served over TLS.
    ...['--listen', `0.0.0.0:${tls}`, '--listen', `localhost:${loopback}`],
  ]);
  return { tls, loopback, sock, at };
}

function keep<C extends { close(): void }>(client: C): C {
  clients.push(client);
  return client;
}

const failureOf = (asked: Promise<Row>): Promise<Pick<ServiceError, 'code' | 'details'>> =>
  asked.then(
    () => ({ code: status.OK, details: '' }),
    (error) => error,
  );

const page = (client: Export, metadata?: Metadata): Promise<Row> =>
  ask(client, 'QueryRawEvents', { page_size: 1 }, metadata);

function auditLines(): Row[] {
  const audit = join(store, 'audit');
  return readdirSync(audit)
    .filter((name) => name.endsWith('.ndjson'))
    .flatMap((name) => readFileSync(join(audit, name), 'utf8').trimEnd().split('\n'))
    .map((line) => JSON.parse(line) as Row);
}

test('each way in: by a token, a certificate, the kernel; nobody else, and the audit knows', async () => {
  const ann = newToken('ann');
  const { tls, loopback, sock, at } = await start(2000);
  const local = clientsAt(sock);
  keep(local.recorder);
  const ways: Readonly<Record<string, Export>> = {
    unix: keep(local.events),
    loopback: keep(clientOverTcp(loopback)),
    tls: keep(clientOverTls(tls, at, null)),
    mtls: keep(clientOverTls(tls, at, 'agent')),
  };
  const watcher = await issuer.token({ sub: 'wes', groups: ['watchers'] });
  const right = { token: ann, jwt: watcher };
  const other = (await makeToken('ann')).token;
  const wrong: Readonly<Record<string, readonly string[]>> = {
    'a wrong secret': [`Bearer ${other}`],
    'an unknown name': [`Bearer ${(await makeToken('zoe')).token}`],
    'no token at all': [`Bearer ${ann.slice(0, -1)}`],
    'an expired one': [`Bearer ${await issuer.token({ exp: 1 })}`],
    'one of another issuer': [`Bearer ${await (await issuerOf()).token()}`],
    'one without a signature': [`Bearer ${watcher.replace(/\.[^.]*$/, '.')}`],
    'another scheme': [`Basic ${ann}`],
    'no scheme': [ann],
    nothing: [''],
    'something long': [`Bearer ${'x'.repeat(12_000)}`],
  };
  for (const [way, client] of Object.entries(ways)) {
    for (const [kind, token] of Object.entries(right)) {
      const seen = await page(client, authorization(`Bearer ${token}`));
      expect(seen.events.length, `${way}, ${kind}`).toBe(1);
    }
    for (const [what, values] of Object.entries(wrong)) {
      const { code, details } = await failureOf(page(client, authorization(...values)));
      expect([way, what, code]).toEqual([way, what, status.UNAUTHENTICATED]);
      expect(details).toMatch(/^[^\n]{20,150}$/);
      for (const value of values.filter((one) => one.length > 50))
        expect(details).not.toContain(value.slice(-30));
    }
    const stream = streamed(client.StreamRawEvents({}, authorization(`Bearer ${other}`)));
    expect((await stream).error?.code).toBe(status.UNAUTHENTICATED);
  }
  // Who carries no token is who the connection says, where it says so.
  for (const [way, code, said] of [
    ['mtls', status.OK, /^$/],
    ['unix', status.PERMISSION_DENIED, /no policy lets uid:/],
    ['loopback', status.UNAUTHENTICATED, /send a token/],
    ['tls', status.UNAUTHENTICATED, /send a token .* or connect with a client certificate/],
  ] as const) {
    const client = ways[way];
    if (client === undefined) throw new Error(way);
    const failure = await failureOf(page(client));
    expect([way, failure.code, failure.details]).toEqual([way, code, expect.stringMatching(said)]);
  }
  // A certificate that is shown must verify, token or not.
  const stranger = keep(clientOverTls(tls, at, 'stranger'));
  const shown = await failureOf(page(stranger, authorization(`Bearer ${ann}`)));
  expect(shown.code).toBe(status.UNAVAILABLE);
  // Whom a token is of decides, not who the connection is of.
  const nobody = await issuer.token({ sub: 'max' });
  const own = await failureOf(page(ways.mtls as Export, authorization(`Bearer ${nobody}`)));
  expect([own.code, own.details]).toEqual([
    status.PERMISSION_DENIED,
    expect.stringContaining('no policy lets sub:max see anything'),
  ]);
  // No token is so long.
  const huge = await failureOf(
    page(ways.loopback as Export, authorization(`Bearer ${'x'.repeat(64 * 1024)}`)),
  );
  expect(huge.code).not.toBe(status.OK);
  expect((await page(ways.loopback as Export, authorization(`Bearer ${ann}`))).events.length).toBe(
    1,
  );

  // A stream does not outlive its token, and another goes on behind it.
  const ending = await issuer.token({
    groups: ['watchers'],
    exp: Math.floor(Date.now() / 1000) - 6,
  });
  const cut = await streamed(
    (ways.tls as Export).StreamRawEvents({ since: '1' }, authorization(`Bearer ${ending}`)),
  );
  expect([cut.error?.code, cut.error?.details]).toEqual([
    status.UNAUTHENTICATED,
    expect.stringContaining('has expired'),
  ]);
  expectWhole(cut.messages.map(({ seq }) => Number(seq)));
  const resume_token = String(cut.trailers?.get('resume-token'));
  const behind = Number(resume_token.split(':')[1]);
  expect(behind).toBeLessThanOrEqual(cut.messages.length);
  const more = await streamed(
    (ways.tls as Export).StreamRawEvents({ resume_token }, authorization(`Bearer ${watcher}`)),
    (messages) => messages.length > 0,
  );
  expect(Number(more.messages[0]?.seq)).toBe(behind + 1);

  await recording?.stop();
  const lines = auditLines();
  const denied = lines.filter(({ kind }) => kind === 'denied');
  expect(new Set(denied.map(({ identity }) => identity))).toEqual(
    new Set([
      null,
      'token:ann',
      'token:zoe',
      'sub:ann',
      'sub:max',
      'cn:stranger',
      `uid:${process.getuid?.()}`,
    ]),
  );
  for (const { peer, reason, method } of denied) {
    expect([peer, reason, method]).toEqual([
      expect.stringMatching(/^(unix:pid=\d+|127\.0\.0\.1(:\d+)?|)$/),
      expect.stringMatching(/./),
      expect.stringMatching(/^(QueryRawEvents|StreamRawEvents|TLS|)$/),
    ]);
  }
  const refusals = denied.reduce((sum, { count }) => sum + (count ?? 1), 0);
  expect(refusals).toBeGreaterThanOrEqual(4 * Object.keys(wrong).length + 4 + 5);
  expect(
    lines.find(({ kind, result }) => kind === 'end' && result === 'unauthenticated'),
  ).toBeDefined();
  const kept = JSON.stringify(lines) + recording?.stderr;
  for (const token of [ann, other, watcher, ending]) expect(kept).not.toContain(token.slice(-30));
  const verified = cli(
    ...(['tapio-replay', 'audit', 'verify', join(store, 'audit')] as const),
    ...['--key', join(store, 'audit.key')],
  );
  expect([verified.status, verified.stderr]).toEqual([0, '']);
});

/** Every row from the first on, once. */
function expectWhole(seqs: readonly number[]): void {
  expect(seqs.length).toBeGreaterThan(0);
  expect(seqs.findIndex((seq, i) => seq !== i + 1)).toBe(-1);
}

/** A client that takes streams up again for as long as it is told to; what it was given. */
class Follower {
  readonly seqs: number[] = [];
  /** What its streams ended with. */
  readonly ends: { readonly code: number; readonly details: string }[] = [];
  readonly done: Promise<void>;
  #last = 0;
  #isOver = false;

  constructor(client: Export, metadata: () => Metadata) {
    this.done = this.#run(client, metadata);
  }

  stop(): void {
    this.#isOver = true;
  }

  async #run(client: Export, metadata: () => Metadata): Promise<void> {
    let resume_token = '';
    while (!this.#isOver) {
      const selection = { fields: ['pid'] };
      const from = { selection, ...(resume_token === '' ? { since: '1' } : { resume_token }) };
      let first = resume_token === '' ? 1 : Number(resume_token.split(':')[1]) + 1;
      const stream = leanBatches(client, from, metadata());
      stream.on('data', (message: Row) => {
        for (const { seq } of (message.events ?? []) as Row[]) {
          // It begins behind its token, and goes on row by row.
          if (Number(seq) !== first) stream.destroy(new Error(`${seq} is not ${first}`));
          first = Number(seq) + 1;
          if (Number(seq) <= this.#last) continue;
          this.seqs.push(Number(seq));
          this.#last = Number(seq);
        }
        if (message.resume_token !== undefined) resume_token = message.resume_token;
        if (this.#isOver) stream.cancel();
      });
      const ended = await new Promise<ServiceError>((resolve) => stream.once('error', resolve));
      const told = ended.metadata?.get('resume-token')[0];
      if (told !== undefined) resume_token = String(told);
      if (this.#isOver) return;
      this.ends.push({ code: ended.code, details: ended.details });
      if (ended.code !== status.UNAVAILABLE) return;
    }
  }
}

function servedCertificate(port: number, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, ca: readFileSync(ca), ALPNProtocols: ['h2'] };
    const socket = connect({ ...options, servername: 'tapio.test' }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) await sleep(50);
}

test('tokens, certificates and the policy are read again while 20,000 events a second flow', async () => {
  const [ann, eve] = [newToken('ann'), newToken('eve')];
  const hashes = readFileSync(file('tokens'), 'utf8');
  const { tls, loopback, at } = await start(20_000);
  const watcher = await issuer.token({
    groups: ['watchers'],
    exp: Math.floor(Date.now() / 1000) + 600,
  });
  const bearer = (token: string) => () => authorization(`Bearer ${token}`);
  const over = (name: string | null): Export => keep(clientOverTls(tls, at, name));
  const all = {
    ann: new Follower(over(null), bearer(ann)),
    agent: new Follower(over('agent'), () => authorization()),
    wes: new Follower(keep(clientOverTcp(loopback)), bearer(watcher)),
    eve: new Follower(keep(clientOverTcp(loopback)), bearer(eve)),
  };
  await until(() => Object.values(all).every(({ seqs }) => seqs.length > 5000));
  const said = (text: string): number => (recording?.stderr ?? '').split(text).length - 1;
  for (let i = 1; i <= 10; i++) {
    const name = i % 2 === 0 ? 'server' : 'next';
    copyFileSync(at(`${name}.pem`), file('serving.pem'));
    // Half of a pair, a file that is none, and a policy that says nothing: what was goes on.
    if (i !== 3) copyFileSync(at(`${name}.key`), file('serving.key'));
    if (i === 5) write('serving.pem', 'no certificate');
    write('policy.yaml', i === 7 ? 'rulez: []' : `# ${i}\n${POLICY}`);
    if (i === 6) write('tokens', hashes.replace(/^eve .*\n/m, ''));
    if (i === 8) write('tokens', 'nonsense');
    if (i === 9) write('tokens', hashes.replace(/^eve .*\n/m, ''));
    const [policies, files] = [
      said('policy.yaml was read again'),
      said('the configuration was read'),
    ];
    recording?.signal('SIGHUP');
    await until(() => said('the configuration was read') > files);
    if (i !== 7) await until(() => said('policy.yaml was read again') > policies);
    else await until(() => said('the policy that was read before goes on') === 1);
    const seen = await servedCertificate(tls, at('ca.pem'));
    // The third and the fifth were broken.
    expect([i, seen]).toEqual([i, i === 3 || i === 5 ? 'server' : name]);
    // Each is given more by the streams that hold now.
    const allowed = Object.entries(all).filter(([who]) => who !== 'eve' || i < 6);
    await until(() => allowed.every(([, { ends }]) => ends.length === (i < 7 ? i : i - 1)));
    const before = allowed.map(([, { seqs }]) => seqs.length);
    await until(() => allowed.every(([, { seqs }], k) => seqs.length > (before[k] ?? 0)));
  }
  for (const one of Object.values(all)) one.stop();
  await Promise.all(Object.values(all).map(({ done }) => done));
  for (const [who, { seqs, ends }] of Object.entries(all)) {
    expectWhole(seqs);
    expect([who, ends.length]).toEqual([who, who === 'eve' ? expect.any(Number) : 9]);
    const last = ends.at(-1);
    const expected =
      who === 'eve' ? [status.UNAUTHENTICATED, 'taken out'] : [status.UNAVAILABLE, 'policy'];
    expect([who, last?.code, last?.details]).toEqual([
      who,
      expected[0],
      expect.stringContaining(String(expected[1])),
    ]);
    expect(ends.slice(0, -1).every(({ code }) => code === status.UNAVAILABLE)).toBe(true);
  }
  const stderr = recording?.stderr ?? '';
  expect(stderr).toMatch(
    /the TLS files cannot be used .*: the certificates that were read before go/,
  );
  expect(stderr).toMatch(/tokens:1: this is no token’s line/);
  // A new token is taken once its file was read again.
  const zoe = newToken('ann2');
  appendFileSync(file('policy.yaml'), "  - who: 'token:ann2'\n    allow: '*'\n");
  const lone = keep(clientOverTcp(loopback));
  expect((await failureOf(page(lone, authorization(`Bearer ${zoe}`)))).code).toBe(
    status.UNAUTHENTICATED,
  );
  recording?.signal('SIGHUP');
  const tryAgain = async (): Promise<number> =>
    (await failureOf(page(lone, authorization(`Bearer ${zoe}`)))).code;
  while ((await tryAgain()) !== status.OK) await sleep(100);
});
