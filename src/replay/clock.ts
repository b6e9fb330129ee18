// The clock that a player goes by: CLOCK_MONOTONIC, with waits that are paced in native code.

import { native } from '../source/binding.ts';

/** Time, and waiting for it. One wait at a time. */
export interface Clock {
  /** ns of a monotonic clock. */
  now(): number;
  /** ns since 1970. */
  wall(): bigint;
  /** Waits until `at`, or until wake(); it may come back earlier than either. */
  sleepUntil(at: number): Promise<void>;
  /** Ends the wait that is under way, if there is one. */
  wake(): void;
  close(): void;
}

/** The real clock; close() ends its thread. */
export function pacedClock(): Clock {
  let waiting: (() => void) | null = null;
  const wake = (): void => {
    const resolve = waiting;
    waiting = null;
    resolve?.();
  };
  const { Pacer } = native();
  const pacer = new Pacer(wake);
  return {
    now: () => Number(process.hrtime.bigint()),
    wall: () => native().clocks().realtime,
    sleepUntil: (at) =>
      new Promise((resolve) => {
        waiting = resolve;
        if (at === Number.POSITIVE_INFINITY) pacer.cancel();
        else pacer.set(at);
      }),
    wake,
    close: () => {
      pacer.close();
      wake();
    },
  };
}
