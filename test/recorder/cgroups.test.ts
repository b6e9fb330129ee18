// Whose a cgroup is, told by its path.

import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Cgroups, containerOf, podUidOf } from '../../src/recorder/cgroups.ts';
import { temporaryDirectory } from '../support/recording.ts';

const UID = '0f2c6a3e-94f1-4c53-9d2e-7a1b5c8d9e0f';
const [A, B] = ['a'.repeat(64), 'b'.repeat(64)];
const member = (cgroup_id: bigint) => ({ pid: 4_000_000, pstart: 5n, cgroup_id });
const gone = () => false;

test('containers by their cgroup, the innermost one', () => {
  for (const path of [
    `/docker/${A}`,
    `/system.slice/docker-${A}.scope`,
    `/kubepods.slice/pod1/cri-containerd-${A}.scope/init`,
    `/docker/${B}/kubepods/pod1/${A}`,
  ]) {
    expect(containerOf(path), path).toBe(A);
  }
  expect(containerOf(`/user.slice/${'a'.repeat(63)}`)).toBeNull();
});

test('pods by their cgroup, of either driver', () => {
  const slice = `kubepods-burstable-pod${UID.replaceAll('-', '_')}.slice`;
  for (const path of [
    `/kubepods/burstable/pod${UID}/${A}`,
    `/kubepods.slice/kubepods-burstable.slice/${slice}/cri-containerd-${A}.scope`,
    `/kubepods.slice/kubepods-burstable.slice/${slice}`,
  ]) {
    expect(podUidOf(path), path).toBe(UID);
  }
  // Pods of the host's own manifests have a hash for a uid.
  expect(podUidOf(`/kubepods/pod${'0'.repeat(32)}/${A}`)).toBe('0'.repeat(32));
  for (const path of ['/podman/x', `/user.slice/pod${UID}x`, '/libpod-1.scope']) {
    expect(podUidOf(path), path).toBeNull();
  }
});

test('what the kernel saw being made is named after its end, with the pod that the kubelet knows', () => {
  const logs = temporaryDirectory();
  try {
    mkdirSync(join(logs.path, `shop_cart-7d9f_${UID}`));
    mkdirSync(join(logs.path, 'not-a-pod'));
    const asked: unknown[] = [];
    const path = `/kubepods/pod${UID}/${A}`;
    const names = (...of: [bigint, number, bigint]): string | null => {
      asked.push(of);
      return of[0] === 77_777_777_777n ? path : null;
    };
    const cgroups = new Cgroups(names, logs.path);
    expect(cgroups.of(member(77_777_777_777n), gone)).toEqual({
      path,
      container: A,
      pod: { namespace: 'shop', name: 'cart-7d9f' },
    });
    expect(cgroups.of(member(88_888_888_888n), gone)).toEqual({
      path: null,
      container: null,
      pod: null,
    });
    expect(asked).toEqual([
      [77_777_777_777n, 4_000_000, 5n],
      [88_888_888_888n, 4_000_000, 5n],
    ]);
    expect(new Cgroups(names, '/nonexistent').of(member(77_777_777_777n), gone)).toMatchObject({
      container: A,
      pod: null,
    });
  } finally {
    logs.remove();
  }
});

test('one that is alive is asked where it is', () => {
  const path = readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n');
  const unified = path.find((line) => line.startsWith('0::'))?.slice(3) ?? '/';
  const of = { pid: process.pid, pstart: 1n, cgroup_id: 99_999_999_999n };
  const told = new Cgroups().of(of, () => true).path;
  expect(path.map((line) => line.split(':').slice(2).join(':'))).toContain(told);
  if (unified !== '/') expect(told).toBe(unified);
  // Of a cgroup that was there at the start the name is known, whoever is in it.
  const root = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((one) => {
    try {
      return statSync(join(one, 'cgroup.controllers')).isFile();
    } catch {
      return false;
    }
  });
  if (root === undefined) return;
  const id = statSync(root, { bigint: true }).ino;
  expect(new Cgroups().of(member(id), gone).path).toBe('/');
});
