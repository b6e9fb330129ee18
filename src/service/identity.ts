// Who asks, as a server has made sure of it, and the names under which a policy knows them.

import { escapeControls } from '../escape.ts';

/** Whoever is at the other end of a connection. */
export type Identity =
  /** A process of this host, as the kernel says. */
  | {
      readonly kind: 'peer';
      readonly uid: number;
      readonly gid: number;
      readonly pid: number;
    }
  /** The holder of a client's certificate; alternative names with their kind, as in DNS:agent.example. */
  | {
      readonly kind: 'mtls';
      readonly commonName: string;
      readonly alternativeNames: readonly string[];
    }
  /** The holder of a bearer token, by the token's name. */
  | { readonly kind: 'token'; readonly name: string }
  /** Whom a JSON Web Token is about; its groups are those that its issuer says. */
  | {
      readonly kind: 'jwt';
      readonly subject: string;
      readonly groups: readonly string[];
      readonly claims: Readonly<Record<string, unknown>>;
    };

/** Kinds of names that a policy may use; `group` is a list in its file, or a claim of a JSON Web Token. */
export const NAME_KINDS = ['uid', 'gid', 'cn', 'san', 'token', 'sub', 'group'] as const;

/** The names of an identity, its own one first: uid:1000 and gid:100, cn:…, san:…, token:…, sub:…. */
export function namesOf(identity: Identity): readonly [string, ...string[]] {
  switch (identity.kind) {
    case 'peer':
      return [`uid:${identity.uid}`, `gid:${identity.gid}`];
    case 'mtls':
      return [
        `cn:${identity.commonName}`,
        ...identity.alternativeNames.map((name) => `san:${name}`),
      ];
    case 'token':
      return [`token:${identity.name}`];
    case 'jwt':
      return [`sub:${identity.subject}`];
  }
}

/** The groups that come with an identity: those that the issuer of its token says. */
export function groupsOf(identity: Identity): readonly string[] {
  return identity.kind === 'jwt' ? identity.groups : [];
}

/** An identity for people and logs, such as uid:1000: one line, without controls. */
export function shownName(identity: Identity): string {
  return escapeControls(namesOf(identity)[0]);
}
