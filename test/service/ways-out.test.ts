// Every way out of the service × random policies, over a real store: each gives the rows that may be seen and no others, the
// same bytes for the same row, sums of those rows alone, and no value that the policy denies.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EVENT_TABLES, EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { allOps } from '../../src/config/config.ts';
import { TapioError } from '../../src/errors.ts';
import type { EventRun } from '../../src/event/stream.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';
import { matches } from '../../src/query/predicate.ts';
import { messageAt, RawEventEncoder } from '../../src/raw/encoder.ts';
import { statsMessage } from '../../src/server/answers.ts';
import { ServiceCounters } from '../../src/service/counters.ts';
import { Policy, UNLIMITED } from '../../src/service/policy.ts';
import { Usage } from '../../src/service/rate.ts';
import { redactableFields } from '../../src/service/redact.ts';
import type { ServedStream } from '../../src/service/served-stream.ts';
import { EventService } from '../../src/service/service.ts';
import { columnIndex, MadeRecording, type RecordedRow } from '../support/recorded.ts';
import { temporaryDirectory } from '../support/recording.ts';

const SEED = Number(process.env.TAPIO_SEED ?? Date.now() % 1_000_000);
const CASES = process.env.TAPIO_LONG === undefined ? 25 : 1000;
const OPS = [...allOps().keys()];
const FILTERS = ['pid % 2 == 0', 'comm.size() > 3', 'network.dport > 1000', 'uid != 0 || cpu == 1'];
/** Shorter ones may be part of anything. */
const TELLING_CHARS = 6;
const CALLER = { identity: { kind: 'token', name: 'ann' }, address: 'unix:pid=1' } as const;
const NOTHING = Buffer.alloc(0);
const nothing = (): Buffer => NOTHING;
const never = new AbortController().signal;

const directory = temporaryDirectory();
const store = join(directory.path, 'store');
/** By place. */
const recorded: [string, RecordedRow][] = [];
beforeAll(() => {
  mkdirSync(join(store, 'segments'), { recursive: true, mode: 0o700 });
  for (const [i, recording] of ['a', 'b'].entries()) {
    const made = new MadeRecording(join(store, 'segments'), recording, SEED + i, i * 100);
    for (let n = 0; n < 2; n++) {
      made.write(...EVENT_TYPES.map((type) => [type, 15] as const));
      made.tell(n + 1, `p${n}`, 5n).write(['file', 10]);
      made.seal();
    }
    for (const [seq, row] of made.rows) recorded.push([placeOf(recording, seq), row]);
  }
});
afterAll(() => directory.remove());

const cases = fc.record({
  allow: fc.subarray(OPS, { minLength: 1 }),
  deny: fc.subarray(OPS, { maxLength: 3 }),
  own: fc.option(fc.constantFrom(...FILTERS)),
  hidden: fc.subarray(redactableFields(), { maxLength: 5 }),
  sample: fc.constantFrom(0, 0, 3),
});

const cell = ({ type, cells }: RecordedRow, name: string): RecordedRow['cells'][number] => {
  const at = columnIndex(type, name);
  return at < 0 ? null : (cells[at] ?? null);
};

const columnNames = (type: EventType): string[] =>
  EVENT_TABLES[type].columns.map(({ name }) => name);

/** Where a row stands: they sort as rows are given. */
const placeOf = (recording: string, seq: bigint): string =>
  `${recording} ${String(seq).padStart(9, '0')}`;

function opsOf(names: readonly string[]): ReadonlyMap<EventType, ReadonlySet<string>> {
  const of = (type: EventType): string[] => names.filter((name) => name.startsWith(`${type}.`));
  return new Map(
    EVENT_TYPES.map((type) => [type, new Set(of(type).map((name) => name.split('.')[1] ?? ''))]),
  );
}

function serviceOf(policy: Policy): EventService {
  return new EventService({
    counters: new ServiceCounters(),
    store,
    policy: () => policy,
    usage: new Usage(() => 0),
    audit: {
      begin: async () => ({ id: 0, end: () => {} }),
      denied: async () => {},
      failure: null,
    },
    connect: () => Promise.reject(new TapioError('not_running', 'there is none')),
    flush: async () => {},
    now: () => 2n ** 62n,
    sleep: (ms) => sleep(ms),
  });
}

/** Everything that was let out: messages by place, and all else as text. */
class Out {
  readonly #encoder = new RawEventEncoder();
  readonly ways = new Map<string, Map<string, string>>();
  text = '';

  rows(way: string, runs: readonly EventRun[]): void {
    const own = this.ways.get(way) ?? new Map<string, string>();
    this.ways.set(way, own);
    const messages = this.#encoder.encode(runs);
    let i = 0;
    for (const { block, from, to } of runs) {
      for (let row = from; row < to; row++, i++) {
        const bytes = messageAt(messages, i).toString('latin1');
        const seq = block.columns.get('seq')?.get(row) as bigint;
        const place = placeOf(block.origin.recording, seq);
        expect(own.has(place), place).toBe(false);
        own.set(place, bytes);
        this.text += bytes;
      }
    }
  }

