// Regular expressions: RE2's syntax, which CEL has. The plain executor runs them on JavaScript's engine.

const compiled = new Map<string, RegExp>();
const COMPILED_MAX = 256;

/** The JavaScript form of an RE2 pattern that checkPattern has let through. */
export function regexOf(pattern: string): RegExp {
  let regex = compiled.get(pattern);
  if (regex === undefined) {
    regex = new RegExp(pattern, 'u');
    if (compiled.size >= COMPILED_MAX) compiled.clear();
    compiled.set(pattern, regex);
  }
  return regex;
}
