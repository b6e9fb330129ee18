// Connections over TLS, each with the certificate of who made it.

import { X509Certificate } from 'node:crypto';
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

/** Of what is no certificate TLS takes no notice, and trusts nobody. */
function certificateAuthority(path: string): Buffer {
  const pem = read('tls-client-ca', path);
  try {
    new X509Certificate(pem);
  } catch {
    throw new TapioError('usage', `--tls-client-ca ${path} is no certificate: name a PEM file`);
  }
  return pem;
}

function contextOf({ cert, key, clientCa }: TlsFiles): SecureContextOptions {
  return {
    cert: read('tls-cert', cert),
    key: read('tls-key', key),
    ...(clientCa === null ? {} : { ca: certificateAuthority(clientCa) }),
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

/** Who the certificate says it is, whether that verifies or not; null where there is none. */
function claimedBy(socket: TLSSocket): Identity | null {
  const { subject, subjectaltname, raw } = socket.getPeerCertificate();
  if (raw === undefined) return null;
  // A subject may have several common names: none of them is taken for the only one.
  const name: unknown = subject?.CN;
  const commonName = typeof name === 'string' ? name : '';
  return { kind: 'mtls', commonName, alternativeNames: alternativeNames(subjectaltname) };
}

export interface TlsOptions {
  readonly host: string;
  readonly port: number;
  readonly files: TlsFiles;
  /** Clients without a certificate are hung up on. */
  readonly needsCertificate: boolean;
  /** A client whose certificate verifies, or null where it has none. */
  readonly onConnection: (socket: TLSSocket, identity: Identity | null) => void;
  /** One that was hung up on, and whom its certificate says it is. */
  readonly onRefused: (socket: TLSSocket, claimed: Identity | null, why: string) => void;
}

/** Why a connection is not taken, or null. */
function refusalOf(
  { authorized, authorizationError }: TLSSocket,
  claimed: Identity | null,
  needsCertificate: boolean,
): string | null {
  if (claimed === null) return needsCertificate ? 'there is no client certificate' : null;
  return authorized ? null : `the client certificate does not verify (${authorizationError})`;
}

/**
 * Listens for clients whose certificates verify. Throws TapioError('usage') for files that cannot be
 * used; rejects with what the system says where the address cannot be had.
 */
export async function listenOverTls(options: TlsOptions): Promise<Server> {
  const { host, port, files, needsCertificate, onConnection, onRefused } = options;
  let server: Server;
  try {
    server = createServer({
      ...contextOf(files),
      requestCert: files.clientCa !== null,
      // Looked at below, where it is still known who is refused.
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
      handshakeTimeout: HANDSHAKE_MS,
    });
  } catch (error) {
    if (error instanceof TapioError) throw error;
    throw new TapioError('usage', unusable(error));
  }
  server.maxConnections = CONNECTIONS_MAX;
  server.on('secureConnection', (socket) => {
    socket.on('error', () => socket.destroy());
    const claimed = claimedBy(socket);
    const refusal = refusalOf(socket, claimed, needsCertificate);
    if (refusal === null) {
      onConnection(socket, claimed);
      return;
    }
    onRefused(socket, claimed, refusal);
    socket.destroy();
  });
  // Whoever does not speak TLS is nobody that could be told of.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return server;
}

const unusable = (error: unknown): string =>
  `the TLS files cannot be used (${(error as Error).message}): name a certificate and its key in PEM`;

/** Reads the files again, for connections to come. Throws as listenOverTls(); then those of before go on. */
export function renew(server: Server, files: TlsFiles): void {
  const context = contextOf(files);
  try {
    server.setSecureContext(context);
  } catch (error) {
    throw new TapioError('usage', unusable(error));
  }
}