  async stream(way: string, stream: ServedStream): Promise<void> {
    this.rows(way, []);
    for await (const part of stream.parts()) {
      if (part.kind === 'rows') this.rows(way, part.runs);
      else this.say(part.lost);
    }
    this.say(stream.end());
  }

  async pages(way: string, service: EventService, request: object): Promise<void> {
    this.rows(way, []);
    for (let page_token = ''; ; ) {
      const asked = { ...request, page_token, page_size: 37 };
      await service.page(CALLER, asked, ({ runs, token, incomplete }) => {
        this.rows(way, runs);
        this.say(incomplete);
        page_token = token;
        return NOTHING;
      });
      if (page_token === '') return;
    }
  }

  say(value: unknown): void {
    this.text += JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? String(one) : one));
  }
}

const refusal = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => 'ok',
    (error: Error) => (error instanceof TapioError ? error.code : String(error)),
  );

/** Texts of a row's cell, as far as they tell something. */
function textsIn(value: RecordedRow['cells'][number]): string[] {
  const all = (Array.isArray(value) ? value : [value]) as unknown[];
  return all.filter((one) => typeof one === 'string').filter((one) => one.length >= TELLING_CHARS);
}

test('each way gives what may be seen, and nothing else', async () => {
  let [found, denied] = [0, 0];
  await fc.assert(
    fc.asyncProperty(cases, async ({ allow, deny, own, hidden, sample }) => {
      const filter = own === null ? null : await parseFilter(own);
      const redact = hidden.map((field) => ({ field, mask: null }));
      const rule = { who: ['token:ann'], allow: opsOf(allow), deny: opsOf(deny), filter, redact };
      const policy = new Policy([{ ...rule, limits: UNLIMITED }]);
      const service = serviceOf(policy);
      const mine = recorded.filter(([, row]) => {
        const name = `${row.type}.${cell(row, 'op')}`;
        const isIn =
          filter === null || matches(filter.for(row.type), (field) => cell(row, field)) === true;
        return isIn && allow.includes(name) && !deny.includes(name);
      });
      if (mine.length === 0 && policy.grantFor(CALLER.identity) === null) {
        expect(await refusal(service.page(CALLER, {}, nothing))).toBe('not_permitted');
        return;
      }
      const out = new Out();
      const selection = { sample };
      const request = { selection };
      await out.stream(
        'held',
        await service.stream(CALLER, 'S', { ...request, held: true }, never),
      );
      await out.stream(
        'replay',
        await service.replay(CALLER, { ...request, unpaced: true }, never),
      );
      await out.pages('pages', service, request);
      await out.pages('newest', service, { ...request, newest: true });
      const [first, ...others] = [...out.ways.values()].map(
        (messages) => new Map([...messages].sort(([a], [b]) => (a < b ? -1 : 1))),
      );
      for (const other of others) expect(other).toEqual(first);
      const places = mine.map(([place]) => place).sort();
      const given = [...(first ?? new Map()).keys()];
      if (sample === 0) expect(given).toEqual(places);
      else expect(given.filter((place) => !places.includes(place))).toEqual([]);

      const weights = mine.reduce((sum, [, row]) => sum + Number(cell(row, 'weight')), 0);
      await service.stats(CALLER, {}, (sums) => {
        out.say(statsMessage(sums));
        const { rows, events } = sums.summary;
        expect([rows, events]).toEqual([mine.length, weights].map(BigInt));
        return NOTHING;
      });
      for (const field of hidden) {
        expect(await refusal(service.stats(CALLER, { by: [field] }, nothing))).not.toBe('ok');
        const selection = { filter: `${field} == ${field}` };
        const probing = service.page(CALLER, { selection }, nothing);
        expect(await refusal(probing)).not.toBe('ok');
      }
      const { isUnrestricted } = policy.grantFor(CALLER.identity) ?? { isUnrestricted: false };
      const segments = await refusal(service.segments(CALLER, {}));
      const fetched = await refusal(Array.fromAsync(service.fetch(CALLER, { name: '' }, never)));
      expect([segments, fetched]).toEqual(
        isUnrestricted ? ['ok', 'segment_missing'] : ['not_permitted', 'not_permitted'],
      );

      // What only rows have that are denied, or only fields that are hidden.
      const seen = new Set(places);
      const shown = new Set<string>();
      const all = new Set<string>();
      for (const [place, { type, cells }] of recorded) {
        cells.forEach((value, i) => {
          const name = columnNames(type)[i] ?? '';
          const isShown =
            seen.has(place) && ![name, `${type}.${name}`].some((one) => hidden.includes(one));
          for (const text of textsIn(value)) (isShown ? shown : all).add(text);
        });
      }
      const shownText = [...shown].join('\0');
      for (const text of all) {
        if (shownText.includes(text)) continue;
        denied++;
        expect(out.text.includes(Buffer.from(text).toString('latin1')), text).toBe(false);
      }
      found += given.length;
    }),
    { seed: SEED, numRuns: CASES },
  );
  console.log(`seed ${SEED}: ${found} rows let out, ${denied} values denied`);
  expect(found, `seed ${SEED}`).toBeGreaterThan(100);
  expect(denied, `seed ${SEED}`).toBeGreaterThan(100);
});
