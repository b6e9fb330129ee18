// Rows that are typical of what goes onward, as columns as segments have them.

import type { EventType } from '../../schemas/arrow.ts';
import type { RowColumns } from '../../src/event/json.ts';
import type { Column } from '../../src/raw/layout.ts';
import { DictionaryVector, NumberVector, SliceVector } from '../../src/segment/vectors.ts';
import { columnsWith, type PlainRow } from '../support/unified-rows.ts';

const PROCESSES = 500;
const TS0 = 1_795_000_000_000_000_000n;
/** ts − ktime, ns. */
export const OFFSET = 1_794_900_000_000_000_000n;

const ADDRESSES = { saddr: '10.1.2.3', family: 'inet', protocol: 'tcp', sport: 51514, dport: 443 };

/** Own fields of the rows that are typical of what goes onward. */
export const KINDS: Readonly<Record<string, (i: number) => PlainRow>> = {
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

export interface Block {
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

/** So many rows of these kinds, all of one type, in turn. */
export function blockOf(kinds: readonly string[], count: number): Block {
  const type = kinds[0]?.split('.')[0] as EventType;
  const rows = Array.from({ length: count }, (_, i) => rowOf(kinds[i % kinds.length] as string, i));
  return { type, columns: columnsWith(type, rows) };
}

/** The columns of a block in one piece of memory, as scans and followers give them; dictionaries have their own. */
export function inOnePiece({ columns, ...block }: Block): Block {
  const views = [...columns.values()].flatMap(viewsOf);
  const places = new Map<ArrayBufferView, number>();
  let bytes = 0;
  for (const view of views) {
    places.set(view, bytes);
    bytes += (view.byteLength + 7) & ~7;
  }
  const memory = new ArrayBuffer(bytes);
  const moved = <V extends ArrayBufferView | null>(view: V): V => {
    if (view === null) return view;
    const { buffer, byteOffset, byteLength } = view;
    const at = places.get(view) ?? 0;
    new Uint8Array(memory, at, byteLength).set(new Uint8Array(buffer, byteOffset, byteLength));
    const { BYTES_PER_ELEMENT: width = 1 } = view as unknown as Uint8Array;
    if (width === 1) return new Uint8Array(memory, at, byteLength) as unknown as V;
    return new (view.constructor as Uint8ArrayConstructor)(
      memory,
      at,
      byteLength / width,
    ) as unknown as V;
  };
  const column = (one: Column): Column => {
    if (one instanceof NumberVector) {
      return new NumberVector(one.length, moved(one.validity), moved(one.values));
    }
    if (one instanceof DictionaryVector) {
      const { length, validity, indices, dictionary } = one;
      return new DictionaryVector(length, moved(validity), moved(indices), dictionary);
    }
    if (!(one instanceof SliceVector)) return one;
    const { offsets, inner, heap } = one.buffers;
    const buffers = { offsets: moved(offsets), inner: moved(inner), heap: moved(heap) };
    return new SliceVector(one.length, moved(one.validity), buffers, () => null);
  };
  return { ...block, columns: new Map([...columns].map(([name, one]) => [name, column(one)])) };
}

function viewsOf(one: Column): ArrayBufferView[] {
  if (one instanceof NumberVector) return [one.validity, one.values];
  if (one instanceof DictionaryVector) return [one.validity, one.indices];
  if (!(one instanceof SliceVector)) return [];
  const { offsets, inner, heap } = one.buffers;
  return [one.validity, offsets, heap, ...(inner === null ? [] : [inner])];
}
