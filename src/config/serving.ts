// Where is served and to whom, as it is configured.

import type { Given } from './settings.ts';
import { listOf, usage } from './values.ts';

/** Where is served: at a Unix socket, or over TLS. */
export type Listening =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tls'; readonly host: string; readonly port: number };

/** Files, PEM: who we are, and who vouches for clients. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string;
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
}

function listeningOf(text: string): Listening[] {
  if (text === 'none') return [];
  const path = /^unix:(.+)$/.exec(text)?.[1];
  if (path !== undefined) return [{ kind: 'unix', path }];
  const [, host, digits] = /^(?:tcp:)?(\[[0-9a-fA-F:.]+\]|[^:[\]/]+):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (host === undefined || port > 65_535) {
    throw usage(`--listen ${text}: write unix:PATH, HOST:PORT, [IPV6]:PORT or none`);
  }
  return [{ kind: 'tls', host: host.replace(/^\[|\]$/g, ''), port }];
}

/** Over TCP nobody is served without TLS, nor without a certificate of their own. */
function tlsOf(given: Given): TlsFiles | null {
  const names = ['tls-cert', 'tls-key', 'tls-client-ca'] as const;
  const isServed = listenOf(given)?.some(({ kind }) => kind === 'tls') === true;
  const missing = names.filter((name) => given[name] === undefined);
  if (isServed && missing.length > 0) {
    throw usage(`--listen HOST:PORT is served over TLS alone: add --${missing.join(', --')}`);
  }
  if (!isServed && missing.length < names.length) {
    throw usage('--tls-cert, --tls-key and --tls-client-ca are for --listen HOST:PORT: add that');
  }
  if (!isServed) return null;
  const [cert = '', key = '', clientCa = ''] = names.map((name) => String(given[name]));
  return { cert, key, clientCa };
}

const listenOf = ({ listen }: Given): Listening[] | null =>
  listen === undefined ? null : listOf(listen).flatMap(listeningOf);

/** What settings say of serving. Throws TapioError('usage'). */
export function servingOf(given: Given): ServingConfig {
  const text = (name: 'policy' | 'audit-key'): string | null =>
    given[name] === undefined ? null : String(given[name]);
  return {
    listen: listenOf(given),
    policy: text('policy'),
    auditKey: text('audit-key'),
    tls: tlsOf(given),
  };
}
