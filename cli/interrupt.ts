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
