// What a process and its threads hold of root's powers, and how a thread that faces the network gives all of it up.

import { readdirSync, readFileSync } from 'node:fs';
import { TapioError } from './errors.ts';
import { privilegeNative } from './source/binding.ts';

/** Names of capabilities, by number; the kernel may know more. */
const CAPABILITIES =
  'chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore'.split(
    ' ',
  );

/** Threads that face the network, by the names that they have in /proc. */
const FACES = { serve: 'tapio-serve', sink: 'tapio-sink', metrics: 'tapio-metrics' } as const;
export type Face = keyof typeof FACES;

/** What records a kernel, by number: it loads programs and maps, and attaches them where others are seen. */
export const RECORDING_CAPABILITIES = [numberOf('bpf'), numberOf('perfmon')];

/** What a process or a thread holds. */
export interface Privileges {
  readonly uid: number;
  /** Effective, as in `bpf`. */
  readonly capabilities: readonly string[];
  /** Whether no program that it executes can have more. */
  readonly no_new_privs: boolean;
}

/** What the threads hold that face the network. */
export interface ProcessPrivileges extends Privileges {
  readonly threads: readonly (Privileges & { readonly name: Face })[];
}

function numberOf(name: string): number {
  return CAPABILITIES.indexOf(name);
}

/** Names of a mask of hex digits, as /proc writes it. */
export function capabilityNames(hex: string): string[] {
  const bits = [...BigInt(`0x${hex}`).toString(2)].reverse();
  return bits.flatMap((bit, i) => (bit === '1' ? [CAPABILITIES[i] ?? `capability ${i}`] : []));
}

/**
 * Gives up all capabilities of the calling thread; the first that a thread does which faces the network. What it does with
 * files through promises is done by the process's pool of threads, which holds what the process holds. Throws
 * TapioError('not_permitted') where it would go on with any.
 */
export function giveUpCapabilities(face: Face): void {
  try {
    privilegeNative().dropCapabilities(FACES[face]);
  } catch (error) {
    throw new TapioError(
      'not_permitted',
      `nothing faces the network with root’s powers (${(error as Error).message}): let the recorder call capset and prctl`,
    );
  }
}

/** What a status file of /proc says. */
export function privilegesOf(status: string): Privileges {
  const word = (key: string): string =>
    new RegExp(`^${key}:\\s*(\\w+)`, 'm').exec(status)?.[1] ?? '0';
  return {
    uid: Number(word('Uid')),
    capabilities: capabilityNames(word('CapEff')),
    no_new_privs: word('NoNewPrivs') === '1',
  };
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It has ended, or /proc is closed to us.
    return null;
  }
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map((tid) => `/proc/${pid}/task/${tid}`);
  } catch {
    return [];
  }
}

/** What a process holds, and its threads that face the network; null where that cannot be told. */
export function heldBy(pid: number): ProcessPrivileges | null {
  const own = textOf(`/proc/${pid}/status`);
  if (own === null) return null;
  const threads = threadsOf(pid).flatMap((path) => {
    const comm = textOf(`${path}/comm`)?.trim();
    const face = (Object.keys(FACES) as Face[]).find((name) => FACES[name] === comm);
    const status = face === undefined ? null : textOf(`${path}/status`);
    return face === undefined || status === null ? [] : [{ name: face, ...privilegesOf(status) }];
  });
  return { ...privilegesOf(own), threads };
}

/** What is held, in words. */
export function privilegesText({ capabilities, no_new_privs: isBarred }: Privileges): string {
  const names = capabilities.map((name) => `CAP_${name.toUpperCase()}`).join(', ');
  const many = `${capabilities.length} capabilities`;
  const held =
    capabilities.length === 0 ? 'no capabilities' : capabilities.length > 5 ? many : names;
  return isBarred ? `${held}, no new privileges` : held;
}
