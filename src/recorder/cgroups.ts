// Whose a cgroup is: its path, and the container and the pod that the path names.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { reversibleText } from '../event/text.ts';
import { attempt } from './proc.ts';

/** The path of a cgroup, as the kernel's programs kept it when it was made; null where they did not. */
export type CgroupNames = (id: bigint, pid: number, pstart: bigint) => string | null;

export interface Pod {
  readonly name: string;
  readonly namespace: string;
}

export interface Cgroup {
  readonly path: string | null;
  /** 64 hex digits of the innermost container, where the path names one. */
  readonly container: string | null;
  /** Where the path names a pod that the kubelet of this host knows. */
  readonly pod: Pod | null;
}

/** A process, and what the kernel calls its cgroup: the inode in the hierarchy of the second version. */
interface Member {
  readonly pid: number;
  readonly pstart: bigint;
  readonly cgroup_id: bigint;
}

const UNKNOWN: Cgroup = { path: null, container: null, pod: null };
const CONTAINER_ID = /[0-9a-f]{64}(?=\.scope|\/|$)/g;
/** `pod1f3c…` of the cgroupfs driver; the systemd driver writes `_` for `-`, and puts names before it. */
const POD_UID =
  /pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?=\.slice|\/|$)/;
const ROOTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];
/** The kubelet keeps a directory NAMESPACE_NAME_UID for each pod of its host. */
const POD_LOGS = '/var/log/pods';
/** Beyond this, the cgroups that are known are forgotten and asked for again. */
const KNOWN_MAX = 16_384;

/** The container that a cgroup path names, or null. */
export function containerOf(path: string): string | null {
  return path.match(CONTAINER_ID)?.at(-1) ?? null;
}

/** The uid of the pod that a cgroup path names, or null. */
export function podUidOf(path: string): string | null {
  return path.match(POD_UID)?.[1]?.replaceAll('_', '-') ?? null;
}

/** Pods by uid, as the kubelet's log directories name them. */
class Pods {
  readonly #logs: string;
  readonly #known = new Map<string, Pod | null>();

  constructor(logs: string) {
    this.#logs = logs;
  }

  of(uid: string): Pod | null {
    if (!this.#known.has(uid)) this.#read(uid);
    return this.#known.get(uid) ?? null;
  }

  // A uid that is not there is not asked for again: its directory is made before its containers.
  #read(uid: string): void {
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    for (const entry of attempt(() => readdirSync(this.#logs)) ?? []) {
      const [namespace, name, its, ...rest] = entry.split('_');
      if (!namespace || !name || !its || rest.length > 0) continue;
      this.#known.set(its, { namespace, name });
    }
    if (!this.#known.has(uid)) this.#known.set(uid, null);
  }
}

/** Cgroups by id: those there are at the start, those that the kernel saw being made, and /proc. */
export class Cgroups {
  readonly #names: CgroupNames;
  readonly #pods: Pods;
  readonly #known = new Map<bigint, Cgroup>();

  constructor(names: CgroupNames = () => null, logs = POD_LOGS) {
    this.#names = names;
    this.#pods = new Pods(logs);
    for (const root of ROOTS) {
      if (attempt(() => statSync(join(root, 'cgroup.controllers'))) !== null) this.#learn(root, '');
    }
  }

  /** The cgroup of a process; /proc is asked only while the process is alive. */
  of(member: Member, isAlive: () => boolean): Cgroup {
    const { pid, pstart, cgroup_id: id } = member;
    const known = this.#known.get(id);
    // The root's id is every process's on a host of the first version's hierarchies.
    if (known !== undefined && known.path !== '/') return known;
    const kept = this.#names(id, pid, pstart);
    if (kept !== null) return this.#called(kept);
    return (isAlive() ? this.#asked(pid, id) : null) ?? known ?? UNKNOWN;
  }

  /**
   * The cgroup that a process was put into where the hierarchies are the first version's and all have the id of
   * one root; null where its id names its cgroup, or nobody saw it being put anywhere.
   */
  entered({ pid, pstart, cgroup_id: id }: Member): Cgroup | null {
    if (this.#known.get(id)?.path !== '/') return null;
    const kept = this.#names(id, pid, pstart);
    return kept === null ? null : this.#called(kept);
  }

  #asked(pid: number, id: bigint): Cgroup | null {
    const text = attempt(() => readFileSync(`/proc/${pid}/cgroup`));
    if (text === null) return null;
    const lines = reversibleText(text).trim().split('\n');
    const unified = lines.find((line) => line.startsWith('0::'))?.slice(3);
    const other = lines.map((line) => line.split(':').slice(2).join(':')).find((p) => p !== '/');
    // On a host of the first version's hierarchies all processes share the unified root.
    const path = (unified === '/' ? other : unified) ?? unified ?? other ?? null;
    if (path === null) return null;
    const cgroup = this.#called(path);
    if (path === unified && ROOTS.some((root) => inode(root + path) === id)) this.#keep(id, cgroup);
    return cgroup;
  }

  #called(path: string): Cgroup {
    const uid = podUidOf(path);
    return { path, container: containerOf(path), pod: uid === null ? null : this.#pods.of(uid) };
  }

  #keep(id: bigint, cgroup: Cgroup): void {
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    this.#known.set(id, cgroup);
  }

  // Everything below a directory, as far as there is room.
  #learn(root: string, path: string): void {
    const id = inode(root + path);
    if (id === null || this.#known.size >= KNOWN_MAX / 2) return;
    this.#keep(id, this.#called(path === '' ? '/' : path));
    const entries = attempt(() => readdirSync(root + path, { withFileTypes: true })) ?? [];
    for (const entry of entries) {
      if (entry.isDirectory()) this.#learn(root, `${path}/${entry.name}`);
    }
  }
}

function inode(path: string): bigint | null {
  return attempt(() => statSync(path, { bigint: true }).ino);
}
