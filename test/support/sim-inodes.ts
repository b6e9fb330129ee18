// What the disk surely has, what only the page cache has, and the states that a power cut can leave of
// both. Knows nothing of real files: sim-disk.ts does.

/** The unit in which a page cache writes back: pieces of one append reach the disk on their own. */
const PAGE_BYTES = 4096;

/** A change of a file's content that no sync has made durable. */
type DataChange = (
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly length: number }
) & {
  /** A sync of it failed: the kernel calls the page clean, and later syncs do not write it. */
  forsaken: boolean;
  /** What it wrote was cut off, for sure. */
  gone?: boolean;
};

/** How likely each unsynced change is to have reached the disk. */
export interface Luck {
  readonly random: () => number;
  /** 0 to 1. */
  readonly data: number;
  readonly names: number;
  /** Takes sentences that say what became of which change. */
  readonly tell: (sentence: string) => void;
}

/** One of `choices`. */
export function pick<T>(random: () => number, choices: readonly [T, ...(readonly T[])]): T {
  return choices[Math.floor(random() * choices.length)] ?? choices[0];
}

function written(content: Buffer, offset: number, bytes: Uint8Array): Buffer {
  const out = Buffer.alloc(Math.max(content.length, offset + bytes.length));
  content.copy(out);
  out.set(bytes, offset);
  return out;
}

function cut(content: Buffer, length: number): Buffer {
  return length <= content.length
    ? content.subarray(0, length)
    : written(content, length, new Uint8Array(0));
}

function changed(content: Buffer, change: DataChange): Buffer {
  return change.kind === 'write'
    ? written(content, change.offset, change.bytes)
    : cut(content, change.length);
}

/** A file, whatever its names. */
export class FileNode {
  /** Length as programs see it. */
  length: number;
  #durable: Buffer;
  #pending: DataChange[] = [];

  constructor(durable: Buffer) {
    this.#durable = durable;
    this.length = durable.length;
  }

  write(offset: number, bytes: Buffer): void {
    this.length = Math.max(this.length, offset + bytes.length);
    for (let from = 0; from < bytes.length; ) {
      const at = offset + from;
      const to = Math.min(bytes.length, from + PAGE_BYTES - (at % PAGE_BYTES));
      const piece = bytes.subarray(from, to);
      this.#pending.push({ kind: 'write', offset: at, bytes: piece, forsaken: false });
      from = to;
    }
  }

  truncate(length: number): void {
    this.length = length;
    this.#pending.push({ kind: 'truncate', length, forsaken: false });
  }

  sync(): void {
    this.#pending.forEach((change, i) => {
      if (!change.forsaken) this.#durable = changed(this.#durable, change);
      else if (this.#isCutOff(change, i)) change.gone = true;
    });
    this.#pending = this.#pending.filter(({ forsaken, gone }) => forsaken && !gone);
  }

  /** A truncate behind the i-th change, which is made durable, leaves nothing of it. */
  #isCutOff(change: DataChange, i: number): boolean {
    if (change.kind === 'truncate') return false;
    return this.#pending
      .slice(i + 1)
      .some((one) => one.kind === 'truncate' && !one.forsaken && one.length <= change.offset);
  }

  syncFailed(): void {
    for (const change of this.#pending) change.forsaken = true;
  }

  /** What the disk may have of it. */
  left(path: string, luck: Luck): Buffer {
    const { random } = luck;
    let content = this.#durable;
    for (const change of this.#pending) {
      const happens = random() < luck.data;
      if (change.kind === 'truncate') {
        if (happens) content = cut(content, change.length);
        else luck.tell(`truncate of ${path} to ${change.length} did not happen`);
      } else {
        content = happens ? changed(content, change) : spoilt(content, change, path, luck);
      }
    }
    if (content.length < this.length && random() < 0.3) {
      luck.tell(`length of ${path} is ${this.length}, with zeros behind ${content.length}`);
      content = cut(content, this.length);
    }
    return content;
  }
}

