// Tapio's UnifiedEvent (Go: pkg/domain/unified_event.go of the summer of 2025): what a recorder fills of it. Keys, their
// order and what is left out where it is empty are those of the Go struct's tags. From this table come the TypeScript type
// and the JSON schema; a Go struct with the same tags is held against it by the tests.

/**
 * How a field is written. `u64` and `i64` may be beyond what a double holds: their digits are all there. `attribute`
 * is Go's `any`. `text_map` and `attributes` are objects of any keys.
 */
export type UnifiedFieldType =
  | 'text'
  | 'texts'
  | 'text_map'
  | 'time'
  | 'base64'
  | 'u16'
  | 'u32'
  | 'u64'
  | 'i32'
  | 'i64'
  | 'share'
  | 'attributes';

export interface UnifiedField {
  readonly type: UnifiedFieldType | UnifiedObject;
  /** Go leaves it out where it is 0, empty or nil. */
  readonly omitempty?: true;
  /** All that it can be. */
  readonly values?: readonly string[];
  readonly pattern?: string;
  readonly doc?: string;
}

/** An object with these keys, in order. */
export type UnifiedObject = Readonly<{ [key: string]: UnifiedField }>;

/** Values of `type`: Tapio has no others. */
export const UNIFIED_TYPES = [
  ...(['system', 'kubernetes', 'service', 'log', 'network'] as const),
  ...(['process', 'memory', 'cpu', 'disk', 'metric'] as const),
] as const;

/** Values of `severity`, the mildest first. */
export const SEVERITIES = [
  ...(['debug', 'info', 'low', 'medium'] as const),
  ...(['warning', 'high', 'error', 'critical'] as const),
] as const;

/** Values of `category` that a recorder gives. */
export const CATEGORIES = ['security', 'performance', 'availability', 'system'] as const;

const TEXT = { type: 'text', omitempty: true } as const;
const U16 = { type: 'u16', omitempty: true } as const;
const U32 = { type: 'u32', omitempty: true } as const;
const U64 = { type: 'u64', omitempty: true } as const;

const SEMANTIC = {
  intent: { type: 'text' },
  category: { type: 'text' },
  tags: { type: 'texts' },
  narrative: { type: 'text' },
  confidence: { type: 'share', doc: '1: it was seen, not inferred' },
} as const satisfies UnifiedObject;

const ENTITY = {
  type: { type: 'text', values: ['process', 'container'] },
  name: { type: 'text' },
  uid: { ...TEXT, doc: 'pid:pstart of a process' },
} as const satisfies UnifiedObject;

const KERNEL = {
  syscall: TEXT,
  pid: U32,
  tid: U32,
  uid: { ...U32, doc: 'absent of root, as Go leaves out 0' },
  gid: U32,
  comm: TEXT,
  return_code: { type: 'i32', omitempty: true, doc: 'as the kernel returns (−errno)' },
  args: { type: 'text_map', omitempty: true, doc: 'arguments by position' },
  stack_trace: { type: 'texts', omitempty: true },
  cpu_core: { type: 'u32', omitempty: true },
} as const satisfies UnifiedObject;

const NETWORK = {
  protocol: TEXT,
  source_ip: TEXT,
  source_port: U16,
  dest_ip: TEXT,
  dest_port: U16,
  direction: { ...TEXT, values: ['ingress', 'egress'] },
  bytes_sent: U64,
  bytes_recv: U64,
  latency_ns: { type: 'i64', omitempty: true },
} as const satisfies UnifiedObject;

/** The event. */
export const UNIFIED_EVENT = {
  id: { type: 'text', pattern: '^[0-9a-f]{32}$', doc: '32 lower hex digits' },
  timestamp: { type: 'time', doc: 'RFC 3339 in UTC, as Go’s RFC3339Nano writes it' },
  type: { type: 'text', values: UNIFIED_TYPES },
  source: { type: 'text', values: ['ebpf'] },
  category: { ...TEXT, values: CATEGORIES },
  severity: { ...TEXT, values: SEVERITIES },
  confidence: { type: 'share', omitempty: true },
  message: TEXT,
  tags: { type: 'texts', omitempty: true },
  semantic: { type: SEMANTIC, omitempty: true },
  entity: { type: ENTITY, omitempty: true },
  kernel: { type: KERNEL, omitempty: true },
  network: { type: NETWORK, omitempty: true },
  attributes: {
    type: 'attributes',
    omitempty: true,
    doc: 'what has no place of its own, keys in order: files have none',
  },
  raw_data: { type: 'base64', omitempty: true },
} as const satisfies UnifiedObject;
