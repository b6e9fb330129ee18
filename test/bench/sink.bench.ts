// How fast events get to a receiver: a NATS server with JetStream on the loopback, every event acknowledged; a file.

import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeNats } from '../../src/sink/nats.ts';
import { makeNdjson } from '../../src/sink/ndjson.ts';
import type { OnwardEvent, Outcomes, Sink } from '../../src/sink/sink.ts';
import { NatsServer } from '../support/nats-server.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { onwardEvent } from '../support/sinks.ts';
import { report } from './report.ts';

const RUNS = 5;
const EVENTS = 500_000;
const EVENT_BYTES = 700;
/** Of the event without its message. */
const FRAME_BYTES = 160;
/** What a recorder hands on at once. */
const SENT_AT_ONCE = 512;
const LOOK_MS = 20;

/** Events with ids of their own, made as they are needed: a heap full of them would be what is measured. */
function* eventsOf(count: number): Generator<OnwardEvent> {
  const model = onwardEvent(1, EVENT_BYTES - FRAME_BYTES);
  const [head = '', tail = ''] = String(model.json).split(model.unified.id);
  for (let seq = 0; seq < count; seq++) {
    const id = seq.toString(16).padStart(model.unified.id.length, '0');
    const { ts, type, op, unified } = model;
    yield {
      seq: BigInt(seq),
      ts,
      type,
      op,
      unified: { ...unified, id },
      head: { ...unified, id },
      json: Buffer.from(`${head}${id}${tail}`),
    };
  }
}

/** Sends events, as many under way as the sink takes, until all are taken. Gives seconds, and those of the processor. */
async function flood(
  make: (outcomes: Outcomes) => Promise<Sink>,
  count: number,
): Promise<{ seconds: number; cpu: number }> {
  const events = eventsOf(count);
  let [taken, underWay] = [0, 0];
  let back: OnwardEvent[] = [];
  let done = (): void => {};
  const all = new Promise<void>((resolve) => {
    done = resolve;
  });
  const sink = await make({
    taken() {
      underWay--;
      if (++taken === count) done();
      else if (sink.window - underWay >= SENT_AT_ONCE) more();
    },
    refused(_, reason) {
      throw new Error(reason);
    },
    returned(event) {
      underWay--;
      back.push(event);
    },
  });
  const send = (some: readonly OnwardEvent[]): void => {
    underWay += some.length;
    if (some.length > 0) sink.send(some);
  };
  const next = (most: number): OnwardEvent[] => {
    const some: OnwardEvent[] = [];
    while (some.length < most) {
      const { value, done: isEnd } = events.next();
      if (isEnd === true) break;
      some.push(value);
    }
    return some;
  };
  const more = (): void => send(next(SENT_AT_ONCE));
  // Connected, and the stream made.
  for (back = next(1); taken === 0; await sleep(LOOK_MS)) send(back.splice(0));
  const [begun, cpu] = [performance.now(), process.cpuUsage()];
  while (sink.window - underWay >= SENT_AT_ONCE) more();
  await all;
  const seconds = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  await sink.close();
  return { seconds, cpu: (user + system) / 1e6 };
}

export async function bench(): Promise<void> {
  const rates: number[] = [];
  const costs: number[] = [];
  const serverCosts: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const server = await NatsServer.start();
    try {
      const url = new URL(`nats://127.0.0.1:${server.port}`);
      const { seconds, cpu } = await flood((outcomes) => makeNats(url, outcomes), EVENTS);
      rates.push(EVENTS / seconds);
      costs.push((cpu / EVENTS) * 1e6);
      serverCosts.push((server.cpu() / EVENTS) * 1e6);
    } finally {
      await server.remove();
    }
  }
  const lines: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const { path, remove } = temporaryDirectory();
    try {
      const url = new URL(`ndjson:${path}/onward.ndjson`);
      const { seconds } = await flood((outcomes) => makeNdjson(url, outcomes), EVENTS);
      lines.push(EVENTS / seconds);
    } finally {
      remove();
    }
  }
  const what = `events of ${EVENT_BYTES} B, ${availableParallelism()} cores`;
  report({ name: `NATS, acknowledged, ${what}`, values: rates, unit: 'events/s' });
  report({ name: 'NATS, CPU of the sender', values: costs, unit: 'µs/event' });
  report({ name: 'NATS, CPU of the server', values: serverCosts, unit: 'µs/event' });
  report({ name: `lines in a file, synced, ${what}`, values: lines, unit: 'events/s' });
}
