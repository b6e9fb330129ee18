// Ctrl-C once ends a reading with what there is so far; a second one ends the program.

/** Whether it was asked for. */
export interface Interrupt {
  readonly asked: boolean;
  /** Gives the signal back. */
  end(): void;
}

export function onInterrupt(): Interrupt {
  const state = { asked: false };
  const listener = (): void => {
    state.asked = true;
    process.off('SIGINT', listener);
  };
  process.on('SIGINT', listener);
  return {
    get asked() {
      return state.asked;
    },
    end: () => process.off('SIGINT', listener),
  };
}

/** Signals that ask a program to end. */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** A signal that is aborted where the program is asked to end, however often; `end` gives it all back. */
export function abortOnSignals(): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const listener = (): void => controller.abort();
  for (const name of ENDING) process.on(name, listener);
  return {
    signal: controller.signal,
    end: () => {
      for (const name of ENDING) process.off(name, listener);
    },
  };
}
