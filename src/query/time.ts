// The one time grammar of all commands. Times are ns since 1970.

import { parseDuration } from '../config/values.ts';
import { TapioError } from '../errors.ts';

const NS_PER_MS = 1_000_000n;
const MS_PER_MINUTE = 60_000;
const MS_PER_DAY = 86_400_000;
const MS_PER_400_YEARS = 146_097 * MS_PER_DAY;
/** What a timestamp column holds. */
const TS_MIN = -(2n ** 63n);
const TS_MAX = 2n ** 63n - 1n;
const RFC3339 =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:\d{2})?)?$/i;
const CLOCK = /^(?:(today|yesterday)\s+)?(\d{1,2}):(\d{2})(?::(\d{2}))?$/i;

/** What an unreadable time is told. */
export const TIME_HELP =
  'write 2026-11-22T18:00:00Z, 10m (ago), today 14:00, yesterday 14:00, 14:00 or +30s';

/** A reading of calendar and clock. */
interface Reading {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hours: number;
  readonly minutes: number;
  readonly seconds: number;
}

const usage = (message: string): TapioError => new TapioError('usage', message);

function asUtc({ year, month, day, hours, minutes, seconds }: Reading): number {
  // Date.UTC takes years below 100 for those of the last century; a calendar repeats after 400 years.
  return Date.UTC(year + 400, month - 1, day, hours, minutes, seconds) - MS_PER_400_YEARS;
}

/** False of the 30th of February, 24:00 and the like; a leap second is told apart. */
function isReading(reading: Reading, text: string): boolean {
  const { month, day, hours, minutes, seconds } = reading;
  if (hours > 23 || minutes > 59 || seconds > 60) return false;
  const date = new Date(asUtc({ ...reading, seconds: 0 }));
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return false;
  if (seconds === 60) {
    throw usage(
      `${text} is a leap second, which clocks of hosts do not show: write :59 or the next minute`,
    );
  }
  return true;
}

/**
 * The moments, in ms, at which a local clock shows a reading: none where it went forward over it, two
 * where it went back.
 */
function localMoments(reading: Reading): number[] {
  const utc = asUtc(reading);
  const offsets = [-MS_PER_DAY, MS_PER_DAY].map((by) => new Date(utc + by).getTimezoneOffset());
  return [...new Set(offsets)]
    .map((offset) => utc + offset * MS_PER_MINUTE)
    .filter((ms) => {
      const at = new Date(ms);
      return at.getHours() === reading.hours && at.getMinutes() === reading.minutes;
    })
    .sort((a, b) => a - b);
}

/** The first moment that a local clock shows a reading. */
function firstLocal(reading: Reading, text: string): number {
  const [first] = localMoments(reading);
  if (first !== undefined) return first;
  throw usage(
    `${text} does not exist here, as the clocks went forward over it: write another, or one with Z`,
  );
}

function fromRfc3339(text: string): bigint | null {
  const match = RFC3339.exec(text);
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hours, minutes, seconds] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const reading = {
    year,
    month,
    day,
    hours: hours ?? 0,
    minutes: minutes ?? 0,
    seconds: seconds ?? 0,
  };
  if (!isReading(reading, text)) return null;
  const [fraction = '', zone] = match.slice(7);
  // Without a zone a time is local, as people write it.
  const ms = zone === undefined ? firstLocal(reading, text) : utcAt(reading, zone);
  return ms === null ? null : BigInt(ms) * NS_PER_MS + BigInt(fraction.padEnd(9, '0'));
}

function utcAt(reading: Reading, zone: string): number | null {
  if (zone.toUpperCase() === 'Z') return asUtc(reading);
  const [hours = 0, minutes = 0] = zone.slice(1).split(':').map(Number);
  if (hours > 23 || minutes > 59) return null;
  const offset = (hours * 60 + minutes) * MS_PER_MINUTE;
  return asUtc(reading) - (zone.startsWith('-') ? -offset : offset);
}

