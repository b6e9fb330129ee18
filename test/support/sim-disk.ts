// A file system that loses what was not synced. Every operation is done at once in a real directory, so
// that the code under test reads it with node:fs; beside that runs a model of what the disk has for sure.
// At a power cut the directory is rewritten to one of the states that the disk may have then.

import {
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StoreFiles } from '../../src/segment/files.ts';
import { type AppendFile, GrowingFile, type RawFile } from '../../src/segment/growing-file.ts';
import { DirectoryNode, FileNode, type Left, Names, type Node, pick } from './sim-inodes.ts';

// Real disks make the syncs that the simulated one does without: replacing a file on ext4 writes it back.
const MEMORY = '/dev/shm';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A directory for a simulated disk, in memory where the machine has it; it goes away with the test. */
export function diskDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'tapio-disk-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** The power is gone: nothing that is done from now on happens. */
export class PowerCut extends Error {}

/** What is counted, can be cut at, and can fail. */
export type OperationName =
  | 'create'
  | 'open'
  | 'append'
  | 'truncate'
  | 'sync'
  | 'mkdir'
  | 'rename'
  | 'unlink'
  | 'rmdir'
  | 'syncDirectory';

/** One primitive operation. */
export interface Operation {
  /** From 1. */
  readonly number: number;
  readonly operation: OperationName;
  /** Within the disk. */
  readonly path: string;
  /** `src/…/file.ts:line` of the code that asked for it. */
  readonly site: string;
}

/** The n-th operation, or every one of which the function says so. */
export type Where = number | ((operation: Operation) => boolean);

type ErrorName = 'ENOSPC' | 'EIO' | 'EROFS' | 'EDQUOT' | 'ENOENT';

// A frame of a stack: a path or file URL, perhaps with a query, then line and column. Not of node: itself.
const FRAME = /[( ](?:file:\/\/)?(\/[^()?]+)(?:\?[^():]*)?:(\d+):\d+\)?$/;

/** What lies between an operation and the code that asked for it. */
const INNER = ['/test/support/sim-disk.ts', '/src/segment/growing-file.ts'];

/** Where an operation was asked for. Stacks are cheap to take and dear to read: it is read when needed. */
class CallSite {
  readonly #trace: { stack?: string } = {};
  #text: string | null = null;

  constructor() {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 12;
    Error.captureStackTrace(this.#trace);
    Error.stackTraceLimit = stackTraceLimit;
  }

  get text(): string {
    this.#text ??= this.#read();
    return this.#text;
  }

  #read(): string {
    for (const line of (this.#trace.stack ?? '').split('\n')) {
      const [, path, at] = FRAME.exec(line) ?? [];
      if (path === undefined || INNER.some((one) => path.endsWith(one))) continue;
      return `${path.startsWith(ROOT) ? relative(ROOT, path) : path}:${at}`;
    }
    return 'unknown';
  }
}

function errnoError(code: ErrorName, operation: string, path: string): Error {
  const errno = -constants.errno[code];
  const fields = { code, errno, syscall: operation, path };
  return Object.assign(new Error(`${code}: simulated, ${operation} '${path}'`), fields);
}

interface Delayed {
  /** Operations that had been done when it was put off. */
  readonly since: number;
  readonly act: () => void;
}

/**
 * A disk over the directory `root`; what is there when it is made is durable. Without lose() a cut is the
 * death of the process alone: the directory keeps all that was done. After lose() this disk is gone, and
 * a new one over the same directory is the machine that starts again.
 */
export class SimDisk implements StoreFiles {
  readonly root: string;
  /** Call sites whose syncs make nothing durable. */
  skip: ReadonlySet<string> = new Set();
  /**
   * Call site whose operations take effect only after the next one from elsewhere. Not those that make
   * files and directories: what follows needs them.
   */
  delay: string | null = null;
  readonly log: Operation[] = [];
  /** What lose() lost, in sentences. */
  readonly lost: string[] = [];
  #names = new Names();
  #cut = Number.POSITIVE_INFINITY;
  #off = false;
  #free = Number.POSITIVE_INFINITY;
  readonly #faults: { readonly where: Where; readonly code: ErrorName }[] = [];
  #stall: { readonly ms: number; readonly where: Where } | null = null;
  readonly #delayed: Delayed[] = [];
  readonly #descriptors = new Set<number>();
  readonly #closing: number[] = [];

