// What a log keeps of a request: enough to know what was asked, no secrets, and never more than a line can bear.

import { createHash } from 'node:crypto';

const TEXT_CHARS_MAX = 512;
const REQUEST_CHARS_MAX = 4096;
const DEPTH_MAX = 6;
const MASK = '[masked]';

/** Names of fields whose values are nobody's business. */
const SECRET =
  /token|secret|password|passwd|authorization|credential|cookie|api.?key|private.?key/i;

/** A text, cut where it is long: then it says how many characters it had. */
export function boundedText(text: string, most = TEXT_CHARS_MAX): string {
  return text.length <= most ? text : `${text.slice(0, most)}… (${text.length} characters)`;
}

/**
 * A request as a log keeps it: values of fields whose name speaks of a secret are masked, long texts are cut, and what is
 * too long even so is its beginning, its length in characters and its SHA-256.
 */
export function auditedRequest(request: Readonly<Record<string, unknown>>): unknown {
  const kept = bounded(request, 0);
  const text = JSON.stringify(kept);
  if (text.length <= REQUEST_CHARS_MAX) return kept;
  const sha256 = createHash('sha256').update(text).digest('hex');
  return { begins: text.slice(0, REQUEST_CHARS_MAX / 2), characters: text.length, sha256 };
}

function bounded(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return boundedText(value);
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value !== 'object' || value === null) return value;
  if (depth === DEPTH_MAX) return '…';
  if (Array.isArray(value)) return value.map((one) => bounded(one, depth + 1));
  const fields = Object.entries(value).map(([name, one]) => {
    return [boundedText(name), SECRET.test(name) ? MASK : bounded(one, depth + 1)];
  });
  return Object.fromEntries(fields);
}
