// Constants that are written as strings: times, durations, networks. All are exact.

import { parseAddress } from '../predicate.ts';

const NS_PER_MS = 1_000_000n;
const NS_PER_S = 1_000_000_000n;

/** First and last moment that CEL knows: years 1 to 9999. */
export const TIMESTAMP_MIN = BigInt(Date.parse('0001-01-01T00:00:00Z')) * NS_PER_MS;
export const TIMESTAMP_MAX = BigInt(Date.parse('9999-12-31T23:59:59Z')) * NS_PER_MS + NS_PER_S - 1n;
/** Longest duration, about 292 years: what 64 bits hold. */
export const DURATION_MAX = 2n ** 63n - 1n;

const RFC3339 =
  /^(\d{4}-\d{2}-\d{2})T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,9}))?(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/i;

/** RFC 3339 as ns since 1970; null for what is no time. */
export function parseTimestamp(text: string): bigint | null {
  const match = RFC3339.exec(text);
  if (match === null) return null;
  const [, day = '', hours, minutes, seconds, fraction = '', zone = ''] = match;
  // Date takes February 30 for a day of March.
  const midnight = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(midnight) || !new Date(midnight).toISOString().startsWith(day)) return null;
  const ms = Date.parse(`${day}T${hours}:${minutes}:${seconds}${zone.toUpperCase()}`);
  const ts = BigInt(ms) * NS_PER_MS + BigInt(fraction.padEnd(9, '0'));
  return ts < TIMESTAMP_MIN || ts > TIMESTAMP_MAX ? null : ts;
}

const UNITS_NS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n,
  μs: 1000n,
  ms: NS_PER_MS,
  s: NS_PER_S,
  m: 60n * NS_PER_S,
  h: 3600n * NS_PER_S,
};

const PART = /(\d+)?(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/y;

function parseParts(text: string): bigint | null {
  let sum = 0n;
  PART.lastIndex = 0;
  for (let at = 0; at < text.length; at = PART.lastIndex) {
    const match = PART.exec(text);
    if (match === null) return null;
    const [, whole = '', fraction = '', unit = ''] = match;
    const scale = UNITS_NS[unit] ?? 0n;
    const parts = 10n ** BigInt(fraction.length);
    const scaled = BigInt(`0${fraction}`) * scale;
    if (whole + fraction === '' || scaled % parts !== 0n) return null;
    sum += BigInt(`0${whole}`) * scale + scaled / parts;
  }
  return sum;
}

/** CEL's duration (1h30m, 1.5s, -100ms) in ns; null for what is none, is finer than 1 ns, or too long. */
export function parseDuration(text: string): bigint | null {
  const [, sign = '', rest = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  const ns = rest === '0' ? 0n : rest === '' ? null : parseParts(rest);
  if (ns === null || ns > DURATION_MAX) return null;
  return sign === '-' ? -ns : ns;
}

/** Why a text is no CIDR, as a remedy; null where it is one. */
export function checkNetwork(text: string): string | null {
  const [, base = '', length = ''] = /^([^/]*)\/(\d{1,3})$/.exec(text) ?? [];
  const address = parseAddress(base);
  if (address === null || Number(length) > address.bits || /^0\d/.test(length)) {
    return 'write 10.0.0.0/8 or fe80::/10';
  }
  if (address.bits === 128 && address.value >> 32n === 0xffffn) {
    return 'addresses mapped into IPv6 are recorded as IPv4';
  }
  const rest = BigInt(address.bits - Number(length));
  const host = address.value & ((1n << rest) - 1n);
  return host === 0n ? null : `bits are set beyond its first ${Number(length)}`;
}
