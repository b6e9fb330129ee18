// Where is served and to whom, as it is configured.

import { isIPv4, isIPv6 } from 'node:net';
import { type JwtSettings, jwtOf } from './identities.ts';
import type { Given } from './settings.ts';
import { addressOf, booleanOf, listOf, usage } from './values.ts';

/** Where is served: at a Unix socket, over TLS, or without it to this host alone. */
export type Listening =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tls' | 'loopback'; readonly host: string; readonly port: number };

/** Files, PEM: who we are, and who vouches for clients; null: nobody is asked for a certificate. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | null;
}

/** Where is served, to whom, and what is kept of it. */
export interface ServingConfig {
  /** Null: in the store. */
  readonly listen: readonly Listening[] | null;
  /** File of who may see what; null: root and the recorder's own user see all. */
  readonly policy: string | null;
  /** File of the key that the audit is kept with; null: in the store. */
  readonly auditKey: string | null;
  /** Null where nothing is served over TLS. */
  readonly tls: TlsFiles | null;
  /** File of the bearer tokens' hashes; null: none are taken. */
  readonly tokens: string | null;
  /** Null: no JSON Web Tokens are taken. */
  readonly jwt: JwtSettings | null;
}

/** An address that no other host can reach; `localhost` is looked at again once it is known what it stands for. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith('127.');
  return isIPv6(host) ? /^(0{0,4}:){1,7}0{0,3}1$/.test(host) : host === 'localhost';
}

function listeningOf(text: string, isInsecure: boolean): Listening[] {
  if (text === 'none') return [];
  const path = /^unix:(.+)$/.exec(text)?.[1];
  if (path !== undefined) return [{ kind: 'unix', path }];
  const address = addressOf(text.replace(/^tcp:/, ''));
  if (address === null) {
    throw usage(`--listen ${text}: write unix:PATH, HOST:PORT, [IPV6]:PORT or none`);
  }
  const isOpen = isInsecure && isLoopback(address.host);
  return [{ kind: isOpen ? 'loopback' : 'tls', ...address }];
}

type Over = (kind: Listening['kind']) => boolean;

/** Over TLS, whoever has no token needs a certificate. */
function tlsOf(given: Given, isServed: Over, hasTokens: boolean): TlsFiles | null {
  const names = ['tls-cert', 'tls-key', 'tls-client-ca'] as const;
  const missing = names.filter((name) => given[name] === undefined);
  const needed = missing.filter((name) => !hasTokens || name !== 'tls-client-ca');
  if (!isServed('tls')) {
    if (missing.length === names.length) return null;
    throw usage('--tls-cert, --tls-key and --tls-client-ca are for --listen HOST:PORT: add that');
  }
  if (needed.length > 0) {
    throw usage(`--listen HOST:PORT is served over TLS alone: add --${needed.join(', --')}`);
  }
  const ca = given['tls-client-ca'];
  return {
    cert: String(given['tls-cert']),
    key: String(given['tls-key']),
    clientCa: ca === undefined ? null : String(ca),
  };
}

/** Without TLS nobody is anybody but by a token. */
function checkInsecure(isServed: Over, hasTokens: boolean): void {
  if (!isServed('loopback')) {
    throw usage('--insecure-loopback is for --listen 127.0.0.1:PORT: add that, or leave it out');
  }
  if (!hasTokens) {
    throw usage(
      '--insecure-loopback lets any process of this host connect, and only tokens tell who it is: add --tokens FILE or --jwt-issuer',
    );
  }
}

/** What settings say of serving. Throws TapioError('usage'). */
export function servingOf(given: Given): ServingConfig {
  const text = (name: 'policy' | 'audit-key' | 'tokens'): string | null =>
    given[name] === undefined ? null : String(given[name]);
  const isInsecure = booleanOf('insecure-loopback', given['insecure-loopback'], false);
  const listen =
    given.listen === undefined
      ? null
      : listOf(given.listen).flatMap((one) => listeningOf(one, isInsecure));
  const isServed: Over = (one) => listen?.some(({ kind }) => kind === one) === true;
  const [policy, tokens, jwt] = [text('policy'), text('tokens'), jwtOf(given)];
  const hasTokens = tokens !== null || jwt !== null;
  if (hasTokens && policy === null) {
    throw usage('without a policy nobody sees anything by a token: add --policy FILE');
  }
  const tls = tlsOf(given, isServed, hasTokens);
  if (isInsecure) checkInsecure(isServed, hasTokens);
  return { listen, policy, auditKey: text('audit-key'), tls, tokens, jwt };
}
