// Where a stream or a page goes on: a recording and a seq. Clients hold tokens and give them back, or make anything up.

import { usage } from '../config/values.ts';

/** Rows of the recording up to this seq were had, and all of the recordings before it. */
export interface ResumePoint {
  readonly recording: string;
  readonly seq: bigint;
}

const FORM = /^([0-9A-Za-z-]{1,64}):(\d{1,19})$/;

export function tokenOf({ recording, seq }: ResumePoint): string {
  return recording === '' ? '' : `${recording}:${seq}`;
}

/** Throws TapioError('usage') for what is no token; null where none was given. */
export function resumePointOf(token: string | undefined): ResumePoint | null {
  if (token === undefined || token === '') return null;
  const [, recording, seq] = FORM.exec(token) ?? [];
  if (recording === undefined || seq === undefined) {
    throw usage('the token is none that was given out here: leave it out to begin anew');
  }
  return { recording, seq: BigInt(seq) };
}
