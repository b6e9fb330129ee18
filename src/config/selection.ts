// --only and --exclude: short forms of --filter, for what is asked for most.

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { listOf, unknownName, usage } from './values.ts';

/** What the kernel leaves out by a table of its own, which costs less than a filter. */
export interface Exclusions {
  readonly pids: readonly number[];
  readonly uids: readonly number[];
  readonly comms: readonly string[];
  readonly cgroups: readonly bigint[];
}

interface Term {
  readonly key: string;
  readonly text: string;
  /** The flag's word, for messages. */
  readonly part: string;
}

const CGROUP_ROOTS = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'];
const CONTAINER_ID_MIN = 12;
const HOW =
  'write comm=NAME, pid=NUMBER, uid=NUMBER, port=NUMBER, path=PREFIX, cgroup=ID or PATH, or container=ID';
const KEYS = ['comm', 'pid', 'uid', 'port', 'path', 'cgroup', 'container'] as const;

function terms(flag: string, value: unknown): Term[] {
  return (value === undefined ? [] : listOf(value)).map((word) => {
    const [key = '', ...rest] = word.split('=');
    const text = rest.join('=');
    const part = `${flag} ${word}`;
    if (!(KEYS as readonly string[]).includes(key)) throw unknownName(flag, key, KEYS);
    if (text === '') throw usage(`${part}: ${HOW}`);
    return { key, text, part };
  });
}

/** A number within what the key can be; throws a usage error. */
function numberIn({ text, part }: Term, max: number): number {
  const number = Number(text);
  if (!/^\d+$/.test(text)) throw usage(`${part}: ${HOW}`);
  if (number > max) throw usage(`${part}: ${text} is beyond ${max}`);
  return number;
}

const PID_MAX = 2 ** 22;
const UID_MAX = 2 ** 32 - 1;
const PORT_MAX = 65_535;

/** The root of the second version's hierarchy, whose inodes the kernel's ids are. */
function unifiedRoot(part: string): string {
  const root = CGROUP_ROOTS.find((one) => inode(join(one, 'cgroup.controllers')) !== null);
  if (root === undefined) {
    throw usage(`${part}: this host has no cgroup2 mounted (mount -t cgroup2 none /sys/fs/cgroup)`);
  }
  return root;
}

function inode(path: string): bigint | null {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null;
}

/** Ids of the cgroups at or below those that `wanted` picks, by path. */
function idsBelow(root: string, wanted: (path: string) => boolean): bigint[] {
  const out: bigint[] = [];
  const visit = (path: string, inside: boolean): void => {
    const here = inside || wanted(path);
    const id = here ? inode(root + path) : null;
    if (id !== null) out.push(id);
    for (const entry of readdirSync(root + path, { withFileTypes: true })) {
      if (entry.isDirectory()) visit(`${path}/${entry.name}`, here);
    }
  };
  visit('', false);
  return out;
}

function cgroupIds(term: Term): bigint[] {
  const { key, text, part } = term;
  if (key === 'cgroup' && /^\d+$/.test(text)) return [BigInt(text)];
  const root = unifiedRoot(part);
  if (key === 'cgroup') {
    const path = `/${text}`.replaceAll(/\/+/g, '/').replace(/\/$/, '');
    const ids = idsBelow(root, (one) => one === path);
    if (ids.length === 0) throw usage(`${part}: there is no cgroup ${root}${path}`);
    return ids;
  }
  if (!/^[0-9a-f]+$/.test(text) || text.length < CONTAINER_ID_MIN || text.length > 64) {
    throw usage(`${part}: a container's id is 12 to 64 hex digits, as docker ps and crictl ps say`);
  }
  const ids = idsBelow(root, (path) => (path.split('/').at(-1) ?? '').includes(text));
  if (ids.length === 0) throw usage(`${part}: no cgroup here is that container's: is it running?`);
  return ids;
}

/** Whether a field is there and so: a plain test of one that is not would be an error, and its negation too. */
const where = (field: string, test: string): string => `has(${field}) && ${field}${test}`;

/** An expression that is true of the rows that a term means, and false of all others. */
function expression(term: Term): string {
  const quoted = JSON.stringify(term.text);
  switch (term.key) {
    case 'comm':
      return `comm == ${quoted}`;
    case 'pid':
      return `pid == ${numberIn(term, PID_MAX)}`;
    case 'uid':
      return `uid == ${numberIn(term, UID_MAX)}`;
    case 'port': {
      const port = numberIn(term, PORT_MAX);
      const ends = ['network.sport', 'network.dport'].map((end) => where(end, ` == ${port}`));
      return `type == "network" && (${ends.join(' || ')})`;
    }
    case 'path':
      if (!term.text.startsWith('/')) throw usage(`${term.part}: a prefix begins with /`);
      return ['file.path', 'file.new_path', 'process.filename']
        .map(
          (field) =>
            `type == "${field.split('.')[0]}" && ${where(field, `.startsWith(${quoted})`)}`,
        )
        .join(' || ');
    default:
      return `cgroup_id in [${cgroupIds(term).join(', ')}]`;
  }
}

/** Alternatives of one key, all keys together. */
function onlyExpression(only: readonly Term[]): string | null {
  const byKey = Map.groupBy(only, ({ key }) => (key === 'container' ? 'cgroup' : key));
  const all = [...byKey.values()].map((same) => `(${same.map(expression).join(' || ')})`);
  return all.length === 0 ? null : all.join(' && ');
}

/**
 * What --only, --exclude and --filter leave: exclusions that the kernel has tables for, and one expression
 * for the rest, null where there is none. Throws a usage error where they are wrong or leave nothing.
 */
export function selectionOf(
  only: unknown,
  exclude: unknown,
  filter: unknown,
): { readonly exclude: Exclusions; readonly filter: string | null } {
  const wanted = terms('--only', only);
  const unwanted = terms('--exclude', exclude);
  for (const { key, text, part } of wanted) {
    if (unwanted.some((one) => one.key === key && one.text === text)) {
      throw usage(`${part} and --exclude ${key}=${text} leave nothing: drop one of them`);
    }
  }
  const of = (key: string): Term[] => unwanted.filter((term) => term.key === key);
  const rest = unwanted.filter(({ key }) => key === 'port' || key === 'path');
  const parts = [
    filter === undefined ? null : String(filter),
    onlyExpression(wanted),
    rest.length === 0 ? null : `!(${rest.map(expression).join(' || ')})`,
  ].filter((part) => part !== null);
  return {
    exclude: {
      pids: of('pid').map((term) => numberIn(term, PID_MAX)),
      uids: of('uid').map((term) => numberIn(term, UID_MAX)),
      comms: of('comm').map(({ text }) => text),
      cgroups: [...of('cgroup'), ...of('container')].flatMap(cgroupIds),
    },
    filter: parts.length > 1 ? parts.map((part) => `(${part})`).join(' && ') : (parts[0] ?? null),
  };
}
