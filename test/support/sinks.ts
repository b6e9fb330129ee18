// What tests of sinks share: events, and who notes what became of them.

import { setTimeout as sleep } from 'node:timers/promises';
import type { OnwardEvent, Outcomes, Sink } from '../../src/sink/sink.ts';
import { SEVERITIES, UNIFIED_TYPES } from '../../src/unified/event.ts';

const WAIT_MS = 60_000;
const LOOK_MS = 10;

/** An event as a recorder would send it, with a message of so many bytes. */
export function onwardEvent(seq: number, bytes = 20): OnwardEvent {
  const unified = {
    id: seq.toString(16).padStart(32, '0'),
    timestamp: new Date(1_700_000_000_000 + seq).toISOString(),
    type: UNIFIED_TYPES[seq % UNIFIED_TYPES.length] ?? 'system',
    source: 'ebpf' as const,
    severity: SEVERITIES[seq % SEVERITIES.length] ?? 'info',
    message: `Öl ${seq} `.padEnd(bytes, 'x'),
  };
  const ts = BigInt(Date.parse(unified.timestamp)) * 1_000_000n;
  const json = Buffer.from(JSON.stringify(unified));
  return { seq: BigInt(seq), ts, type: 'file', op: 'open', unified, head: unified, json };
}

export function onwardEvents(count: number, from = 0, bytes = 20): OnwardEvent[] {
  return Array.from({ length: count }, (_, i) => onwardEvent(from + i, bytes));
}

/** Notes outcomes; an event that gets a second one for one sending is a fault. */
export class Outcome implements Outcomes {
  readonly takenIds = new Set<string>();
  readonly refusals = new Map<string, string>();
  /** Those that were returned and not sent again. */
  back: OnwardEvent[] = [];
  readonly reasons = new Set<string>();
  readonly #open = new Set<OnwardEvent>();
  faults = 0;

  taken(event: OnwardEvent): void {
    this.#close(event);
    this.takenIds.add(event.unified.id);
  }

  refused(event: OnwardEvent, reason: string): void {
    this.#close(event);
    this.refusals.set(event.unified.id, reason);
  }

  returned(event: OnwardEvent, reason: string): void {
    this.#close(event);
    this.back.push(event);
    this.reasons.add(reason);
  }

  get open(): number {
    return this.#open.size;
  }

  send(sink: Sink, events: readonly OnwardEvent[]): void {
    for (const event of events) this.#open.add(event);
    sink.send(events);
  }

  /** Sends, and waits until each event has its outcome. */
  async settle(sink: Sink, events: readonly OnwardEvent[] = []): Promise<void> {
    this.send(sink, events);
    await until(() => this.open === 0, 'outcomes');
  }

  /** Sends until everything is taken or refused, as a delivery does. */
  async deliver(sink: Sink, events: readonly OnwardEvent[]): Promise<void> {
    let left = [...events];
    for (const begun = Date.now(); left.length > 0; ) {
      const room = sink.window - this.open;
      const some = left.slice(0, room);
      left = left.slice(some.length);
      this.send(sink, some);
      await sleep(LOOK_MS);
      left.push(...this.back.splice(0));
      if (left.length === 0) await until(() => this.open === 0, 'outcomes');
      left.push(...this.back.splice(0));
      if (Date.now() - begun > WAIT_MS) throw new Error(`not delivered: ${[...this.reasons]}`);
    }
  }

  #close(event: OnwardEvent): void {
    if (!this.#open.delete(event)) this.faults++;
  }
}

/** Waits until something holds. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  ms = WAIT_MS,
): Promise<void> {
  for (const begun = Date.now(); !(await holds()); await sleep(LOOK_MS)) {
    if (Date.now() - begun > ms) throw new Error(`waited in vain for ${what}`);
  }
}
