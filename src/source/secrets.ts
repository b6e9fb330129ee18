// What the addon hides of command lines. RE2 runs the patterns: whatever the arguments, their time is linear in them.

/** RE2, over the bytes of arguments that are lines: see native/secrets.h. */
export interface SecretPattern {
  readonly name: string;
  readonly pattern: string;
}

/** How many secrets were masked, by the name of the pattern that found them. */
export type MaskedCounts = Readonly<Record<string, number>>;

export interface NativeSecretMask {
  /** The arguments without their secrets. `cut`: the last of them went on. */
  hide(args: readonly string[], cut: boolean): string[];
  /** What was masked so far. */
  masked(): MaskedCounts;
}

/** The addon's part for secrets. */
export interface SecretNative {
  /** Throws Error for a pattern that RE2 does not take. */
  SecretMask: new (
    patterns: readonly SecretPattern[],
  ) => NativeSecretMask;
}
