// Texts as UTF-8, written straight into memory: strings that are put together cost more than all that they say, and whoever
// sends them wants bytes.

import type { Integer } from './event.ts';

/** Memory that texts are written into, at first. */
const MEMORY_BYTES = 1024 * 1024;
/** Always free behind a piece: more than all that is written without asking until the next piece. */
const SLACK_BYTES = 1024;
/** Up to here a loop is faster than the call that copies. */
const LOOP_BYTES = 32;
/** Most bytes of JSON that a unit of a string becomes: \u0000. */
const ESCAPED_BYTES = 6;

const WORD = 2 ** 32;
const K = 1000;
const M = K * K;
const G = K * M;
const [QUOTE, BACKSLASH, BLANK, MINUS, ZERO, DOT, DEL, BRACE] = [
  0x22, 0x5c, 0x20, 0x2d, 0x30, 0x2e, 0x7f, 0x7b,
];

/** Digits of 0 to 999 as a word, the first in its lowest byte; with all their zeros, and without. */
const [THREE, FEW] = [new Int32Array(K), new Int32Array(K)];
for (let i = 0; i < K; i++) {
  const digits = [Math.trunc(i / 100), Math.trunc(i / 10) % 10, i % 10].map((n) => n + ZERO);
  const wordOf = (some: readonly number[]): number =>
    some.reduce((word, digit, at) => word | (digit << (8 * at)), 0);
  THREE[i] = wordOf(digits);
  FEW[i] = wordOf(digits.slice(i < 10 ? 2 : i < 100 ? 1 : 0));
}

/** Two hex digits of a byte, the first in the lower byte. */
const HEX = Uint16Array.from({ length: 256 }, (_, i) => {
  const digits = i.toString(16).padStart(2, '0');
  return digits.charCodeAt(0) | (digits.charCodeAt(1) << 8);
});

/** What is written as it is, again and again. */
export class Piece {
  /** As it was before it was escaped. */
  readonly text: string;
  readonly length: number;
  readonly bytes: Uint8Array;
  /** The same, zeros at its end. */
  readonly words: Int32Array;
  readonly hasColon: boolean;

  constructor(text: string, json: string) {
    const bytes = Buffer.from(json);
    const padded = new ArrayBuffer((bytes.length + 3) & ~3);
    this.text = text;
    this.length = bytes.length;
    this.bytes = new Uint8Array(padded, 0, bytes.length);
    this.bytes.set(bytes);
    this.words = new Int32Array(padded);
    this.hasColon = text.includes(':');
  }
}

/** A part of JSON as it stands. */
export function jsonPiece(json: string): Piece {
  return new Piece(json, json);
}

/** What a string is within the quotes of JSON. */
export function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** A text, to be written between quotes. */
export function textPiece(text: string): Piece {
  return new Piece(text, escaped(text));
}

// One writer for all: a text is written in one go, and whoever had it written takes it before anything else happens.
let memory = Buffer.allocUnsafeSlow(MEMORY_BYTES);
let view = new DataView(memory.buffer, memory.byteOffset, memory.length);
let limit = memory.length - SLACK_BYTES;
/** Where the next byte is written. */
let at = 0;

/** How many bytes are written and not taken yet. */
export function written(): number {
  return at;
}

/** Takes what is written, and begins anew. */
export function take(): Buffer {
  const bytes = Buffer.from(memory.subarray(0, at));
  at = 0;
  return bytes;
}

/** A piece of what was written since. */
export function copied(from: number): Piece {
  return jsonPiece(memory.toString('utf8', from, at));
}

/** A piece, however long. */
export function put(piece: Piece): void {
  const { length } = piece;
  if (at + length > limit) grow(length);
  if (length > LOOP_BYTES) memory.set(piece.bytes, at);
  else {
    const { words } = piece;
    // What it writes beyond the end is overwritten by what follows.
    for (let i = 0; i < words.length; i++) view.setInt32(at + 4 * i, words[i] as number, true);
  }
  at += length;
}

/** What lies between two places, as written() told them. */
export function again(from: number, to: number): void {
  const length = to - from;
  if (at + length > limit) grow(length);
  memory.copyWithin(at, from, to);
  at += length;
}

