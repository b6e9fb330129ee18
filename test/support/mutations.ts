// Changes to the files of a store that no recorder makes: bytes, whole files, directories, commit lines.

import type { BatchPlace } from '../../src/segment/arrow-file.ts';
import { COMMITS_FILE } from '../../src/segment/file-names.ts';

/** Content by `DIRECTORY/FILE`. */
export type Files = Map<string, Buffer>;

/** A store in memory that is being changed. */
export interface Mutant {
  readonly files: Files;
  /** Directories by the one that they come from. */
  readonly origins: Map<string, string>;
  readonly random: () => number;
  /** Where the record batches of a file lie, as it was recorded. */
  readonly places: ReadonlyMap<string, readonly BatchPlace[]>;
  /** Directories that may go: what comes before and after them is of the same recording. */
  readonly middle: readonly string[];
}

/** Changes a store and says how; null where there is nothing to be changed in that way. */
export type Mutation = (mutant: Mutant) => string | null;

const below = ({ random }: Mutant, limit: number): number => Math.floor(random() * limit);

function pick<T>(mutant: Mutant, all: readonly T[]): T | undefined {
  return all[below(mutant, all.length)];
}

export const directoryOf = (path: string): string => path.slice(0, path.indexOf('/'));
const nameOf = (path: string): string => path.slice(path.indexOf('/') + 1);

export function directoriesOf(files: Files): string[] {
  return [...new Set([...files.keys()].map(directoryOf))];
}

/** A file that has bytes: every directory is as likely as the others. */
function anyFile(mutant: Mutant): string | undefined {
  const directory = pick(mutant, directoriesOf(mutant.files));
  const names = [...mutant.files].filter(
    ([path, bytes]) => directoryOf(path) === directory && bytes.length > 0,
  );
  return pick(mutant, names)?.[0];
}

function bytesOf({ files }: Mutant, path: string): Buffer {
  return files.get(path) ?? Buffer.alloc(0);
}

function randomBytes(mutant: Mutant, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => below(mutant, 256)));
}

/** A range of a length of up to `max`, most of them short. */
function anyRange(mutant: Mutant, length: number, max = length): { from: number; to: number } {
  const size = 1 + Math.floor(Math.min(max, length) * mutant.random() ** 4);
  const from = below(mutant, length - Math.min(size, length) + 1);
  return { from, to: Math.min(length, from + size) };
}

/** A change of the bytes of one file, which gets a copy of them. */
function ofBytes(change: (mutant: Mutant, bytes: Buffer, path: string) => [Buffer, string]) {
  return (mutant: Mutant): string | null => {
    const path = anyFile(mutant);
    if (path === undefined) return null;
    const [bytes, said] = change(mutant, Buffer.from(bytesOf(mutant, path)), path);
    mutant.files.set(path, bytes);
    return `${path}: ${said}`;
  };
}

const truncate = ofBytes((mutant, bytes) => {
  const to = below(mutant, bytes.length);
  return [bytes.subarray(0, to), `cut to ${to} of ${bytes.length} bytes`];
});

const extend = ofBytes((mutant, bytes) => {
  const more = randomBytes(mutant, 1 + below(mutant, 200));
  return [Buffer.concat([bytes, more]), `${more.length} bytes longer`];
});

const flip = ofBytes((mutant, bytes) => {
  const bits = Array.from({ length: 1 + below(mutant, 3) }, () => below(mutant, bytes.length * 8));
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return [bytes, `bits ${bits.join(', ')} flipped`];
});

const zero = ofBytes((mutant, bytes) => {
  const { from, to } = anyRange(mutant, bytes.length);
  bytes.fill(0, from, to);
  return [bytes, `bytes ${from} to ${to} zeroed`];
});

const overwrite = ofBytes((mutant, bytes) => {
  const { from, to } = anyRange(mutant, bytes.length, 4096);
  randomBytes(mutant, to - from).copy(bytes, from);
  return [bytes, `bytes ${from} to ${to} overwritten`];
});

/** A range of a file: one of its batches, or any. */
function batchOrRange(mutant: Mutant, path: string): { from: number; to: number } {
  const place = pick(mutant, mutant.places.get(path) ?? []);
  const { length } = bytesOf(mutant, path);
  if (place !== undefined && mutant.random() < 0.8) {
    const { offset, metadataLength, bodyLength } = place;
    return { from: offset, to: Math.min(length, offset + metadataLength + bodyLength) };
  }
  return anyRange(mutant, length);
}

