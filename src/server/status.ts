// What went wrong, as gRPC says it.

import { status } from '@grpc/grpc-js';
import { TapioError } from '../errors.ts';

const STATUSES: Readonly<Record<string, status>> = {
  usage: status.INVALID_ARGUMENT,
  not_permitted: status.PERMISSION_DENIED,
  unauthenticated: status.UNAUTHENTICATED,
  not_running: status.UNAVAILABLE,
  io: status.UNAVAILABLE,
  store_missing: status.NOT_FOUND,
  segment_missing: status.NOT_FOUND,
  not_held: status.NOT_FOUND,
  exhausted: status.RESOURCE_EXHAUSTED,
};

/** Code and sentence for a client. What is no error of ours is not shown: it may name what is none of its business. */
export function statusOf(error: unknown): { readonly code: status; readonly details: string } {
  if (error instanceof TapioError) {
    const code = STATUSES[error.code];
    if (code !== undefined) return { code, details: error.message };
  }
  return { code: status.INTERNAL, details: 'the recorder failed to answer: its log tells more' };
}
