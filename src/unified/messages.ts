// Sentences about rows, written piece by piece.

import type { Integer } from './event.ts';
import { errorName, signalName } from './numbers.ts';
import * as out from './text.ts';
import { jsonPiece, type Piece, textPiece } from './text.ts';

/** Writes what it says of a row, between quotes. */
export type Saying<R> = (row: R) => void;

const COLON = 0x3a;
const NAMES_KEPT = 4096;

/** Names of numbers as pieces, each made when it is first said. */
function named(nameOf: (number: number) => string): (number: number) => Piece {
  const kept = new Map<number, Piece>();
  return (number) => {
    let piece = kept.get(number);
    if (piece === undefined) {
      piece = textPiece(nameOf(number));
      if (kept.size < NAMES_KEPT) kept.set(number, piece);
    }
    return piece;
  };
}

const errors = named((error) => `: ${errorName(error)}`);
const signals = named(signalName);

/** What is between the fields as it stands; a field that is a string is part of that as well. */
export function says<R>(
  texts: TemplateStringsArray,
  ...fields: readonly (string | Saying<R>)[]
): Saying<R> {
  let before = texts[0] ?? '';
  const parts: Saying<R>[] = [];
  const end = (): void => {
    const piece = textPiece(before);
    if (before !== '') parts.push(() => out.put(piece));
    before = '';
  };
  fields.forEach((field, i) => {
    if (typeof field === 'string') before += field;
    else {
      end();
      parts.push(field);
    }
    before += texts[i + 1] ?? '';
  });
  end();
  return inTurn(parts);
}

/** One after another, without a loop where they are few. */
function inTurn<R>(parts: readonly Saying<R>[]): Saying<R> {
  const [a, b, c, ...rest] = parts;
  if (a === undefined) return () => {};
  if (b === undefined) return a;
  if (c === undefined) {
    return (row) => {
      a(row);
      b(row);
    };
  }
  const others = inTurn(rest);
  return (row) => {
    a(row);
    b(row);
    c(row);
    others(row);
  };
}

/** A string, or what is said where there is none. */
export function text<R>(of: (row: R) => Piece | null, otherwise = '?'): Saying<R> {
  const none = textPiece(otherwise);
  return (row) => out.put(of(row) ?? none);
}

/** A number, or what is said where there is none. */
export function number<R>(of: (row: R) => Integer | null, otherwise = '?'): Saying<R> {
  const none = jsonPiece(otherwise);
  return (row) => {
    const value = of(row);
    if (value === null) out.put(none);
    else out.integer(value);
  };
}

/** The name of a signal. */
export function signal<R>(of: (row: R) => number): Saying<R> {
  return (row) => out.put(signals(of(row)));
}

/** `: ENOENT` of an errno, nothing of 0. */
export function errorBehind<R>(of: (row: R) => number): Saying<R> {
  return (row) => {
    const error = of(row);
    if (error > 0) out.put(errors(error));
  };
}

const NOBODY = jsonPiece('?');
const [OPEN, CLOSE] = [jsonPiece('['), jsonPiece(']')];

/** An address with its port. */
export function endpoint<R>(
  address: (row: R) => Piece | null,
  port: (row: R) => number | null,
): Saying<R> {
  return (row) => {
    const at = address(row);
    const behind = port(row);
    if (behind === null) {
      out.put(at ?? NOBODY);
      return;
    }
    const isBracketed = at?.hasColon === true;
    if (isBracketed) out.put(OPEN);
    out.put(at ?? NOBODY);
    if (isBracketed) out.put(CLOSE);
    out.byte(COLON);
    out.number(behind);
  };
}
