// From a URL to the sink that it names. Each protocol's packages are loaded only where it is used.

import { usage } from '../config/values.ts';
import { nearestName } from '../errors.ts';
import type { MakeSink, Outcomes, Sink } from './sink.ts';

const nats = async (): Promise<MakeSink> => (await import('./nats.ts')).makeNats;
const ndjson = async (): Promise<MakeSink> => (await import('./ndjson.ts')).makeNdjson;
const tapio = async (): Promise<MakeSink> => (await import('./tapio.ts')).makeTapio;
const http = async (): Promise<MakeSink> => (await import('./http.ts')).makeHttp;

const SCHEMES: Readonly<Record<string, () => Promise<MakeSink>>> = {
  nats,
  tls: nats,
  tapio,
  ndjson,
  http,
  https: http,
};

/** Schemes of URLs that name a sink. */
export const SINK_SCHEMES: readonly string[] = Object.keys(SCHEMES);

const KNOWN = `the ones known are ${SINK_SCHEMES.map((scheme) => `${scheme}:`).join(', ')}`;

/** The URL of a sink as it was written; throws TapioError('usage'), which does not show it: there may be a password in it. */
export function sinkUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null) throw usage(`a sink is named by a URL such as nats://localhost:4222; ${KNOWN}`);
  return url;
}

/** Makes the sink that a URL names. Throws TapioError('usage') for one that makes no sense. */
export async function makeSink(url: URL, outcomes: Outcomes): Promise<Sink> {
  const scheme = url.protocol.slice(0, -1);
  const load = Object.hasOwn(SCHEMES, scheme) ? SCHEMES[scheme] : undefined;
  if (load === undefined) {
    const near = nearestName(scheme, SINK_SCHEMES);
    const hint = near === null ? '' : ` (did you mean ${near}:?)`;
    throw usage(`no sink takes ${scheme}: URLs${hint}; ${KNOWN}`);
  }
  return (await load())(url, outcomes);
}
