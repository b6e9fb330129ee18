// Events as lines of JSON into a file or to the standard output.

import { usage } from '../config/values.ts';
import { linesOf } from './lines.ts';
import { LineFile } from './ndjson-file.ts';
import { LineOutput } from './ndjson-output.ts';
import { decodedPart, SinkOptions } from './options.ts';
import type { OnwardEvent, Outcomes, Sink } from './sink.ts';

const WINDOW = 8192;
/** Bytes that are written and made durable at once: a sync costs about as much as writing so many. */
const GROUP_BYTES = 1024 ** 2;
const ROTATE_BYTES = 64 * 1024 ** 2;
const KEEP = 4;
const CLOSE_MS = 5000;
const CLOSED = 'the sink was closed';

/** Takes whole lines. */
export interface LineTarget {
  /** Most bytes that it takes at once, but for a single line. */
  readonly groupBytes: number;
  /** Writes lines; they are there for good when it is done. Of what it throws, the message is a sentence. */
  append(lines: Buffer): Promise<void>;
  close(): Promise<void>;
}

/** What tests set otherwise. */
export interface NdjsonSurroundings {
  /** Descriptor of the standard output. */
  readonly stdout?: number;
  readonly closeMs?: number;
}

/** A sink for `ndjson:PATH` and, with `-` as the path, the standard output. */
export async function makeNdjson(
  url: URL,
  outcomes: Outcomes,
  { stdout = 1, closeMs = CLOSE_MS }: NdjsonSurroundings = {},
): Promise<Sink> {
  const path = decodedPart('path', url.pathname);
  if (url.host !== '') throw usage(`${url.protocol}//${url.host}: write ndjson:PATH or ndjson:-`);
  if (path === '') throw usage('ndjson: has no path: write ndjson:PATH or ndjson:-');
  if (path === '-') {
    new SinkOptions(url, []);
    return new NdjsonSink('ndjson:-', new LineOutput(stdout, GROUP_BYTES), outcomes, closeMs);
  }
  const options = new SinkOptions(url, ['rotate', 'keep']);
  const rotateBytes = options.size('rotate', ROTATE_BYTES);
  const target = new LineFile({
    path,
    rotateBytes,
    keep: options.count('keep', KEEP, 1),
    groupBytes: Math.min(GROUP_BYTES, rotateBytes),
  });
  return new NdjsonSink(`ndjson:${path}`, target, outcomes, closeMs);
}

class NdjsonSink implements Sink {
  readonly place: string;
  readonly window = WINDOW;
  readonly #target: LineTarget;
  readonly #outcomes: Outcomes;
  readonly #closeMs: number;
  #queue: OnwardEvent[] = [];
  /** What is being written; nothing any more where it was given up. */
  #group: readonly OnwardEvent[] = [];
  #writing: Promise<void> | null = null;
  #isClosed = false;

  constructor(place: string, target: LineTarget, outcomes: Outcomes, closeMs: number) {
    this.place = place;
    this.#target = target;
    this.#outcomes = outcomes;
    this.#closeMs = closeMs;
  }

  send(events: readonly OnwardEvent[]): void {
    if (this.#isClosed) {
      for (const event of events) this.#outcomes.returned(event, CLOSED);
      return;
    }
    for (const event of events) this.#queue.push(event);
    this.#writing ??= this.#write();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#closeMs);
    });
    await Promise.race([this.#writing, late]);
    clearTimeout(timer);
    this.#returnAll(CLOSED);
    const closing = this.#target.close();
    // A disk that does not answer is not waited for.
    if (this.#writing === null) await closing;
  }

  /** Writes what is queued, group after group. */
  async #write(): Promise<void> {
    // What is sent meanwhile comes along in the group.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      this.#group = this.#takeGroup();
      const lines = linesOf(this.#group);
      try {
        await this.#target.append(lines);
        const group = this.#group;
        this.#group = [];
        for (const event of group) this.#outcomes.taken(event);
      } catch (error) {
        // Those that wait would meet the same.
        this.#returnAll((error as Error).message);
      }
    }
    this.#writing = null;
  }

  #takeGroup(): OnwardEvent[] {
    let [count, bytes] = [0, 0];
    for (const { json } of this.#queue) {
      bytes += json.length + 1;
      if (count > 0 && bytes > this.#target.groupBytes) break;
      count++;
    }
    const group = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    return group;
  }

  #returnAll(reason: string): void {
    const events = [...this.#group, ...this.#queue];
    this.#group = [];
    this.#queue = [];
    for (const event of events) this.#outcomes.returned(event, reason);
  }
}
