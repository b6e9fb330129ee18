// Events to a real JetStream that is there, not yet, not any more, full, or does not answer.

import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DiscardPolicy } from '@nats-io/jetstream';
import { nanos, nkeys } from '@nats-io/transport-node';
import { afterEach, expect, test } from 'vitest';
import { Delivery } from '../../src/sink/delivery.ts';
import { makeNats, type NatsTimes } from '../../src/sink/nats.ts';
import { DUPLICATE_WINDOW_MS } from '../../src/sink/nats-stream.ts';
import type { Sink } from '../../src/sink/sink.ts';
import { NatsServer } from '../support/nats-server.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { Outcome, onwardEvents, until } from '../support/sinks.ts';

const LONG: NatsTimes = { ackMs: 30_000, closeMs: 5000, pingMs: 10_000 };
const SHORT: NatsTimes = { ackMs: 500, closeMs: 500, pingMs: 10_000 };
const STREAM = 'TAPIO_EVENTS';

const ends: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function server(config?: string, port?: number): Promise<NatsServer> {
  const one = await NatsServer.start(config, port);
  ends.push(() => one.remove());
  return one;
}

async function open(url: string, times = LONG): Promise<{ sink: Sink; outcome: Outcome }> {
  const outcome = new Outcome();
  const sink = await makeNats(new URL(url), outcome, times);
  ends.push(() => sink.close());
  return { sink, outcome };
}

const urlOf = (one: NatsServer, query = ''): string => `nats://127.0.0.1:${one.port}${query}`;

/** Sends one batch again and again until nothing of it is returned for want of a connection. */
async function connected(sink: Sink, outcome: Outcome): Promise<void> {
  await outcome.deliver(sink, onwardEvents(1));
}

