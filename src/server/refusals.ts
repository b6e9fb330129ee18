// What grpc-js itself refuses, with the codes that a client can act on: a request that makes no sense is no failure of ours.

import { type ServerInterceptor, status } from '@grpc/grpc-js';

interface Refusal {
  /** As the package says it; test/server/refusals.test.ts holds it to that. */
  readonly said: RegExp;
  readonly details: string;
}

const REFUSALS: readonly Refusal[] = [
  {
    said: /^Error deserializing request/,
    details: 'the request is no message of this method: encode it as schemas/recorder.proto has it',
  },
  {
    said: /^Failed to decompress message/,
    details: 'the request cannot be decompressed: send it as it is',
  },
  {
    said: /^Invalid grpc-timeout value/,
    details: 'grpc-timeout is no time: write up to eight digits and one of H M S m u n',
  },
];

/** Says INVALID_ARGUMENT where the package says INTERNAL of what a client has sent. */
export const sayInvalid: ServerInterceptor = (_method, call) => {
  const send = call.sendStatus.bind(call);
  // The package reports its own refusals past every interceptor, but to this method.
  call.sendStatus = (said) => {
    const refusal =
      said.code === status.INTERNAL
        ? REFUSALS.find((one) => one.said.test(said.details ?? ''))
        : undefined;
    send(
      refusal === undefined
        ? said
        : { ...said, code: status.INVALID_ARGUMENT, details: refusal.details },
    );
  };
  return call as ReturnType<ServerInterceptor>;
};
