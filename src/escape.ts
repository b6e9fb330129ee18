// What comes from outside, as it may be shown to people.

/** C0, DEL and C1, which a terminal would obey, and what turns the order of what is shown. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const COMMANDS = /[\u0000-\u001f\u007f-\u009f\p{Bidi_Control}]/gu;

/** Characters of event strings that would command a terminal, made visible. */
export function escapeControls(text: string): string {
  return text.replace(COMMANDS, (c) => {
    const named: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t', '\r': '\\r' };
    const code = c.charCodeAt(0);
    const hex = code.toString(16);
    return named[c] ?? (code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u${hex.padStart(4, '0')}`);
  });
}