async function freePort(): Promise<number> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  await new Promise((resolve) => listener.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

test('every event arrives once under its subject, with the headers of Tapio', async () => {
  const nats = await server();
  const { sink, outcome } = await open(urlOf(nats));
  const events = onwardEvents(20_000);
  await outcome.deliver(sink, events);
  const messages = await nats.messages(STREAM);
  expect(messages.map(({ id }) => id).sort()).toEqual(events.map(({ unified }) => unified.id));
  const first = messages.find(({ id }) => id === events[1]?.unified.id);
  expect(first?.text).toBe(String(events[1]?.json));
  expect(first?.subject).toBe('events.unified.kubernetes');
  expect(first?.headers).toEqual({
    'Nats-Msg-Id': [events[1]?.unified.id],
    'Event-Type': ['unified'],
    'Event-ID': [events[1]?.unified.id],
    Source: ['ebpf'],
    Timestamp: [events[1]?.unified.timestamp],
    Severity: ['info'],
  });
  expect(outcome.faults).toBe(0);
  const { config } = await (await nats.manager()).streams.info(STREAM);
  expect(config).toMatchObject({ subjects: ['events.>'], storage: 'file' });
  expect(config.duplicate_window).toBe(nanos(DUPLICATE_WINDOW_MS));
});

test('events that are sent again are taken, and are there once', async () => {
  const nats = await server();
  const { sink, outcome } = await open(urlOf(nats));
  const events = onwardEvents(1000);
  await outcome.deliver(sink, events);
  await outcome.deliver(sink, events);
  expect(outcome.takenIds.size).toBe(1000);
  expect(await nats.messages(STREAM)).toHaveLength(1000);
});

test('stream and subject are chosen by option', async () => {
  const nats = await server();
  const one = await open(urlOf(nats, '?subject=traces.{id}.{source}'));
  const two = await open(urlOf(nats, '?stream=MINE&subject=tapio.events.ebpf.{type}.{severity}'));
  const events = onwardEvents(2);
  await one.outcome.deliver(one.sink, events);
  await two.outcome.deliver(two.sink, events);
  expect((await nats.messages('TRACES')).map(({ subject }) => subject)).toEqual(
    events.map(({ unified }) => `traces.${unified.id}.ebpf`),
  );
  expect((await nats.messages('MINE')).map(({ subject }) => subject)).toEqual([
    'tapio.events.ebpf.system.debug',
    'tapio.events.ebpf.kubernetes.info',
  ]);
});

test('a server that is killed and started again misses nothing', async () => {
  const nats = await server();
  const { sink, outcome } = await open(urlOf(nats));
  const events = onwardEvents(60_000, 0, 300);
  let kills = 0;
  const killing = (async () => {
    for (const share of [0.2, 0.5]) {
      await until(() => outcome.takenIds.size > events.length * share, 'events that were taken');
      await nats.kill();
      kills++;
      await until(() => outcome.reasons.size > 0, 'trouble');
      await nats.start();
    }
  })();
  await Promise.all([outcome.deliver(sink, events), killing]);
  expect(kills).toBe(2);
  expect(outcome.takenIds.size).toBe(events.length);
  expect(outcome.faults).toBe(0);
  expect(outcome.reasons.size).toBeLessThanOrEqual(4);
  const messages = await nats.messages(STREAM);
  expect(new Set(messages.map(({ id }) => id)).size).toBe(events.length);
});

test('a full stream returns events, and takes them when there is room', async () => {
  const nats = await server();
  const manager = await nats.manager();
  const config = { name: STREAM, subjects: ['events.>'], discard: DiscardPolicy.New, max_msgs: 10 };
  await manager.streams.add(config);
  const { sink, outcome } = await open(urlOf(nats));
  await connected(sink, outcome);
  await outcome.settle(sink, onwardEvents(99, 1));
  expect(outcome.takenIds.size).toBe(10);
  expect(outcome.back).toHaveLength(90);
  expect([...outcome.reasons].filter((reason) => reason.startsWith('JetStream'))).toEqual([
    'JetStream says: maximum messages exceeded (10077)',
  ]);
  await manager.streams.update(STREAM, { max_msgs: 1000 });
  await outcome.deliver(sink, outcome.back.splice(0));
  expect(outcome.takenIds.size).toBe(100);
});

test('without a stream and ?create=no events are returned until there is one', async () => {
  const nats = await server();
  const { sink, outcome } = await open(urlOf(nats, '?create=no'));
  const events = onwardEvents(5);
  await until(async () => {
    await outcome.settle(sink, outcome.back.length > 0 ? outcome.back.splice(0) : events);
    return outcome.reasons.has('no stream of the server takes the subject');
  }, 'the reason');
  expect(outcome.takenIds.size).toBe(0);
  await (await nats.manager()).streams.add({ name: 'OTHER', subjects: ['events.>'] });
  await outcome.deliver(sink, outcome.back.splice(0));
  expect(await nats.messages('OTHER')).toHaveLength(5);
});

test('a stream that is deleted is made again', async () => {
  const nats = await server();
  const { sink, outcome } = await open(urlOf(nats));
  await connected(sink, outcome);
  await (await nats.manager()).streams.delete(STREAM);
  await outcome.deliver(sink, onwardEvents(10, 1));
  expect(await nats.messages(STREAM)).toHaveLength(10);
});

test('what is too large is refused, and the others are taken', async () => {
  const nats = await server('max_payload: 4096');
  await (await nats.manager()).streams.add({
    name: STREAM,
    subjects: ['events.>'],
    max_msg_size: 2048,
  });
  const { sink, outcome } = await open(urlOf(nats));
  const events = [...onwardEvents(3), ...onwardEvents(2, 3, 5000), ...onwardEvents(2, 5, 3000)];
  await outcome.deliver(sink, events);
  expect(outcome.takenIds.size).toBe(3);
  expect([...outcome.refusals.values()]).toEqual([
    ...Array(2).fill("larger than the server's max_payload of 4096 bytes"),
    ...Array(2).fill('JetStream says: message size exceeds maximum allowed (10054)'),
  ]);
});

test('a sealed stream returns: somebody may put another in its place', async () => {
  const nats = await server();
  const { sink, outcome } = await open(urlOf(nats));
  await connected(sink, outcome);
  const manager = await nats.manager();
  const { config } = await manager.streams.info(STREAM);
  // The package's type lacks it, for it cannot be undone.
  const sealed: Partial<typeof config> = { ...config, sealed: true };
  await manager.streams.update(STREAM, sealed);
  await outcome.settle(sink, onwardEvents(2, 1));
  expect(outcome.refusals.size).toBe(0);
  expect([...outcome.reasons]).toContain(
    'JetStream says: invalid operation on sealed stream (10109)',
  );
});

test('a server without JetStream returns', async () => {
  const nats = await server('accounts { A { users = [{user: u, password: p}] } }\nno_auth_user: u');
  const { sink, outcome } = await open(urlOf(nats));
  await until(async () => {
    await outcome.settle(sink, onwardEvents(1));
    return outcome.reasons.has('the server has no JetStream');
  }, 'the reason');
});

test('a wrong password is told, and the right one is taken', async () => {
  const nats = await server('authorization { user: "tapio", password: "p@ss/1" }');
  const wrong = await open(`nats://tapio:wrong@127.0.0.1:${nats.port}`);
  const right = await open(`nats://tapio:p%40ss%2F1@127.0.0.1:${nats.port}`);
  await until(async () => {
    await wrong.outcome.settle(wrong.sink, onwardEvents(1));
    return [...wrong.outcome.reasons].some((reason) =>
      reason.includes('refuses who we say we are'),
    );
  }, 'the reason');
  await right.outcome.deliver(right.sink, onwardEvents(10));
  expect(right.sink.place).toBe(`nats://127.0.0.1:${nats.port}`);
  expect(right.outcome.takenIds.size).toBe(10);
});

/** A token of NATS: claims, signed with a key of its own kind. */
function token(key: nkeys.KeyPair, subject: string, name: string, nats: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { jti: name, iat: 1, iss: key.getPublicKey(), sub: subject, name };
  const head = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part({ ...claims, nats: { version: 2, ...nats } })}`;
  return `${head}.${Buffer.from(key.sign(Buffer.from(head))).toString('base64url')}`;
}

test('credentials of a file are taken, and asked for at each connection', async () => {
  const [operator, system] = [nkeys.createOperator(), nkeys.createAccount()];
  const [account, user] = [nkeys.createAccount(), nkeys.createUser()];
  const all = { subs: -1, conn: -1, leaf: -1, imports: -1, exports: -1, data: -1, payload: -1 };
  const stores = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const accountToken = (key: nkeys.KeyPair, limits: object): string =>
    token(operator, key.getPublicKey(), 'account', { type: 'account', limits });
  const nats = await server(`
    operator: ${token(operator, operator.getPublicKey(), 'operator', { type: 'operator' })}
    system_account: ${system.getPublicKey()}
    resolver: MEMORY
    resolver_preload: {
      ${system.getPublicKey()}: ${accountToken(system, all)}
      ${account.getPublicKey()}: ${accountToken(account, { ...all, ...stores })}
    }`);
  const { path, remove } = temporaryDirectory();
  ends.push(remove);
  const file = join(path, 'tapio.creds');
  const seed = Buffer.from(user.getSeed()).toString();
  const credentials = (signer: nkeys.KeyPair): string => {
    const claims = { type: 'user', subs: -1, data: -1, payload: -1 };
    const text = token(signer, user.getPublicKey(), 'user', claims);
    const block = (name: string, value: string): string =>
      `-----BEGIN ${name}-----\n${value}\n------END ${name}------\n\n`;
    return block('NATS USER JWT', text) + block('USER NKEY SEED', seed);
  };
  // Of an account that the server does not know.
  writeFileSync(file, credentials(nkeys.createAccount()));
  const { sink, outcome } = await open(urlOf(nats, `?creds=${file}`));
  await until(async () => {
    await outcome.settle(sink, onwardEvents(1));
    return [...outcome.reasons].some((reason) => reason.includes('refuses who we say we are'));
  }, 'the reason');
  writeFileSync(file, credentials(account));
  await outcome.deliver(sink, onwardEvents(10));
  expect(outcome.takenIds.size).toBe(10);
});

test('a subject that is not permitted is told', async () => {
  const permissions = 'permissions: { publish: { deny: ["events.unified.kubernetes"] } }';
  const nats = await server(
    `authorization { users = [ { user: "u", password: "p", ${permissions} } ] }`,
  );
  const { sink, outcome } = await open(`nats://u:p@127.0.0.1:${nats.port}`);
  await connected(sink, outcome);
  outcome.reasons.clear();
  await outcome.settle(sink, onwardEvents(5, 1));
  expect([...outcome.reasons]).toEqual(['the server does not permit to publish to the subject']);
  expect(outcome.back).toHaveLength(1);
  expect(outcome.takenIds.size).toBe(5);
});

