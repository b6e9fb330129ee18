// Several recordings as one stream: by ts, and never reordering inside one, where seq is the only order.

/** What a stream of one recording gives, in order of seq. */
export interface Ordered {
  /** ns. It may go back inside a recording: late rows, a clock that was set back. */
  readonly ts: bigint;
  readonly seq: bigint;
  /** Which recording: see recordingKey(). */
  readonly key: string;
}

/** What orders recordings at the same ts: host, then boot, then recording. */
export function recordingKey(of: {
  readonly host: string;
  readonly boot_id: string;
  readonly recording: string;
}): string {
  // A NUL sorts before all that names are made of, so that no part runs into the next one.
  return [of.host, of.boot_id, of.recording].join('\0');
}

interface Head<T> {
  readonly value: T;
  readonly rest: AsyncIterator<T>;
}

function isBefore(a: Ordered, b: Ordered): boolean {
  if (a.ts !== b.ts) return a.ts < b.ts;
  if (a.key !== b.key) return a.key < b.key;
  return a.seq < b.seq;
}

/** Puts what lies at `at` of a heap in its place, towards the leaves. */
function siftDown<T extends Ordered>(heap: Head<T>[], at: number): void {
  const sinking = heap[at] as Head<T>;
  let place = at;
  for (;;) {
    let child = 2 * place + 1;
    const [left, right] = [heap[child], heap[child + 1]];
    if (left === undefined) break;
    if (right !== undefined && isBefore(right.value, left.value)) child++;
    const smaller = heap[child] as Head<T>;
    if (!isBefore(smaller.value, sinking.value)) break;
    heap[place] = smaller;
    place = child;
  }
  heap[place] = sinking;
}

/**
 * Merges streams, one of each recording, by ts (ties: key, then seq). Inside a stream nothing is
 * reordered: what stands behind a later ts waits for it. Streams are read no further than they must be, and
 * are closed when the reader goes.
 */
export async function* mergeRecordings<T extends Ordered>(
  streams: readonly AsyncIterable<T>[],
): AsyncGenerator<T, void, undefined> {
  const iterators = streams.map((stream) => stream[Symbol.asyncIterator]());
  try {
    const heap: Head<T>[] = [];
    for (const rest of iterators) {
      const { done, value } = await rest.next();
      if (done !== true) heap.push({ value, rest });
    }
    for (let at = heap.length >> 1; at-- > 0; ) siftDown(heap, at);
    for (let [top] = heap; top !== undefined; [top] = heap) {
      yield top.value;
      const { done, value } = await top.rest.next();
      if (done !== true) heap[0] = { value, rest: top.rest };
      else {
        const last = heap.pop() as Head<T>;
        if (heap.length > 0) heap[0] = last;
      }
      if (heap.length > 1) siftDown(heap, 0);
    }
  } finally {
    for (const rest of iterators) await rest.return?.();
  }
}
