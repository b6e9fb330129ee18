// What one connection may take of the server: how much it sends at once, and how fast it makes us work for nothing.

import type { ServerOptions } from 'node:http2';
import type { Server, ServerInterceptingCall, ServerInterceptor } from '@grpc/grpc-js';

/** Requests are small, whatever they ask for. */
export const REQUEST_BYTES_MAX = 64 * 1024;
export const HEADER_BYTES_MAX = 16 * 1024;
export const STREAMS_MAX = 100;

const HTTP2: ServerOptions = {
  maxHeaderListPairs: 64,
  maxSettings: 16,
  maxSessionInvalidFrames: 100,
  // A client that hangs up on its calls as fast as it makes them (CVE-2023-44487) is hung up on: so many at once, and
  // then so many a second.
  streamResetBurst: 500,
  streamResetRate: 50,
  settings: { maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: HEADER_BYTES_MAX },
};

/**
 * Holds the sessions of a server to the limits, before it is given connections; false where the package keeps its options
 * elsewhere than it did: then those of Node hold, which are wider. test/server/limits.test.ts holds the package to it.
 */
export function limitSessions(server: Server): boolean {
  const { commonServerOptions: options } = server as unknown as { commonServerOptions?: object };
  if (typeof options !== 'object') return false;
  Object.assign(options, HTTP2);
  return true;
}

/**
 * The next message of a client is read when the answer to the one before has gone: whoever asks and does not read would have
 * all answers wait in memory, each a thousand times as large as what asked for it.
 */
export const answerBeforeNext: ServerInterceptor = (_method, call) => {
  const send = call.sendMessage.bind(call);
  const read = call.startRead.bind(call);
  let [unsent, wanted] = [0, false];
  call.sendMessage = (message, callback) => {
    unsent++;
    send(message, () => {
      unsent--;
      callback();
      if (unsent > 0 || !wanted) return;
      wanted = false;
      read();
    });
  };
  call.startRead = () => {
    if (unsent > 0) wanted = true;
    else read();
  };
  return call as ServerInterceptingCall;
};
