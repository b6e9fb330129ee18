// Tapio's UnifiedEvent (Go: pkg/domain/unified_event.go of the summer of 2025) as JSON: what a recorder fills of it. Keys and
// their order are those of the Go struct's tags; what is empty is left out where these say omitempty.

/** Values of `type`: Tapio has no others. */
export const UNIFIED_TYPES = [
  ...(['system', 'kubernetes', 'service', 'log', 'network'] as const),
  ...(['process', 'memory', 'cpu', 'disk', 'metric'] as const),
] as const;
export type UnifiedType = (typeof UNIFIED_TYPES)[number];

/** Values of `severity`, the mildest first. */
export const SEVERITIES = [
  ...(['debug', 'info', 'low', 'medium'] as const),
  ...(['warning', 'high', 'error', 'critical'] as const),
] as const;
export type Severity = (typeof SEVERITIES)[number];

/** Values of `category` that we give. */
export const CATEGORIES = ['security', 'performance', 'availability', 'system'] as const;
export type Category = (typeof CATEGORIES)[number];

/** A whole number; where it does not fit a double exactly, as JSON.rawJSON() has it. */
export type Integer = number | { readonly rawJSON: string };

/** Value of an attribute. */
export type Attribute = string | Integer | readonly string[];

export interface Semantic {
  readonly intent: string;
  readonly category: string;
  readonly tags: readonly string[];
  readonly narrative: string;
  /** 1: it was seen, not inferred. */
  readonly confidence: number;
}

export interface Entity {
  readonly type: 'process' | 'container';
  readonly name: string;
  readonly uid?: string;
}

export interface KernelContext {
  readonly syscall?: string;
  readonly pid?: number;
  readonly tid?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly comm?: string;
  readonly return_code?: number;
  /** Arguments by position. */
  readonly args?: Readonly<Record<string, string>>;
  readonly cpu_core?: number;
}

export interface NetworkContext {
  readonly protocol?: string;
  readonly source_ip?: string;
  readonly source_port?: number;
  readonly dest_ip?: string;
  readonly dest_port?: number;
  readonly direction?: 'ingress' | 'egress';
  readonly bytes_sent?: Integer;
  readonly bytes_recv?: Integer;
  readonly latency_ns?: Integer;
}

export interface UnifiedEvent {
  /** 32 lower hex digits. */
  readonly id: string;
  /** RFC 3339 in UTC, as Go's RFC3339Nano writes it. */
  readonly timestamp: string;
  readonly type: UnifiedType;
  readonly source: 'ebpf';
  readonly category?: Category;
  readonly severity?: Severity;
  readonly confidence?: number;
  readonly message?: string;
  readonly semantic?: Semantic;
  readonly entity?: Entity;
  readonly kernel?: KernelContext;
  readonly network?: NetworkContext;
  /** What has no place of its own, keys in order: files have none. */
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

/** The event as it is sent. */
export function unifiedJson(event: UnifiedEvent): string {
  return JSON.stringify(event);
}