test('nobody listens at first; what is sent again arrives when the server is there', async () => {
  const port = await freePort();
  const { sink, outcome } = await open(`nats://127.0.0.1:${port}`);
  await until(async () => {
    await outcome.settle(sink, outcome.back.length > 0 ? outcome.back.splice(0) : onwardEvents(9));
    return outcome.reasons.has('the server cannot be reached (ECONNREFUSED)');
  }, 'the reason');
  const nats = await server('', port);
  await outcome.deliver(sink, outcome.back.splice(0));
  expect(await nats.messages(STREAM)).toHaveLength(9);
});

test('acknowledgements that do not come return events; nothing is there twice', async () => {
  const nats = await server();
  const { sink, outcome } = await open(urlOf(nats), SHORT);
  await connected(sink, outcome);
  nats.signal('SIGSTOP');
  outcome.reasons.clear();
  await outcome.settle(sink, onwardEvents(100, 1));
  expect(outcome.back).toHaveLength(100);
  // Nothing more is sent while it does not even answer a ping.
  await outcome.settle(sink, onwardEvents(100, 101));
  expect([...outcome.reasons]).toEqual(['the server acknowledges nothing within 0.5 s']);
  nats.signal('SIGCONT');
  await outcome.deliver(sink, outcome.back.splice(0));
  const messages = await nats.messages(STREAM);
  expect(messages).toHaveLength(201);
  expect(outcome.faults).toBe(0);
});

