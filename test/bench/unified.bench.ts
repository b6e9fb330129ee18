// Raw rows to UnifiedEvents: to objects, and to JSON text as well; rows of each kind alone, and as they come when many kinds
// alternate. On one thread, from columns as segments have them.

import type { EventType } from '../../schemas/arrow.ts';
import type { RowColumns } from '../../src/event/json.ts';
import { Converter } from '../../src/unified/convert.ts';
import { take, written } from '../../src/unified/text.ts';
import { columnsWith, type PlainRow } from '../support/unified-rows.ts';
import { report } from './report.ts';

const RUNS = 5;
const ROWS = 32_768;
const ROUNDS = 8;
/** As much as goes onward at once. */
const TAKEN_BYTES = 400_000;
const PROCESSES = 500;
const TS0 = 1_795_000_000_000_000_000n;
const OFFSET = 1_794_900_000_000_000_000n;

const ADDRESSES = { saddr: '10.1.2.3', family: 'inet', protocol: 'tcp', sport: 51514, dport: 443 };

/** Own fields of the rows that are typical of what goes onward. */
const KINDS: Readonly<Record<string, (i: number) => PlainRow>> = {
  'process.fork': (i) => ({ child_pid: i, child_pstart: BigInt(i) * 1000n }),
  'process.exec': (i) => ({
    filename: `/usr/bin/tool-${i % 50}`,
    args: ['tool', '--verbose', `file-${i % 100}`],
    args_length: 30,
    cwd: '/home/somebody',
    result: 0,
  }),
  'process.exit': (i) => ({ exit_code: i % 3, duration_ns: BigInt(i) * 777n, cpu_ns: 5000n }),
  'network.connect': (i) => ({
    ...ADDRESSES,
    daddr: `93.184.216.${i % 200}`,
    error: i % 8 === 0 ? 111 : 0,
    latency_ns: 200_000n + BigInt(i),
    old_state: 'SYN_SENT',
    new_state: 'ESTABLISHED',
  }),
  'network.close': (i) => ({
    ...ADDRESSES,
    daddr: `93.184.216.${i % 200}`,
    bytes_sent: BigInt(i) * 99n,
    bytes_received: 12_345n,
    srtt_us: 4000,
    retransmits: 0,
    old_state: 'LAST_ACK',
    new_state: 'CLOSE',
  }),
  'file.open': (i) => ({
    path: `/var/lib/things/${i % 2000}`,
    ret: i % 4 === 0 ? -13n : 3n,
    latency_ns: 1500n + BigInt(i % 100),
    inode: BigInt(i % 2000),
    device: 2049n,
    fd: 3,
    open_flags: 0,
    mode: 0,
  }),
  'memory.oom': (i) => ({ target_pid: i }),
};

interface Block {
  readonly type: EventType;
  readonly columns: RowColumns;
}

function rowOf(kind: string, i: number): PlainRow {
  return {
    seq: BigInt(i),
    ts: TS0 + BigInt(i) * 10_007n,
    cpu: i % 4,
    op: kind.slice(kind.indexOf('.') + 1),
    pid: 1000 + (i % PROCESSES),
    pstart: 5_000_000_000n + BigInt(i % PROCESSES),
    tid: 1000 + (i % PROCESSES),
    ppid: 1,
    uid: 1000,
    gid: 1000,
    comm: `worker-${i % 20}`,
    cgroup_id: 7777n + BigInt(i % 3),
    kstack_id: 0n,
    ustack_id: 0n,
    weight: 1,
    flags: 0,
    ...KINDS[kind]?.(i),
  };
}

/** Rows of these kinds, all of one type, in turn. */
function blockOf(kinds: readonly string[]): Block {
  const type = kinds[0]?.split('.')[0] as EventType;
  const rows = Array.from({ length: ROWS }, (_, i) => rowOf(kinds[i % kinds.length] as string, i));
  return { type, columns: columnsWith(type, rows) };
}

function converter(): Converter {
  const origin = {
    recording: '01KB0000000000000000000000',
    host: 'host',
    boot_id: '0f1d7a0c-6c1e-4d53-9a52-3c1d5f7f8a11',
    tsOffset: OFFSET,
  };
  return new Converter(origin);
}

/** Rows of the blocks in turn, so many times; the bytes of their text, or the properties of their objects. */
function convert(own: Converter, blocks: readonly Block[], asText: boolean): number {
  let made = 0;
  for (let round = 0; round < ROUNDS; round++) {
    for (let row = 0; row < ROWS; row++) {
      const { type, columns } = blocks[row % blocks.length] as Block;
      if (asText) {
        own.write(type, columns, row);
        if (written() > TAKEN_BYTES) made += take().length;
      } else made += own.convert(type, columns, row)?.id.length ?? 0;
    }
  }
  return made;
}

/** Rows per second of CPU time. */
function measure(blocks: readonly Block[], asText: boolean): number {
  const own = converter();
  const before = process.cpuUsage();
  convert(own, blocks, asText);
  const { user, system } = process.cpuUsage(before);
  return (ROWS * ROUNDS) / ((user + system) / 1e6);
}

export async function bench(): Promise<void> {
  const kinds = Object.keys(KINDS);
  const byType = Map.groupBy(kinds, (kind) => kind.split('.')[0]);
  const sets = new Map<string, readonly Block[]>([
    ...kinds.map((kind) => [kind, [blockOf([kind])]] as const),
    ['all of these in turn', [...byType.values()].map(blockOf)],
  ]);
  for (const asText of [true, false]) {
    const form = asText ? 'JSON text' : 'object';
    for (const [name, blocks] of sets) {
      measure(blocks, asText);
      const values = Array.from({ length: RUNS }, () => measure(blocks, asText));
      report({ name: `unify ${name}, to ${form}`, values, unit: 'events/s and core' });
    }
  }
}
