// Values of settings: lists, durations, sizes, numbers, and what is said of those that make no sense.

import { nearestName, TapioError } from '../errors.ts';

/** The error for a setting that makes no sense. */
export const usage = (message: string): TapioError => new TapioError('usage', message);

/** The error for a name that is not known, with the nearest that is. */
export function unknownName(what: string, word: string, names: Iterable<string>): TapioError {
  const near = nearestName(word, names);
  const hint = near === null ? '' : ` (did you mean ${near}?)`;
  return usage(`unknown ${what} ${word}${hint}`);
}

/** A list given as text with commas, as a list, or several times. */
export function listOf(value: unknown): string[] {
  const parts = Array.isArray(value) ? value : [value];
  return parts
    .flatMap((part) => String(part).split(','))
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A duration such as 500ms, 10s, 1h30m, in ms. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/gy)];
  const covered = parts.reduce((sum, part) => sum + part[0].length, 0);
  if (parts.length === 0 || covered !== text.length) {
    throw usage(`${text} is no duration: write 500ms, 10s, 5m or 1h30m`);
  }
  return parts.reduce((sum, part) => sum + Number(part[1]) * (UNITS_MS[part[2] ?? ''] ?? 0), 0);
}

/** A size such as 64MiB, 64M or 67108864, in bytes (units are powers of 1024). */
export function parseSize(text: string): number {
  const match = /^(\d+)\s*([kmg]?)(i?b)?$/i.exec(text);
  if (match === null) throw usage(`${text} is no size: write 64MiB or 67108864`);
  const power = ['', 'k', 'm', 'g'].indexOf((match[2] ?? '').toLowerCase());
  return Number(match[1]) * 1024 ** power;
}

/** Where something listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** HOST:PORT or [IPV6]:PORT; null where it is neither. */
export function addressOf(text: string): Address | null {
  const [, host, digits] = /^(\[[0-9a-fA-F:.]+\]|[^:[\]/]+):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (host === undefined || port > 65_535) return null;
  return { host: host.replace(/^\[|\]$/g, ''), port };
}

export function numberOf(name: string, value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  const number = Number(value);
  if (!Number.isFinite(number) || number < 0)
    throw usage(`--${name} ${value} is not a number from 0`);
  return number;
}

export function integerOf(name: string, value: unknown, fallback: number): number {
  const number = numberOf(name, value, fallback);
  if (!Number.isSafeInteger(number)) throw usage(`--${name} ${value} is not a whole number`);
  return number;
}

export function booleanOf(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (value === true || value === 'true' || value === '1') return true;
  if (value === false || value === 'false' || value === '0') return false;
  throw usage(`${name} is true or false, not ${value}`);
}
