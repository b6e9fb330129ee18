// Connections over TLS, each with the certificate of who made it.

import { readFileSync } from 'node:fs';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import type { TlsFiles } from '../config/serving.ts';
import { systemCode, TapioError } from '../errors.ts';
import type { Identity } from '../service/identity.ts';
import { CONNECTIONS_MAX } from './peers.ts';

const HANDSHAKE_MS = 10_000;

function read(flag: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new TapioError('usage', `--${flag} ${path} cannot be read (${systemCode(error)})`);
  }
}

function contextOf({ cert, key, clientCa }: TlsFiles): SecureContextOptions {
  return {
    cert: read('tls-cert', cert),
    key: read('tls-key', key),
    ca: read('tls-client-ca', clientCa),
    minVersion: 'TLSv1.2',
  };
}

/** Names as Node writes them: those with a comma or a quote in them are JSON. */
const NAME = /([^,":]+:)("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/gy;

/** Alternative names of a certificate, each as DNS:agent.example. */
export function alternativeNames(text: string | undefined): string[] {
  return [...(text ?? '').matchAll(NAME)].map(([, kind = '', value = '']) =>
    value.startsWith('"') ? kind + (JSON.parse(value) as string) : kind + value,
  );
}

function identityOf(socket: TLSSocket): Identity {
  const { subject, subjectaltname } = socket.getPeerCertificate();
  // A subject may have several common names: none of them is taken for the only one.
  const name: unknown = subject?.CN;
  const commonName = typeof name === 'string' ? name : '';
  return { kind: 'mtls', commonName, alternativeNames: alternativeNames(subjectaltname) };
}

/**
 * Listens for clients whose certificates verify; others are hung up on. Throws TapioError('usage') for files that cannot be
 * used; rejects with what the system says where the address cannot be had.
 */
export async function listenOverTls(
  { host, port }: { readonly host: string; readonly port: number },
  files: TlsFiles,
  onConnection: (socket: TLSSocket, identity: Identity) => void,
): Promise<Server> {
  const options = { ...contextOf(files), requestCert: true, rejectUnauthorized: true };
  const more = { ALPNProtocols: ['h2'], handshakeTimeout: HANDSHAKE_MS };
  let server: Server;
  try {
    server = createServer({ ...options, ...more });
  } catch (error) {
    throw new TapioError('usage', `the TLS files cannot be used (${(error as Error).message})`);
  }
  server.maxConnections = CONNECTIONS_MAX;
  server.on('secureConnection', (socket) => {
    socket.on('error', () => socket.destroy());
    onConnection(socket, identityOf(socket));
  });
  // Whoever has no certificate that verifies is nobody that could be told of.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return server;
}

/** Reads the files again, for connections to come. Throws as listenOverTls(); then those of before go on. */
export function renew(server: Server, files: TlsFiles): void {
  server.setSecureContext(contextOf(files));
}