function fromClock(text: string, nowMs: number): bigint | null {
  const match = CLOCK.exec(text);
  if (match === null) return null;
  const [, named, hours, minutes, seconds] = match;
  const at = (daysAgo: number): Reading => {
    const now = new Date(nowMs);
    const date = new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysAgo, 12);
    const [year, month, day] = [date.getFullYear(), date.getMonth() + 1, date.getDate()];
    const clock = { hours: Number(hours), minutes: Number(minutes), seconds: Number(seconds ?? 0) };
    return { year, month, day, ...clock };
  };
  if (!isReading(at(0), text)) return null;
  if (named !== undefined) {
    const ago = named.toLowerCase() === 'today' ? 0 : 1;
    return BigInt(firstLocal(at(ago), text)) * NS_PER_MS;
  }
  // A bare time is the last one that was; a day may lack it where the clocks went forward.
  const last = [2, 1, 0]
    .flatMap((ago) => localMoments(at(ago)))
    .filter((ms) => ms <= nowMs)
    .at(-1);
  return last === undefined ? null : BigInt(last) * NS_PER_MS;
}

function duration(text: string): bigint | null {
  try {
    return BigInt(Math.round(parseDuration(text.replaceAll(' ', '')) * 1e6));
  } catch {
    return null;
  }
}

function momentOf(text: string, now: bigint, since: bigint | null): bigint {
  const trimmed = text.trim();
  if (trimmed === 'now') return now;
  const absolute = fromRfc3339(trimmed) ?? fromClock(trimmed, Number(now / NS_PER_MS));
  if (absolute !== null) return absolute;
  if (trimmed.startsWith('+')) {
    const span = duration(trimmed.slice(1));
    if (span !== null && since !== null) return since + span;
    if (span !== null) throw usage(`${text} counts from --since: give that too`);
  }
  const ago = duration(trimmed.replace(/\s*ago$/i, ''));
  if (ago !== null) return now - ago;
  throw usage(`${text} is no time: ${TIME_HELP}`);
}

/**
 * The moment that `text` means. `now` and `since` in ns; `+30s` counts from `since`. A local time that
 * comes twice is the first one, but a bare one is always the last that was. Throws TapioError('usage') for
 * what is no time.
 */
export function parseTime(text: string, now: bigint, since: bigint | null = null): bigint {
  return inRange(momentOf(text, now, since), text);
}

function inRange(moment: bigint, text: string): bigint {
  if (moment >= TS_MIN && moment <= TS_MAX) return moment;
  throw usage(`${text} is out of range: times lie between the years 1678 and 2261`);
}

/** --span where it is not given. */
export const SPAN_DEFAULT = '30s';

/** The flags of a window, as they were given. */
export interface WindowFlags {
  readonly since?: unknown;
  readonly until?: unknown;
  readonly around?: unknown;
  readonly span?: unknown;
}

/** ns; since <= ts < until, null where it is open. */
export interface Window {
  readonly since: bigint | null;
  readonly until: bigint | null;
}

function givenOnce(name: string, value: unknown): string | null {
  if (value === undefined) return null;
  if (Array.isArray(value)) throw usage(`--${name} is given more than once: choose one`);
  return String(value);
}

function aroundWindow(around: string, span: string | null, now: bigint): Window {
  const middle = parseTime(around, now);
  const length = duration(span ?? SPAN_DEFAULT);
  if (length === null || length <= 0n) {
    throw usage(`--span ${span} is no span of time: write ${SPAN_DEFAULT}, 500ms or 1h30m`);
  }
  const since = inRange(middle - length / 2n, `--span ${span}`);
  return { since, until: inRange(since + length, `--span ${span}`) };
}

/**
 * The window that --since and --until, or --around and --span, mean: a span lies half before and half
 * behind its middle. Throws TapioError('usage') where they contradict each other.
 */
export function parseWindow(flags: WindowFlags, now: bigint): Window {
  const [since, until, around, span] = (['since', 'until', 'around', 'span'] as const).map((name) =>
    givenOnce(name, flags[name]),
  ) as [string | null, string | null, string | null, string | null];
  if (around !== null) {
    const other = since !== null ? '--since' : until !== null ? '--until' : null;
    if (other !== null) throw usage(`--around and ${other} contradict each other: choose one`);
    return aroundWindow(around, span, now);
  }
  if (span !== null) throw usage('--span is the length of a window --around a time: give that too');
  const from = since === null ? null : parseTime(since, now);
  const to = until === null ? null : parseTime(until, now, from);
  if (from !== null && to !== null && to <= from) {
    throw usage('--until is not after --since: swap them');
  }
  return { since: from, until: to };
}
