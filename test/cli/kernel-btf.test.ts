// What doctor says of a kernel that does not run here, by its type information.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ROOT, temporaryDirectory } from '../support/recording.ts';

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

const PTR = 2;
const TYPEDEF = 8;
const FUNC_PROTO = 13;

/**
 * BTF of tracepoints with so many pointers as arguments, as Documentation/bpf/btf.rst lays it out: for each
 * a typedef `btf_trace_NAME` of a pointer to a function whose first argument is the context.
 */
function btfOf(tracepoints: Readonly<Record<string, number>>): Buffer {
  const words: number[] = [];
  let strings = '\0';
  // Type 1 is `void *`.
  let id = 1;
  const type = (name: number, kind: number, vlen: number, to: number): number => {
    words.push(name, (kind << 24) | vlen, to);
    return id++;
  };
  const pointer = type(0, PTR, 0, 0);
  for (const [name, count] of Object.entries(tracepoints)) {
    const proto = type(0, FUNC_PROTO, count + 1, 0);
    for (let i = 0; i <= count; i++) words.push(0, pointer);
    const function_ = type(0, PTR, 0, proto);
    type(strings.length, TYPEDEF, 0, function_);
    strings += `btf_trace_${name}\0`;
  }
  const types = Buffer.from(Uint32Array.from(words).buffer);
  const header = Buffer.alloc(24);
  header.writeUInt16LE(0xeb9f, 0);
  header.writeUInt8(1, 2);
  header.writeUInt32LE(24, 4);
  header.writeUInt32LE(0, 8);
  header.writeUInt32LE(types.length, 12);
  header.writeUInt32LE(types.length, 16);
  header.writeUInt32LE(strings.length, 20);
  return Buffer.concat([header, types, Buffer.from(strings, 'latin1')]);
}

interface Said {
  readonly status: number | null;
  readonly stderr: string;
  readonly checks: readonly { area: string; name: string; state: string; detail: string }[];
}

function doctor(path: string): Said {
  const flags = ['doctor', '--kernel-btf', path, '-o', 'json'];
  const { status, stdout, stderr } = spawnSync(execPath, ['cli/tapio-record.ts', ...flags], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return { status, stderr, checks: stdout === '' ? [] : JSON.parse(stdout).checks };
}

const HERE = {
  sched_process_fork: 2,
  sched_process_exec: 3,
  sched_process_exit: 1,
  kfree_skb: 3,
  sys_exit: 2,
};

test('a kernel that lacks tracepoints: which, and what would be off', () => {
  const path = join(directory.path, 'btf');
  writeFileSync(path, btfOf(HERE));
  const { status, checks } = doctor(path);
  expect(status).toBe(1);
  const of = (name: string) => checks.find((check) => check.name === name);
  for (const name of Object.keys(HERE)) expect(of(name), name).toMatchObject({ state: 'ok' });
  expect(of('signal_generate')).toMatchObject({
    state: 'note',
    detail: 'this kernel has no such tracepoint: no process.signal',
  });
  const ops = checks.find((check) => check.area === 'ops');
  expect(ops?.name).toContain('network.retransmit');
  expect(ops?.name).not.toContain('network.drop');
});

test('a variant of a tracepoint that no program fits', () => {
  const path = join(directory.path, 'btf');
  // Before 5.17 kfree_skb had no reason.
  writeFileSync(path, btfOf({ ...HERE, kfree_skb: 2 }));
  const { checks } = doctor(path);
  expect(checks.find((check) => check.name === 'kfree_skb')).toMatchObject({
    state: 'note',
    detail: 'none of our programs fits its arguments: no network.drop',
  });
});

test('files that are none', () => {
  const path = join(directory.path, 'text');
  writeFileSync(path, 'not BTF');
  expect(doctor(path)).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/^tapio-record: --kernel-btf: .* holds no BTF: .*\n$/),
  });
  expect(doctor('/nonexistent')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('does not exist'),
  });
});
