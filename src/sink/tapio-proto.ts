// The part of package tapio.v1 (proto/tapio/v1 of the summer of 2025) that an event's way to the server takes, as protobufjs
// has descriptors. Numbers are the wire's; what we neither send nor read is left out.

const field = (
  type: string,
  id: number,
  rule?: 'repeated',
): { type: string; id: number; rule?: 'repeated' } => ({
  type,
  id,
  ...(rule !== undefined && { rule }),
});

const map = (id: number): { keyType: string; type: string; id: number } => ({
  keyType: 'string',
  type: 'string',
  id,
});

/** Numbers of EventType that we use. */
export const EVENT_TYPES_V1 = {
  UNSPECIFIED: 0,
  NETWORK: 1,
  SYSCALL: 2,
  FILE_SYSTEM: 3,
  PROCESS: 4,
  RESOURCE_USAGE: 32,
} as const;

/** Numbers of EventSeverity. */
export const SEVERITIES_V1 = { DEBUG: 1, INFO: 2, WARNING: 3, ERROR: 4, CRITICAL: 5 } as const;

/** Number of SourceType EBPF. */
export const SOURCE_EBPF = 1;

const TAPIO = {
  Event: {
    fields: {
      id: field('string', 1),
      // Enums are their numbers: a later server may know more.
      type: field('int32', 2),
      severity: field('int32', 3),
      source: field('int32', 4),
      message: field('string', 5),
      description: field('string', 6),
      timestamp: field('google.protobuf.Timestamp', 7),
      context: field('EventContext', 8),
      data: field('google.protobuf.Struct', 12),
      attributes: map(13),
      collector_id: field('string', 17),
      confidence: field('double', 19),
      tags: field('string', 20, 'repeated'),
    },
  },
  EventContext: { fields: { node: field('string', 6), host: field('string', 9) } },
  EventAck: {
    fields: {
      event_id: field('string', 1),
      batch_id: field('string', 2),
      status: field('string', 4),
      message: field('string', 5),
    },
  },
  StreamError: { fields: { code: field('string', 1), message: field('string', 2) } },
  TapioStreamEventsRequest: {
    oneofs: { request: { oneof: ['event'] } },
    fields: { event: field('Event', 1) },
  },
  TapioStreamEventsResponse: {
    oneofs: { response: { oneof: ['ack', 'error'] } },
    fields: { ack: field('EventAck', 1), error: field('StreamError', 5) },
  },
  TapioService: {
    methods: {
      StreamEvents: {
        requestType: 'TapioStreamEventsRequest',
        requestStream: true,
        responseType: 'TapioStreamEventsResponse',
        responseStream: true,
      },
    },
  },
};

const GOOGLE = {
  Timestamp: { fields: { seconds: field('int64', 1), nanos: field('int32', 2) } },
  Struct: { fields: { fields: { keyType: 'string', type: 'Value', id: 1 } } },
  Value: {
    oneofs: { kind: { oneof: ['number_value', 'string_value', 'bool_value'] } },
    fields: {
      number_value: field('double', 2),
      string_value: field('string', 3),
      bool_value: field('bool', 4),
    },
  },
};

/** The descriptors. */
export const TAPIO_V1 = {
  nested: {
    tapio: { nested: { v1: { nested: TAPIO } } },
    google: { nested: { protobuf: { nested: GOOGLE } } },
  },
};
