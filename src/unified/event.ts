// Tapio's UnifiedEvent (Go: pkg/domain/unified_event.go of the summer of 2025) as JSON: what a recorder fills of it. Keys and
// their order are those of the Go struct's tags; what is empty is left out where they say omitempty.

/** Values of `type`: Tapio has no others. */
export const UNIFIED_TYPES = [
  ...['system', 'kubernetes', 'service', 'log', 'network'],
  ...['process', 'memory', 'cpu', 'disk', 'metric'],
] as const;

/** Values of `severity`. */
export const SEVERITIES = [
  ...['debug', 'info', 'low', 'medium'],
  ...['warning', 'high', 'error', 'critical'],
] as const;

export interface UnifiedEvent {
  /** 32 lower hex digits. */
  readonly id: string;
  /** RFC 3339 in UTC. */
  readonly timestamp: string;
  readonly type: (typeof UNIFIED_TYPES)[number];
  readonly source: 'ebpf';
  readonly category?: 'security' | 'performance' | 'availability' | 'system';
  readonly severity?: (typeof SEVERITIES)[number];
  readonly message?: string;
}
