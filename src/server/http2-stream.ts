// The HTTP/2 stream under a call of grpc-js, which is no part of its public interface: messages that are framed already go to
// it many at a time, where a write for each costs ten times as much. test/server/http2-stream.test.ts holds the package to it;
// where it is not found, messages go one by one.

import type { ServerHttp2Stream } from 'node:http2';

/** Calls are wrapped in one another, by interceptors. */
const DEPTH_MAX = 8;

interface Inner {
  readonly stream?: unknown;
  readonly call?: unknown;
  readonly nextCall?: unknown;
}

function isStream(value: unknown): value is ServerHttp2Stream {
  const stream = value as Partial<ServerHttp2Stream> | null | undefined;
  return typeof stream?.respond === 'function' && typeof stream.write === 'function';
}

/** The stream of a call, or null where it is not where it was. */
export function http2StreamOf(call: unknown): ServerHttp2Stream | null {
  let inner = call as Inner | null | undefined;
  for (let depth = 0; depth < DEPTH_MAX && inner !== null && typeof inner === 'object'; depth++) {
    if (isStream(inner.stream)) return inner.stream;
    inner = (inner.nextCall ?? inner.call) as Inner | null | undefined;
  }
  return null;
}