/** Exchanges two ranges, whatever their lengths, within a file or between two. */
function swapRanges(mutant: Mutant, a: string, b: string): string | null {
  let [one, two] = [batchOrRange(mutant, a), batchOrRange(mutant, b)];
  if (a === b) {
    if (one.from > two.from) [one, two] = [two, one];
    if (one.to > two.from) return null;
    const bytes = bytesOf(mutant, a);
    const part = (from: number, to?: number): Buffer => bytes.subarray(from, to);
    const swapped = [
      part(0, one.from),
      part(two.from, two.to),
      part(one.to, two.from),
      part(one.from, one.to),
      part(two.to),
    ];
    mutant.files.set(a, Buffer.concat(swapped));
  } else {
    const [left, right] = [bytesOf(mutant, a), bytesOf(mutant, b)];
    const put = (into: Buffer, at: typeof one, from: Buffer, range: typeof one): Buffer =>
      Buffer.concat([
        into.subarray(0, at.from),
        from.subarray(range.from, range.to),
        into.subarray(at.to),
      ]);
    mutant.files.set(a, put(left, one, right, two));
    mutant.files.set(b, put(right, two, left, one));
  }
  return `bytes ${one.from} to ${one.to} of ${a} and ${two.from} to ${two.to} of ${b} exchanged`;
}

function swapWithin(mutant: Mutant): string | null {
  const path = pick(mutant, [...mutant.places.keys()]);
  return path === undefined || !mutant.files.has(path) ? null : swapRanges(mutant, path, path);
}

/** Another file of the same name, or any. */
function otherFile(mutant: Mutant, path: string): string | undefined {
  const all = [...mutant.files.keys()].filter((one) => one !== path);
  const same = all.filter((one) => nameOf(one) === nameOf(path));
  return pick(mutant, same.length > 0 && mutant.random() < 0.8 ? same : all);
}

function swapBetween(mutant: Mutant): string | null {
  const path = anyFile(mutant);
  const other = path === undefined ? undefined : otherFile(mutant, path);
  if (path === undefined || other === undefined) return null;
  return bytesOf(mutant, other).length === 0 ? null : swapRanges(mutant, path, other);
}

function swapFiles(mutant: Mutant): string | null {
  const path = anyFile(mutant);
  const other = path === undefined ? undefined : otherFile(mutant, path);
  if (path === undefined || other === undefined) return null;
  const bytes = bytesOf(mutant, path);
  mutant.files.set(path, bytesOf(mutant, other));
  mutant.files.set(other, bytes);
  return `${path} and ${other} exchanged`;
}

function removeFile(mutant: Mutant): string | null {
  const path = anyFile(mutant);
  if (path === undefined) return null;
  mutant.files.delete(path);
  return `${path} removed`;
}

function copyDirectory({ files, origins }: Mutant, from: string, to: string): void {
  for (const [path, bytes] of [...files]) {
    if (directoryOf(path) === from) files.set(`${to}/${nameOf(path)}`, bytes);
  }
  origins.set(to, origins.get(from) ?? from);
}

function removeDirectory({ files, origins }: Mutant, directory: string): void {
  for (const path of [...files.keys()]) if (directoryOf(path) === directory) files.delete(path);
  origins.delete(directory);
}

/** A name with another number, or none; an open one keeps its mark. */
function anyName(mutant: Mutant, of: string): string {
  const mark = of.startsWith('.open-') ? '.open-' : '';
  const name = of.slice(mark.length);
  const number = String(below(mutant, 12)).padStart(7, '0');
  const names = [name.replace(/\d{7}$/, number), `${name}-copy`, `20000101T000000.000Z-${number}`];
  return `${mark}${pick(mutant, names) ?? name}`;
}

/** While a sealed segment has a name, the open one of that name means nothing. */
function isTaken({ origins }: Mutant, name: string): boolean {
  return [name, `.open-${name}`, name.replace('.open-', '')].some((one) => origins.has(one));
}

function duplicateDirectory(mutant: Mutant): string | null {
  const from = pick(mutant, directoriesOf(mutant.files)) ?? '';
  const to = anyName(mutant, from);
  if (isTaken(mutant, to)) return null;
  copyDirectory(mutant, from, to);
  return `${from} duplicated as ${to}`;
}

function renameDirectory(mutant: Mutant): string | null {
  const from = pick(mutant, directoriesOf(mutant.files)) ?? '';
  const to = anyName(mutant, from);
  if (isTaken(mutant, to)) return null;
  copyDirectory(mutant, from, to);
  removeDirectory(mutant, from);
  return `${from} renamed ${to}`;
}

