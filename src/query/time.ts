// The one time grammar of all commands. Times are ns since 1970.

import { parseDuration } from '../config.ts';
import { TapioError } from '../errors.ts';

const NS_PER_MS = 1_000_000n;
const RFC3339 =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})?)?$/i;
const CLOCK = /^(?:(today|yesterday)\s+)?(\d{1,2}):(\d{2})(?::(\d{2}))?$/i;

/** What an unreadable time is told. */
export const TIME_HELP =
  'write 2026-11-22T18:00:00Z, 10m (ago), today 14:00, yesterday 14:00, 14:00 or +30s';

function fromRfc3339(text: string): bigint | null {
  const match = RFC3339.exec(text);
  if (match === null) return null;
  const [, day = '', time = '00:00:00', fraction = '', zone = ''] = match;
  // Without a zone a time is local, as people write it.
  const ms = Date.parse(`${day}T${time.length === 5 ? `${time}:00` : time}${zone.toUpperCase()}`);
  if (Number.isNaN(ms)) return null;
  return BigInt(ms) * NS_PER_MS + BigInt(fraction.padEnd(9, '0'));
}

function fromClock(text: string, nowMs: number): bigint | null {
  const match = CLOCK.exec(text);
  if (match === null) return null;
  const [, day, hours, minutes, seconds] = match;
  const at = new Date(nowMs);
  at.setHours(Number(hours), Number(minutes), Number(seconds ?? 0), 0);
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds ?? 0) > 59) return null;
  if (day?.toLowerCase() === 'yesterday') at.setDate(at.getDate() - 1);
  // A bare time is the last one that was.
  else if (day === undefined && at.getTime() > nowMs) at.setDate(at.getDate() - 1);
  return BigInt(at.getTime()) * NS_PER_MS;
}

function duration(text: string): bigint | null {
  try {
    return BigInt(Math.round(parseDuration(text.replaceAll(' ', '')) * 1e6));
  } catch {
    return null;
  }
}

/**
 * The moment that `text` means. `now` and `since` in ns; `+30s` counts from `since`. Throws
 * TapioError('usage') for what is no time.
 */
export function parseTime(text: string, now: bigint, since: bigint | null = null): bigint {
  const trimmed = text.trim();
  if (trimmed === 'now') return now;
  const absolute = fromRfc3339(trimmed) ?? fromClock(trimmed, Number(now / NS_PER_MS));
  if (absolute !== null) return absolute;
  if (trimmed.startsWith('+')) {
    const span = duration(trimmed.slice(1));
    if (span !== null && since !== null) return since + span;
    if (span !== null) throw new TapioError('usage', `${text} counts from --since: give that too`);
  }
  const ago = duration(trimmed.replace(/\s*ago$/i, ''));
  if (ago !== null) return now - ago;
  throw new TapioError('usage', `${text} is no time: ${TIME_HELP}`);
}
