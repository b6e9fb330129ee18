// What grpc-js itself refuses, with the codes that a client can act on: a request that makes no sense is no failure of ours.

import { type ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';

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

/** Clients refuse headers of a few KiB, and what they have sent themselves may be in a sentence about it. */
const DETAILS_MAX = 800;

function shortened(details: string): string {
  const whole = details.toWellFormed();
  return whole.length <= DETAILS_MAX ? whole : `${whole.slice(0, DETAILS_MAX).toWellFormed()}…`;
}

/** Says INVALID_ARGUMENT where the package says INTERNAL of what a client has sent, and nothing at length. */
export const sayPlainly: ServerInterceptor = (_method, call) => {
  const send = call.sendStatus.bind(call);
  // The package reports its own refusals past every interceptor, but to this method.
  call.sendStatus = (said) => {
    const details = said.details ?? '';
    const refusal =
      said.code === status.INTERNAL ? REFUSALS.find((one) => one.said.test(details)) : undefined;
    send(
      refusal === undefined
        ? { ...said, details: shortened(details) }
        : { ...said, code: status.INVALID_ARGUMENT, details: refusal.details },
    );
  };
  return call as ServerInterceptingCall;
};