function removeMiddle(mutant: Mutant): string | null {
  const directory = pick(mutant, mutant.middle);
  if (directory === undefined || !mutant.origins.has(directory)) return null;
  removeDirectory(mutant, directory);
  return `${directory} removed`;
}

/** A change of the lines of a commits.ndjson. */
function ofLines(change: (mutant: Mutant, lines: string[], path: string) => string | null) {
  return (mutant: Mutant): string | null => {
    const path = `${pick(mutant, directoriesOf(mutant.files))}/${COMMITS_FILE}`;
    const lines = linesOf(bytesOf(mutant, path));
    if (lines.length === 0) return null;
    const said = change(mutant, lines, path);
    if (said === null) return null;
    mutant.files.set(path, Buffer.from(lines.join(''), 'latin1'));
    return `${path}: ${said}`;
  };
}

/** Lines with their ends. */
export function linesOf(bytes: Buffer): string[] {
  return bytes.toString('latin1').match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

const duplicateLine = ofLines((mutant, lines) => {
  const [from, to] = [below(mutant, lines.length), below(mutant, lines.length + 1)];
  lines.splice(to, 0, lines[from] ?? '');
  return `line ${from} again before ${to}`;
});

const dropLine = ofLines((mutant, lines) => {
  const at = below(mutant, lines.length);
  lines.splice(at, 1);
  return `line ${at} dropped`;
});

const reorderLines = ofLines((mutant, lines) => {
  const [a, b] = [below(mutant, lines.length), below(mutant, lines.length)];
  if (a === b) return null;
  [lines[a], lines[b]] = [lines[b] ?? '', lines[a] ?? ''];
  return `lines ${a} and ${b} exchanged`;
});

const editLine = ofLines((mutant, lines) => {
  const at = below(mutant, lines.length);
  const line = lines[at] ?? '';
  const digits = [...line.matchAll(/\d/g)];
  const place = pick(mutant, digits)?.index;
  if (place === undefined) return null;
  const digit = (Number(line[place]) + 1 + below(mutant, 9)) % 10;
  lines[at] = `${line.slice(0, place)}${digit}${line.slice(place + 1)}`;
  return `line ${at} has a ${digit} at ${place}`;
});

const foreignLine = ofLines((mutant, lines, path) => {
  const other = pick(mutant, directoriesOf(mutant.files));
  const from = `${other}/${COMMITS_FILE}`;
  const theirs = linesOf(bytesOf(mutant, from));
  if (from === path || theirs.length === 0) return null;
  const line = below(mutant, theirs.length);
  const at = mutant.random() < 0.5 ? Math.min(line, lines.length - 1) : below(mutant, lines.length);
  const replaced = mutant.random() < 0.5 ? 1 : 0;
  lines.splice(at + (1 - replaced), replaced, theirs[line] ?? '');
  return `line ${line} of ${from} ${replaced === 1 ? 'in place of' : 'behind'} ${at}`;
});

const withoutCommits: Mutation = (mutant) => {
  const path = `${pick(mutant, directoriesOf(mutant.files))}/${COMMITS_FILE}`;
  if (!mutant.files.delete(path)) return null;
  return `${path} removed`;
};

/** Each kind of change, and how often it is chosen. */
export const MUTATIONS: readonly (readonly [Mutation, number])[] = [
  [truncate, 4],
  [extend, 2],
  [flip, 5],
  [zero, 3],
  [overwrite, 3],
  [swapWithin, 3],
  [swapBetween, 3],
  [swapFiles, 3],
  [removeFile, 2],
  [duplicateDirectory, 2],
  [renameDirectory, 2],
  [removeMiddle, 2],
  [duplicateLine, 2],
  [dropLine, 2],
  [reorderLines, 2],
  [editLine, 2],
  [foreignLine, 3],
  [withoutCommits, 2],
];

const TOTAL = MUTATIONS.reduce((sum, [, weight]) => sum + weight, 0);

/** Changes a mutant once, or rarely twice; what was done, in sentences. */
export function mutateFiles(mutant: Mutant): string[] {
  const wanted = mutant.random() < 0.15 ? 2 : 1;
  const said: string[] = [];
  while (said.length < wanted) {
    let at = mutant.random() * TOTAL;
    const chosen = MUTATIONS.find(([, weight]) => {
      at -= weight;
      return at < 0;
    });
    const one = chosen?.[0](mutant) ?? null;
    if (one !== null) said.push(one);
  }
  return said;
}