test('a server that does not even read is given up, and found again', async () => {
  const nats = await server();
  const { sink, outcome } = await open(urlOf(nats), { ...LONG, pingMs: 50 });
  await connected(sink, outcome);
  nats.signal('SIGSTOP');
  outcome.reasons.clear();
  // More than the socket's buffers hold: the library's own last write would wait for ever.
  await outcome.settle(sink, onwardEvents(8000, 1, 3000));
  expect(outcome.back).toHaveLength(8000);
  expect([...outcome.reasons]).toEqual(['the server does not answer']);
  nats.signal('SIGCONT');
  await outcome.deliver(sink, outcome.back.splice(0));
  const messages = await nats.messages(STREAM);
  expect(new Set(messages.map(({ id }) => id)).size).toBe(8001);
  expect(messages).toHaveLength(8001);
  expect(outcome.faults).toBe(0);
});

test('a delivery gets everything there through a server that is killed', async () => {
  const nats = await server();
  const settled = new Map<string, number>();
  const said: string[] = [];
  const delivery = await Delivery.open({
    make: (outcomes) => makeNats(new URL(urlOf(nats)), outcomes, LONG),
    settled: (event, refused) => {
      expect(refused).toBe(null);
      settled.set(event.unified.id, (settled.get(event.unified.id) ?? 0) + 1);
    },
    say: (text) => said.push(text),
    sleep: (ms, signal) => sleep(ms, null, { signal }).catch(() => {}),
    random: Math.random,
    now: Date.now,
  });
  ends.push(() => delivery.close());
  const killing = (async () => {
    await until(() => settled.size > 8000, 'events');
    await nats.kill();
    await nats.start();
  })();
  expect(await delivery.send(onwardEvents(40_000, 0, 300))).toBe(true);
  await killing;
  expect(await delivery.settle()).toBe(true);
  expect(settled.size).toBe(40_000);
  expect(Math.max(...settled.values())).toBe(1);
  // Each trouble once, and its end.
  expect(said.length).toBeLessThanOrEqual(12);
  const messages = await nats.messages(STREAM);
  expect(new Set(messages.map(({ id }) => id)).size).toBe(40_000);
});

