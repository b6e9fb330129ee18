// Where a server is, and who we are to it.

import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, getCACertificates } from 'node:tls';
import { type ChannelCredentials, credentials, Metadata, type VerifyOptions } from '@grpc/grpc-js';
import { usage } from '../config/values.ts';

/** How a server is reached, as flags say it. Files are PEM, the token's is a line of text. */
export interface Access {
  /** Who vouches for servers; null: those whom this host trusts. */
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  /** Whom a server's certificate must be of; null: the host. */
  readonly name: string | null;
  readonly tokenFile: string | null;
  /** Without TLS, over loopback. */
  readonly insecure: boolean;
}

/** A server that can be connected to. */
export interface Address {
  /** As it was written. */
  readonly text: string;
  /** For grpc-js. */
  readonly target: string;
  readonly credentials: ChannelCredentials;
  readonly options: Readonly<Record<string, string | number>>;
  /** Sent with each call. */
  readonly metadata: Metadata;
}

const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|localhost)$/;
const PORT_MAX = 65_535;
/** grpc-js must have a name to check a certificate for; where an address is meant, that is checked instead. */
const NO_NAME = 'address.invalid';

function read(flag: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw usage(`--${flag} ${file} cannot be read (${code ?? 'error'}): name another file`);
  }
}

function tokenOf({ tokenFile }: Access): string | null {
  if (tokenFile === null) return null;
  const token = read('token-file', tokenFile).toString().trim();
  // Anything else would not be one line of a header.
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw usage(`--token-file ${tokenFile} holds no token: it is one line without spaces`);
}

function tls(host: string, access: Access): Pick<Address, 'credentials' | 'options'> {
  const { ca, cert, key, name } = access;
  if ((cert === null) !== (key === null)) {
    throw usage('--tls-cert and --tls-key go together: give both or none');
  }
  const trusted =
    ca === null
      ? Buffer.from([...getCACertificates('default'), ...getCACertificates('system')].join('\n'))
      : read('tls-ca', ca);
  const file = (flag: string, path: string | null): Buffer | null =>
    path === null ? null : read(flag, path);
  const isAddress = name === null && isIP(host) !== 0;
  const options: VerifyOptions = isAddress
    ? { checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate) }
    : {};
  try {
    const own = [file('tls-key', key), file('tls-cert', cert)] as const;
    const target = name ?? (isAddress ? NO_NAME : null);
    return {
      credentials: credentials.createSsl(trusted, ...own, options),
      options: target === null ? {} : { 'grpc.ssl_target_name_override': target },
    };
  } catch (error) {
    throw usage(`the TLS files cannot be used (${(error as Error).message}): they are PEM`);
  }
}

/** The server that `text` names. Throws TapioError('usage') for what makes no sense. */
export function addressOf(text: string, access: Access): Address {
  const token = tokenOf(access);
  const metadata = new Metadata();
  if (token !== null) metadata.set('authorization', `Bearer ${token}`);
  const path = /^unix:(.+)$/.exec(text)?.[1];
  if (path !== undefined) {
    const options = { 'grpc.default_authority': 'localhost' };
    return { text, target: text, credentials: credentials.createInsecure(), options, metadata };
  }
  const [, given, digits] =
    /^(?:tcp:)?(\[[0-9a-fA-F:.]+\]|[^:[\]/\s]+):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (given === undefined || port > PORT_MAX) {
    throw usage(`--server ${text}: write unix:PATH, HOST:PORT or [IPV6]:PORT`);
  }
  const host = given.replace(/^\[|\]$/g, '');
  const target = `${given}:${port}`;
  if (!access.insecure) return { text, target, ...tls(host, access), metadata };
  if (!LOOPBACK.test(host)) {
    throw usage(
      `--insecure is for this host alone: leave it out, so that ${text} is reached over TLS`,
    );
  }
  return { text, target, credentials: credentials.createInsecure(), options: {}, metadata };
}