  constructor(root: string) {
    this.root = resolve(root);
    this.settle();
  }

  /** Primitive operations so far. */
  get operations(): number {
    return this.log.length;
  }

  /** Files that the code under test has open. */
  get openFiles(): number {
    return this.#descriptors.size;
  }

  /** True once the power is gone. */
  get off(): boolean {
    return this.#off;
  }

  /** The n-th operation from the beginning, and all after it, throw PowerCut instead of happening. */
  cutAt(n: number): void {
    this.#cut = n;
  }

  /** Makes operations throw. A sync that fails leaves its data to chance for ever, as the kernel does. */
  failAt(where: Where, code: ErrorName): void {
    this.#faults.push({ where, code });
  }

  /** Bytes that can still be appended; the append that passes them writes what fits, then throws ENOSPC. */
  free(bytes: number): void {
    this.#free = bytes;
  }

  /** Every operation, or those that `where` says, takes so much longer; 0 ends it. */
  stall(ms: number, where: Where = () => true): void {
    this.#stall = ms > 0 ? { ms, where } : null;
  }

  /** Takes the directory as it now is for durable: for what was put there past this disk. */
  settle(): void {
    this.#names = new Names();
    const scan = (path: string, into: DirectoryNode): void => {
      for (const entry of readdirSync(path, { withFileTypes: true })) {
        const at = join(path, entry.name);
        const node = entry.isDirectory() ? new DirectoryNode() : new FileNode(readFileSync(at));
        into.durable.set(entry.name, node);
        into.now.set(entry.name, node);
        if (node instanceof DirectoryNode) scan(at, node);
      }
    };
    scan(this.root, this.#names.root);
  }

  makeDirectory(path: string): void {
    const site = new CallSite();
    const missing: string[] = [];
    for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.unshift(at);
    if (missing.length === 0) this.#step('mkdir', path, site);
    for (const one of missing) {
      this.#step('mkdir', one, site);
      const { directory, name } = this.#place(one);
      mkdirSync(one, { mode: 0o700 });
      this.#add(directory, name, new DirectoryNode(), `mkdir of ${this.#inner(one)}`);
    }
    chmodSync(path, 0o700);
  }

  /** A file that is there, cut to `length`; a sync of it makes that durable. */
  reopen(path: string, length: number): AppendFile {
    const site = new CallSite();
    this.#step('truncate', path, site);
    const node = this.#fileAt(path);
    const descriptor = openSync(path, 'r+');
    ftruncateSync(descriptor, length);
    this.#free += node.length - length;
    node.truncate(length);
    return this.#file(path, node, descriptor, length);
  }

  /** What is copied may lie anywhere. */
  copy(from: string, to: string): void {
    const file = this.create(to);
    try {
      file.append([readFileSync(from)]);
      file.sync();
    } finally {
      file.close();
    }
  }

  rename(from: string, to: string): void {
    const site = new CallSite();
    this.#orLater(site, () => this.#rename(from, to, site));
  }

  /** A tree goes name by name, and each of them is an operation. */
  remove(path: string): void {
    const site = new CallSite();
    this.#orLater(site, () => this.#remove(path, site));
  }

  syncDirectory(path: string): void {
    const site = new CallSite();
    this.#orLater(site, () => this.#syncDirectory(path, site));
  }

  /** Does what `delay` has put off to the end. */
  finish(): void {
    this.#catchUp(this.operations + 1);
  }

  /** Closes the files that the code under test left open. */
  close(): void {
    for (const descriptor of this.#descriptors) this.#close(descriptor);
  }

  /**
   * The process has died and another begins on the running machine: its files are closed, and what it had
   * not synced is in the page cache still.
   */
  restart(): void {
    this.#delayed.length = 0;
    this.#closing.length = 0;
    this.close();
    this.#cut = Number.POSITIVE_INFINITY;
    this.#off = false;
  }

  /** The power goes, if it has not yet: the directory becomes one of the states that the disk may have. */
  lose(random: () => number): void {
    this.#off = true;
    this.close();
    // Where each change had its own coin, states in which all data but no name survive, or the reverse,
    // would hardly ever come up; those are what order of syncs is about.
    const odds = [0, 0.2, 0.5, 0.8, 1] as const;
    const left = this.#names.left({
      random,
      data: pick(random, odds),
      names: pick(random, odds),
      tell: (sentence) => this.lost.push(sentence),
    });
    for (const name of readdirSync(this.root)) rmSync(join(this.root, name), { recursive: true });
    writeLeft(this.root, left);
  }