/** A write that did not reach the disk whole. Where nothing follows, what is dropped leaves nothing. */
function spoilt(
  content: Buffer,
  { offset, bytes }: { readonly offset: number; readonly bytes: Buffer },
  path: string,
  { random, tell }: Luck,
): Buffer {
  const what = `bytes ${offset} to ${offset + bytes.length} of ${path}`;
  const at = Math.floor(random() * bytes.length);
  switch (pick(random, ['dropped', 'head', 'tail', 'zeros'] as const)) {
    case 'dropped':
      tell(`${what} were dropped`);
      return content;
    case 'head':
      tell(`${what} were torn: those behind ${offset + at} were dropped`);
      return written(content, offset, bytes.subarray(0, at));
    case 'tail':
      tell(`${what} were torn: those before ${offset + at} were dropped`);
      return written(content, offset + at, bytes.subarray(at));
    default:
      tell(`${what} became zeros`);
      return written(content, offset, new Uint8Array(bytes.length));
  }
}

/** A directory: the names that surely are on the disk, and those that programs see. */
export class DirectoryNode {
  readonly durable = new Map<string, Node>();
  readonly now = new Map<string, Node>();
}

export type Node = FileNode | DirectoryNode;

/** A change of a directory's names that no sync of it has made durable. */
export interface NameChange {
  readonly directory: DirectoryNode;
  readonly removes: string | null;
  readonly adds: string | null;
  readonly node: Node;
  /** In the directory that something was renamed away from: the half that gave it its new name. */
  readonly arrival: NameChange | null;
  /** For messages. */
  readonly text: string;
}

function apply(names: Map<string, Node>, change: NameChange): void {
  if (change.removes !== null) names.delete(change.removes);
  if (change.adds !== null) names.set(change.adds, change.node);
}

/** What a directory holds after a power cut. */
export type Left = Map<string, Left | Buffer>;

/** The names of a file system. */
export class Names {
  readonly root = new DirectoryNode();
  #pending: NameChange[] = [];

  /** Programs see it at once. */
  change(change: NameChange): NameChange {
    apply(change.directory.now, change);
    this.#pending.push(change);
    return change;
  }

  /** All changes of a directory's names up to now are durable. */
  sync(directory: DirectoryNode): void {
    for (const change of this.#pending) {
      if (change.directory === directory) apply(directory.durable, change);
    }
    this.#pending = this.#pending.filter((change) => change.directory !== directory);
  }

  /** One state that the disk may have. */
  left(luck: Luck): Left {
    const happened = this.#happened(luck);
    // A file may be left under two names.
    const contents = new Map<FileNode, Buffer>();
    const contentOf = (node: FileNode, path: string): Buffer => {
      const content = contents.get(node) ?? node.left(path, luck);
      contents.set(node, content);
      return content;
    };
    const walk = (directory: DirectoryNode, path: string): Left => {
      const names = new Map(directory.durable);
      for (const change of happened) if (change.directory === directory) apply(names, change);
      return new Map(
        [...names].map(([name, node]) => [
          name,
          node instanceof FileNode
            ? contentOf(node, `${path}${name}`)
            : walk(node, `${path}${name}/`),
        ]),
      );
    };
    return walk(this.root, '');
  }

  /**
   * Which pending changes happened: any of them, but none without the earlier ones of the same name, as
   * a file cannot be renamed before it is made. A rename within a directory is one change of two names.
   */
  #happened({ random, names, tell }: Luck): Set<NameChange> {
    const happened = new Set<NameChange>();
    const held = new Map<DirectoryNode, Set<string>>();
    const pending = new Set(this.#pending);
    for (const change of this.#pending) {
      const { directory, removes, adds, arrival, node } = change;
      const touched = [removes, adds].filter((name) => name !== null);
      const blocked = touched.some((name) => held.get(directory)?.has(name));
      let happens = !blocked && random() < names;
      if (arrival !== null) {
        // Between directories a file may be seen under both names for a while, a directory never; the
        // old name goes first only where its directory alone was synced.
        const arrived = !pending.has(arrival) || happened.has(arrival);
        if (!arrived) happens = false;
        else if (!blocked && node instanceof DirectoryNode) happens = true;
      }
      if (happens) {
        happened.add(change);
        continue;
      }
      tell(`${change.text} did not happen`);
      held.set(directory, new Set([...(held.get(directory) ?? []), ...touched]));
    }
    return happened;
  }
}
