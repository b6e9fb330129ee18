// How fast events get to a receiver: a NATS server with JetStream on the loopback, every event acknowledged.

import { availableParallelism } from 'node:os';
import { makeNats } from '../../src/sink/nats.ts';
import type { OnwardEvent, Sink } from '../../src/sink/sink.ts';
import { NatsServer } from '../support/nats-server.ts';
import { onwardEvent } from '../support/sinks.ts';
import { report } from './report.ts';

const RUNS = 5;
const EVENTS = 500_000;
const EVENT_BYTES = 700;
/** Of the event without its message. */
const FRAME_BYTES = 160;
/** What a recorder hands on at once. */
const SENT_AT_ONCE = 512;

/** Sends events, as many under way as the sink takes, until all are taken. Gives seconds. */
async function flood(
  make: (outcomes: Parameters<typeof makeNats>[1]) => Promise<Sink>,
  events: readonly OnwardEvent[],
): Promise<{ seconds: number; cpu: number }> {
  let [taken, at, underWay] = [0, 0, 0];
  let done = (): void => {};
  const all = new Promise<void>((resolve) => {
    done = resolve;
  });
  const back: OnwardEvent[] = [];
  const sink = await make({
    taken() {
      underWay--;
      if (++taken === events.length) done();
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
  const more = (): void => {
    const some = events.slice(at, at + SENT_AT_ONCE);
    at += some.length;
    underWay += some.length;
    if (some.length > 0) sink.send(some);
  };
  // Connected, and the stream made.
  for (back.push(...events.slice(0, 1)), at = 1; taken === 0; ) {
    const again = back.splice(0);
    underWay += again.length;
    sink.send(again);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const [begun, cpu] = [performance.now(), process.cpuUsage()];
  while (sink.window - underWay >= SENT_AT_ONCE && at < events.length) more();
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
  const events = Array.from({ length: EVENTS }, (_, i) =>
    onwardEvent(i, EVENT_BYTES - FRAME_BYTES),
  );
  for (let i = 0; i < RUNS; i++) {
    const server = await NatsServer.start();
    try {
      const url = new URL(`nats://127.0.0.1:${server.port}`);
      const { seconds, cpu } = await flood((outcomes) => makeNats(url, outcomes), events);
      rates.push(events.length / seconds);
      costs.push((cpu / events.length) * 1e6);
      serverCosts.push((server.cpu() / events.length) * 1e6);
    } finally {
      await server.remove();
    }
  }
  const what = `events of ${EVENT_BYTES} B, ${availableParallelism()} cores`;
  report({ name: `NATS, acknowledged, ${what}`, values: rates, unit: 'events/s' });
  report({ name: 'NATS, CPU of the sender', values: costs, unit: 'µs/event' });
  report({ name: 'NATS, CPU of the server', values: serverCosts, unit: 'µs/event' });
}
