// Which TCP sockets are open, as the rows tell that open and close them.

/** What a socket is known by, and whose it is. */
export interface SocketName {
  readonly saddr: string | null;
  readonly sport: number | null;
  /** Null of one that listens. */
  readonly daddr: string | null;
  readonly dport: number | null;
  /** Who connected, accepted or listened; 0 where nobody knows. */
  readonly pid: number;
  readonly pstart: bigint;
  /** endpointsOf() it. */
  readonly endpoints: string;
}

/** Rows tell no more: which side has shut down, only the kernel knows. */
export type SocketState = 'LISTEN' | 'CONNECTED';

/** A socket that is open. */
export interface OpenSocket extends SocketName {
  readonly state: SocketState;
  /** seq of the row that opened it, in this recording; null where it was there before. */
  firstSeq: bigint | null;
}

/** Of a TCP socket as the source started. */
export interface SocketSnapshot {
  readonly inode: bigint;
  readonly pid: number;
  readonly pstart: bigint;
  readonly uid: number;
  readonly comm: string;
  readonly family: string;
  readonly listens: boolean;
  readonly saddr: string;
  readonly sport: number;
  readonly daddr: string;
  readonly dport: number;
}

/** What decides what a network row does to the sockets that are open. */
export interface SocketRowFacts {
  readonly op: string;
  readonly protocol: string | null;
  readonly error: number | null;
  readonly oldState: string | null;
  readonly newState: string | null;
}

/** Ops without which nobody knows what is open. */
export const SOCKET_OPS = ['connect', 'accept', 'listen', 'close'] as const;

/** The state in which a row leaves its socket; null where it changes nothing. */
export function stateAfter(row: SocketRowFacts): SocketState | 'CLOSE' | null {
  if (row.protocol !== 'tcp') return null;
  switch (row.op) {
    case 'close':
      return 'CLOSE';
    case 'listen':
      return row.error === 0 && row.oldState !== 'LISTEN' ? 'LISTEN' : null;
    case 'connect':
    case 'accept':
      // One that was reset before the call returned has had its close row.
      return row.error === 0 && row.newState !== 'CLOSE' ? 'CONNECTED' : null;
    default:
      return null;
  }
}

/** The addresses of a socket as one text; network namespaces may share them. */
export function endpointsOf({
  saddr,
  sport,
  daddr,
  dport,
}: Pick<SocketName, 'saddr' | 'sport' | 'daddr' | 'dport'>): string {
  return `${saddr} ${sport} ${daddr} ${dport}`;
}

/** Whether two names are of the same process. */
export const isSameOwner = (a: SocketName, b: SocketName): boolean =>
  a.pid === b.pid && a.pstart === b.pstart;

/** The sockets that are open. Several may have the same addresses, listeners of one process too. */
export class OpenSockets<One extends OpenSocket> {
  readonly #byEndpoints = new Map<string, One[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  *all(): Generator<One> {
    for (const sockets of this.#byEndpoints.values()) yield* sockets;
  }

  /** Adds one that is none of those that are there. */
  add(socket: One): void {
    const { endpoints } = socket;
    const there = this.#byEndpoints.get(endpoints);
    if (there === undefined) this.#byEndpoints.set(endpoints, [socket]);
    else there.push(socket);
    this.#size++;
  }

  remove(socket: One): void {
    const { endpoints } = socket;
    const there = this.#byEndpoints.get(endpoints);
    const at = there?.indexOf(socket) ?? -1;
    if (there === undefined || at < 0) return;
    this.#size--;
    if (there.length === 1) this.#byEndpoints.delete(endpoints);
    else there.splice(at, 1);
  }

  /**
   * The one that a row about an opened socket speaks of, of those that had no such row yet, or else, as two of
   * a process cannot be connected alike, the one whose close was lost.
   */
  known(socket: OpenSocket, mayBeUntold: boolean): One | null {
    const own = this.#byEndpoints.get(socket.endpoints)?.filter((one) => isSameOwner(one, socket));
    const untold = mayBeUntold ? own?.find(({ firstSeq }) => firstSeq === null) : undefined;
    return untold ?? (socket.state === 'CONNECTED' ? own?.[0] : undefined) ?? null;
  }

  /** The one that a close row speaks of; the kernel may have forgotten whose it is. */
  closed(name: SocketName): One | null {
    const there = this.#byEndpoints.get(name.endpoints);
    return there?.find((one) => isSameOwner(one, name) || name.pid === 0) ?? null;
  }
}
