// Connections over TLS, and certificates that are read again.

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, connect, type Server } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TlsFiles } from '../../src/config/serving.ts';
import { listenOverTls, renew } from '../../src/server/tls.ts';
import { type Identity, shownName } from '../../src/service/identity.ts';
import { certificates } from '../support/certificates.ts';
import { temporaryDirectory } from '../support/recording.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let at: (name: string) => string;
let files: TlsFiles & { readonly clientCa: string };
let server: Server;
let seen: string[] = [];
beforeEach(() => {
  directory = temporaryDirectory();
  at = certificates(directory.path, 'server', 'agent');
  files = { cert: at('serving.pem'), key: at('serving.key'), clientCa: at('trusted.pem') };
  for (const end of ['pem', 'key']) copyFileSync(at(`server.${end}`), at(`serving.${end}`));
  copyFileSync(at('ca.pem'), files.clientCa);
  seen = [];
});
afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  directory.remove();
});

async function listen(needsCertificate: boolean): Promise<Server> {
  const name = (identity: Identity | null): string =>
    identity === null ? 'nobody' : shownName(identity);
  server = await listenOverTls({
    ...{ host: '127.0.0.1', port: 0, files, needsCertificate },
    onConnection: (socket, identity) => {
      seen.push(`${name(identity)}${socket.isSessionReused() ? ' again' : ''}`);
      socket.end('.');
    },
    onRefused: (_socket, claimed, why) => seen.push(`${name(claimed)} refused: ${why}`),
  });
  return server;
}

/** Connects until it is hung up on; gives the session. */
function visit(more: ConnectionOptions = {}): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const { port } = server.address() as AddressInfo;
    const socket = connect({
      ...{ host: '127.0.0.1', port, ca: readFileSync(at('ca.pem')), servername: 'tapio.test' },
      ...more,
    });
    let session: Buffer | undefined;
    socket.on('session', (one) => {
      session = one;
    });
    socket.on('error', () => {});
    socket.resume().on('close', () => resolve(session));
  });
}

const agent = (): ConnectionOptions => ({
  key: readFileSync(at('agent.key')),
  cert: readFileSync(at('agent.pem')),
});

test('a certificate that is shown must verify; whether one must be is said', async () => {
  await listen(false);
  await visit();
  await visit(agent());
  copyFileSync(at('other.pem'), files.clientCa);
  renew(server, files);
  await visit(agent());
  await visit();
  expect(seen).toEqual([
    ...['nobody', 'cn:agent'],
    expect.stringMatching(/^cn:agent refused: the client certificate does not verify \([A-Z_]+\)$/),
    'nobody',
  ]);
  server.close();
  seen = [];
  await listen(true);
  await visit();
  expect(seen).toEqual(['nobody refused: there is no client certificate']);
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  '%s: a session that is resumed is no way around an authority that is trusted no more',
  async (maxVersion) => {
    await listen(true);
    const first = await visit({ ...agent(), maxVersion });
    await visit({ ...agent(), maxVersion, ...(first !== undefined && { session: first }) });
    copyFileSync(at('other.pem'), files.clientCa);
    renew(server, files);
    for (let i = 0; i < 2; i++) {
      await visit({ ...agent(), maxVersion, ...(first !== undefined && { session: first }) });
    }
    expect(seen.slice(0, 2)).toEqual(['cn:agent', 'cn:agent again']);
    expect(seen.slice(2).map((one) => one.slice(0, 17))).toEqual([
      ...['cn:agent refused:', 'cn:agent refused:'],
    ]);
  },
);

test('files that are broken change nothing, and are refused with what to do', async () => {
  await listen(true);
  const broken: [string, string, RegExp][] = [
    ['cert', 'no certificate', /the TLS files cannot be used .*: name a certificate and its key/s],
    ['key', readFileSync(at('agent.key'), 'utf8'), /the TLS files cannot be used/],
    ['clientCa', '', /trusted\.pem is no certificate: name a PEM file/],
    ['clientCa', readFileSync(at('ca.key'), 'utf8'), /trusted\.pem is no certificate/],
  ];
  for (const [which, text, said] of broken) {
    const path = files[which as keyof TlsFiles] as string;
    const before = readFileSync(path);
    writeFileSync(path, text);
    expect(() => renew(server, files)).toThrow(said);
    await visit(agent());
    await expect(listenOverTls({ ...unusedListeners, files })).rejects.toThrow(said);
    writeFileSync(path, before);
  }
  expect(seen).toEqual(broken.map(() => 'cn:agent'));
});

const unusedListeners = {
  ...{ host: '127.0.0.1', port: 0, needsCertificate: true },
  onConnection: () => {},
  onRefused: () => {},
};