/** A character of ASCII. */
export function byte(code: number): void {
  memory[at++] = code;
}

/** Takes back the last character. */
export function back(): void {
  at--;
}

/** A brace of the last object that was begun, where its first comma is: fields have a comma before each. */
export function openAt(from: number): void {
  if (at === from) memory[at++] = BRACE;
  else memory[from] = BRACE;
}

export function quote(): void {
  memory[at++] = QUOTE;
}

/** A whole number that a double holds exactly. */
export function number(value: number): void {
  let rest = value;
  if (rest < 0) {
    memory[at++] = MINUS;
    rest = -rest;
  }
  if (rest < K) few(rest);
  else if (rest < M) {
    const thousands = (rest / K) | 0;
    few(thousands);
    three(rest - thousands * K);
  } else if (rest < G) {
    const millions = (rest / M) | 0;
    const below = rest - millions * M;
    const thousands = (below / K) | 0;
    few(millions);
    three(thousands);
    three(below - thousands * K);
  } else {
    const billions = Math.trunc(rest / G);
    number(billions);
    nine(rest - billions * G);
  }
}

/** A whole number of any size. */
export function integer(value: Integer): void {
  if (typeof value === 'number') number(value);
  else ascii(value.rawJSON);
}

/** Digits of an unsigned number of 64 bits. */
export function wide(low: number, high: number): void {
  if (high < 2 ** 21) number(high * WORD + low);
  else ascii(String((BigInt(high) << 32n) | BigInt(low)));
}

/** The same with 0x, in hex. */
export function wideHex(low: number, high: number): void {
  const text = low.toString(16);
  ascii(high === 0 ? `0x${text}` : `0x${high.toString(16)}${text.padStart(8, '0')}`);
}

/** All nine digits of a number below 10⁹. */
export function nine(value: number): void {
  const millions = (value / M) | 0;
  const below = value - millions * M;
  const thousands = (below / K) | 0;
  three(millions);
  three(thousands);
  three(below - thousands * K);
}

/** A fraction of 9 digits with its point, without zeros at its end; nothing where it is 0. */
export function fraction(value: number): void {
  if (value === 0) return;
  memory[at++] = DOT;
  nine(value);
  while (memory[at - 1] === ZERO) at--;
}

/** 8 hex digits of 32 bits. */
export function hex(word: number): void {
  view.setUint16(at, HEX[word >>> 24] as number, true);
  view.setUint16(at + 2, HEX[(word >>> 16) & 255] as number, true);
  view.setUint16(at + 4, HEX[(word >>> 8) & 255] as number, true);
  view.setUint16(at + 6, HEX[word & 255] as number, true);
  at += 8;
}

/** A text that is not kept as a piece, escaped, to be written between quotes. */
export function string(text: string): void {
  const most = text.length * ESCAPED_BYTES;
  if (at + most > limit) grow(most);
  const begun = at;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < BLANK || code >= DEL || code === QUOTE || code === BACKSLASH) {
      at = begun + memory.write(escaped(text), begun);
      return;
    }
    memory[at++] = code;
  }
}

/** Some bytes in base64. */
export function base64(bytes: Buffer, from: number, to: number): void {
  const length = Math.ceil((to - from) / 3) * 4;
  if (at + length > limit) grow(length);
  at += memory.write(bytes.toString('base64', from, to), at, 'latin1');
}

/** A short text that needs no escapes. */
function ascii(text: string): void {
  for (let i = 0; i < text.length; i++) memory[at++] = text.charCodeAt(i);
}

function few(value: number): void {
  view.setInt32(at, FEW[value] as number, true);
  at += value < 10 ? 1 : value < 100 ? 2 : 3;
}

function three(value: number): void {
  view.setInt32(at, THREE[value] as number, true);
  at += 3;
}

/** Makes room for so many bytes more. */
function grow(more: number): void {
  const size = 2 * (at + more + SLACK_BYTES);
  const before = memory;
  memory = Buffer.allocUnsafeSlow(size);
  view = new DataView(memory.buffer, memory.byteOffset, size);
  limit = size - SLACK_BYTES;
  memory.set(before.subarray(0, at));
}
