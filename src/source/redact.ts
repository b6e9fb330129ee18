// What the addon replaces in texts. RE2 runs the patterns: whatever the text, their time is linear in it.

/** A part of texts that is not to be seen. */
export interface Mask {
  /** RE2, unanchored. Its groups are replaced; where it has none, all that matches. */
  readonly pattern: string;
  /** What stands in its place, as it is. */
  readonly with: string;
}

/** Replaces what any of its masks finds. Each looks at the text as it was; parts that overlap become one. */
export interface NativeTextRedactor {
  redact(texts: readonly string[]): string[];
}

/** The addon's part for policies. */
export interface RedactNative {
  /** Throws Error for a pattern that RE2 does not take. */
  TextRedactor: new (
    masks: readonly Mask[],
  ) => NativeTextRedactor;
}