test('close waits for acknowledgements, and returns what has none', async () => {
  const nats = await server();
  const { sink, outcome } = await open(urlOf(nats), SHORT);
  await connected(sink, outcome);
  outcome.send(sink, onwardEvents(2000, 1));
  await sink.close();
  expect(outcome.open).toBe(0);
  expect(outcome.takenIds.size).toBe(2001);

  const stopped = await open(urlOf(nats), { ...LONG, closeMs: 300 });
  await connected(stopped.sink, stopped.outcome);
  nats.signal('SIGSTOP');
  stopped.outcome.send(stopped.sink, onwardEvents(50, 5000));
  await stopped.sink.close();
  expect(stopped.outcome.open).toBe(0);
  expect(stopped.outcome.back).toHaveLength(50);
});

/** A certificate authority and a server's certificate by it. */
function certificates(directory: string): { ca: string; cert: string; key: string } {
  const path = (name: string): string => join(directory, name);
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { stdio: 'ignore' });
  };
  const [ca, caKey, cert, key] = [
    path('ca.pem'),
    path('ca.key'),
    path('cert.pem'),
    path('key.pem'),
  ];
  const fresh = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const common = ['-nodes', '-days', '2'];
  openssl(...fresh, ...common, '-keyout', caKey, '-out', ca, '-subj', '/CN=tapio test ca');
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const leaf = ['-addext', 'basicConstraints=critical,CA:FALSE', '-CA', ca, '-CAkey', caKey];
  openssl(...fresh, ...common, '-keyout', key, '-out', cert, ...names, ...leaf);
  return { ca, cert, key };
}

test('TLS with the right authority, and with a wrong one', async () => {
  const [own, other] = [temporaryDirectory(), temporaryDirectory()];
  ends.push(own.remove, other.remove);
  const { ca, cert, key } = certificates(own.path);
  const wrongCa = certificates(other.path).ca;
  expect(existsSync(ca)).toBe(true);
  const verify = `ca_file: "${ca}", verify: true, timeout: 5`;
  const nats = await server(`tls { cert_file: "${cert}", key_file: "${key}", ${verify} }`);
  const query = (authority: string): string => `?ca=${authority}&cert=${cert}&key=${key}`;
  const right = await open(`tls://localhost:${nats.port}${query(ca)}`);
  const wrong = await open(`tls://localhost:${nats.port}${query(wrongCa)}`);
  await right.outcome.deliver(right.sink, onwardEvents(10));
  expect(right.outcome.takenIds.size).toBe(10);
  await until(async () => {
    await wrong.outcome.settle(wrong.sink, onwardEvents(1));
    return [...wrong.outcome.reasons].some((reason) => reason.includes('cannot be trusted'));
  }, 'the reason');
  expect(wrong.outcome.takenIds.size).toBe(0);
});

test('URLs that make no sense are refused, with what may have been meant', async () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['nats://h?sream=A', /unknown option of a nats: sink sream \(did you mean stream\?\)/],
    ['nats://h?stream=A&stream=B', /given twice/],
    ['nats://h?stream=a.b', /a stream's name has no spaces/],
    ['nats://h?create=maybe', /write yes or no/],
    ['nats://h?subject=events.{typ}', /unknown part of a subject typ \(did you mean type\?\)/],
    ['nats://h?subject={type}', /begin it with words/],
    ['nats://h?subject=events..x', /no part of a subject/],
    ['nats://h?creds=/nowhere', /cannot be read/],
    ['nats://h?cert=/dev/null', /go together/],
    ['nats://h/STREAM', /name the stream by \?stream=/],
    ['nats://u:%ff@h', /percent-encoded/],
  ];
  for (const [url, reason] of refused) {
    await expect(makeNats(new URL(url), new Outcome()), url).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(reason),
    });
  }
});
