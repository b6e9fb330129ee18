// Where events go onward, as it is configured.

import type { Given } from './settings.ts';
import { unknownName, usage } from './values.ts';

/** What a sink is told to do, as it stands in the configuration. */
export interface SinkSettings {
  readonly name: string;
  /** With its secrets: it is never shown. */
  readonly url: string;
  /** Which rows go, as an expression; null: what goes where nobody says. */
  readonly filter: string | null;
  /** Most events a second; null: as many as it takes. */
  readonly rate: number | null;
  /** Whether each event holds its row as well, as a RawEvent message. */
  readonly raw: boolean;
  /** What a sink begins with that is new: what is recorded from then on, or all that the store holds. */
  readonly from: 'now' | 'oldest';
}

/** Names of sinks become names of files. */
const SINK_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const SINK_KEYS = ['name', 'url', 'filter', 'rate', 'raw', 'from'] as const;

/** Throws TapioError('usage') for what cannot be the name of a sink. */
export function checkSinkName(name: string): void {
  if (SINK_NAME.test(name)) return;
  throw usage(
    `${JSON.stringify(name)} is no name for a sink: letters, digits, _ . and -, at most 64`,
  );
}

/** A name for a sink of which only the URL is given: the same for the same place. */
function sinkNameOf(text: string): string {
  const url = URL.parse(text);
  if (url === null) throw usage('a sink is named by a URL such as nats://localhost:4222');
  const scheme = url.protocol.slice(0, -1);
  const words = [scheme, url.host, ...(url.host === '' ? [url.pathname] : [])];
  return words
    .map((word) => word.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-|-$/g, ''))
    .filter((word) => word !== '')
    .join('-')
    .slice(0, 64);
}

function sinkOf(given: unknown): SinkSettings {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw usage(
      'sinks: each is a set of settings, such as {name: tapio, url: nats://localhost:4222}',
    );
  }
  const settings = given as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(settings)) {
    if (!SINK_KEYS.some((one) => one === key))
      throw unknownName('setting of a sink', key, SINK_KEYS);
  }
  const { url, filter = null, rate = null, raw = false, from = 'now' } = settings;
  if (typeof url !== 'string') throw usage('sinks: each has a url, such as nats://localhost:4222');
  const { name = sinkNameOf(url) } = settings;
  checkSinkName(String(name));
  if (from !== 'now' && from !== 'oldest') {
    throw usage(`sinks: ${name}: from is now or oldest, not ${JSON.stringify(from)}`);
  }
  if (rate !== null && !(Number(rate) > 0 && Number.isFinite(Number(rate)))) {
    throw usage(`sinks: ${name}: rate is events a second, not ${JSON.stringify(rate)}`);
  }
  if (typeof raw !== 'boolean') {
    throw usage(`sinks: ${name}: raw is true or false, not ${JSON.stringify(raw)}`);
  }
  return {
    name: String(name),
    url,
    filter: filter === null ? null : String(filter),
    rate: rate === null ? null : Number(rate),
    raw,
    from,
  };
}

export function sinksOf(given: Given): SinkSettings[] {
  if (given['sink-filter'] !== undefined && given.sink === undefined) {
    throw usage('--sink-filter says which rows --sink sends: name one');
  }
  const urls = given.sink === undefined ? [] : [given.sink].flat();
  const named = given.sinks ?? [];
  if (!Array.isArray(named)) throw usage('sinks is a list: begin each with -');
  const sinks = [
    ...urls.map((url) => ({ url: String(url), filter: given['sink-filter'] })),
    ...named,
  ].map(sinkOf);
  const twice = sinks.find(({ name }, i) => sinks.findIndex((one) => one.name === name) < i);
  if (twice !== undefined)
    throw usage(`two sinks are named ${twice.name}: give each a name of its own`);
  return sinks;
}