  #inner(path: string): string {
    const inner = relative(this.root, resolve(path));
    if (inner === '..' || inner.startsWith(`..${sep}`))
      throw new Error(`${path} is not on the disk`);
    return inner;
  }

  #nodeAt(path: string): Node {
    let node: Node = this.#names.root;
    for (const name of this.#inner(path).split(sep)) {
      if (name === '') continue;
      const next: Node | undefined = node instanceof DirectoryNode ? node.now.get(name) : undefined;
      if (next === undefined) {
        // Throws ENOENT or ENOTDIR as the system does.
        statSync(path);
        throw new Error(`${path} was made past the simulated disk: settle() takes it in`);
      }
      node = next;
    }
    return node;
  }

  #fileAt(path: string): FileNode {
    const node = this.#nodeAt(path);
    if (node instanceof FileNode) return node;
    throw new Error(`${path} is a directory`);
  }

  #place(path: string): { directory: DirectoryNode; name: string } {
    const directory = this.#nodeAt(dirname(resolve(path)));
    if (directory instanceof FileNode) throw new Error(`${dirname(path)} is a file`);
    return { directory, name: basename(path) };
  }

  #add(directory: DirectoryNode, name: string, node: Node, text: string): void {
    this.#names.change({ directory, removes: null, adds: name, node, arrival: null, text });
  }

  create(path: string): AppendFile {
    this.#step('create', path, new CallSite());
    const { directory, name } = this.#place(path);
    const descriptor = openSync(path, 'wx', 0o600);
    const node = new FileNode(Buffer.alloc(0));
    this.#add(directory, name, node, `creation of ${this.#inner(path)}`);
    return this.#file(path, node, descriptor, null);
  }

  #file(path: string, node: FileNode, descriptor: number, kept: number | null): AppendFile {
    this.#descriptors.add(descriptor);
    const raw: RawFile = {
      write: (chunks, offset) => {
        const site = new CallSite();
        const bytes = Buffer.concat(chunks);
        this.#orLater(site, () => this.#write({ path, node, descriptor, site }, offset, bytes));
      },
      sync: () => {
        const site = new CallSite();
        this.#orLater(site, () => this.#syncFile(path, node, site));
      },
      close: () => {
        if (this.#delayed.length > 0) this.#closing.push(descriptor);
        else this.#close(descriptor);
      },
    };
    return new GrowingFile(path, raw, kept);
  }

  #close(descriptor: number): void {
    if (this.#descriptors.delete(descriptor)) closeSync(descriptor);
  }

  #write(
    at: { path: string; node: FileNode; descriptor: number; site: CallSite },
    offset: number,
    bytes: Buffer,
  ): void {
    this.#step('append', at.path, at.site);
    const fitting = bytes.subarray(0, Math.min(bytes.length, this.#free));
    // The real descriptor is not in append mode: what was put off is written where it belongs.
    for (let done = 0; done < fitting.length; ) {
      done += writeSync(at.descriptor, fitting, done, fitting.length - done, offset + done);
    }
    at.node.write(offset, fitting);
    this.#free -= fitting.length;
    if (fitting.length < bytes.length) throw errnoError('ENOSPC', 'append', at.path);
  }

  // Nothing needs to be done for real: the machine under the test keeps its power.
  #syncFile(path: string, node: FileNode, site: CallSite): void {
    try {
      this.#step('sync', path, site);
    } catch (error) {
      if (!(error instanceof PowerCut)) node.syncFailed();
      throw error;
    }
    if (!this.#skips(site)) node.sync();
  }

  #syncDirectory(path: string, site: CallSite): void {
    this.#step('syncDirectory', path, site);
    const node = this.#nodeAt(path);
    if (node instanceof DirectoryNode && !this.#skips(site)) this.#names.sync(node);
  }

  #rename(from: string, to: string, site: CallSite): void {
    this.#step('rename', from, site);
    const node = this.#nodeAt(from);
    const old = this.#place(from);
    const { directory, name } = this.#place(to);
    renameSync(from, to);
    const replaced = directory.now.get(name);
    if (replaced !== node) this.#forget(replaced);
    const text = `rename of ${this.#inner(from)} to ${this.#inner(to)}`;
    const there = { directory, adds: name, node, arrival: null, text };
    if (old.directory === directory) {
      this.#names.change({ ...there, removes: old.name });
      return;
    }
    const arrival = this.#names.change({ ...there, removes: null });
    const gone = { directory: old.directory, removes: old.name, adds: null };
    this.#names.change({ ...gone, node, arrival, text: `end of the old name in the ${text}` });
  }

  #remove(path: string, site: CallSite): void {
    if (!existsSync(path)) {
      this.#step('unlink', path, site);
      return;
    }
    const node = this.#nodeAt(path);
    if (node instanceof DirectoryNode) {
      for (const name of [...node.now.keys()].sort()) this.#remove(join(path, name), site);
    }
    const isFile = node instanceof FileNode;
    this.#step(isFile ? 'unlink' : 'rmdir', path, site);
    if (isFile) unlinkSync(path);
    else rmdirSync(path);
    this.#forget(node);
    const { directory, name } = this.#place(path);
    const text = `removal of ${this.#inner(path)}`;
    this.#names.change({ directory, removes: name, adds: null, node, arrival: null, text });
  }

  /** Something has lost its name: its space is free. */
  #forget(node: Node | undefined): void {
    if (node instanceof FileNode) this.#free += node.length;
  }

  #skips(site: CallSite): boolean {
    return this.skip.size > 0 && this.skip.has(site.text);
  }

  #orLater(site: CallSite, act: () => void): void {
    if (this.delay !== null && site.text === this.delay) {
      if (this.#off) throw new PowerCut();
      this.#delayed.push({ since: this.operations, act });
    } else {
      act();
    }
  }

  /** Does what was put off before operation `before` and has seen another operation since. */
  #catchUp(before: number): void {
    const due = this.#delayed.findIndex(({ since }) => since >= before);
    for (const { act } of this.#delayed.splice(0, due < 0 ? this.#delayed.length : due)) act();
    if (this.#delayed.length === 0) {
      for (const descriptor of this.#closing.splice(0)) this.#close(descriptor);
    }
  }

  /** Counts an operation; throws where it does not happen. */
  #step(operation: OperationName, path: string, site: CallSite): void {
    if (this.#delayed.length > 0) this.#catchUp(this.operations);
    const step: Operation = {
      number: this.log.length + 1,
      operation,
      path: this.#inner(path),
      get site() {
        return site.text;
      },
    };
    this.log.push(step);
    const meets = (where: Where): boolean =>
      typeof where === 'number' ? where === step.number : where(step);
    if (this.#off || step.number >= this.#cut) {
      this.#off = true;
      throw new PowerCut(`the power went at operation ${step.number}`);
    }
    if (this.#stall !== null && meets(this.#stall.where)) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, this.#stall.ms);
    }
    const fault = this.#faults.find(({ where }) => meets(where));
    if (fault !== undefined) throw errnoError(fault.code, operation, path);
  }
}

function writeLeft(path: string, left: Left): void {
  for (const [name, what] of left) {
    const at = join(path, name);
    if (what instanceof Map) {
      mkdirSync(at, { mode: 0o700 });
      writeLeft(at, what);
    } else {
      writeFileSync(at, what, { mode: 0o600 });
    }
  }
}
