// A strict reader of what Prometheus scrapes, made from the descriptions of its two formats and not from the package that writes them.

/** A family of samples of one name. */
export interface Family {
  readonly type: string;
  readonly help: string;
  /** Values by their labels, as they stand in the text but sorted. */
  readonly samples: ReadonlyMap<string, number>;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"/y;
const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped'];
const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|[+-]Inf|NaN)$/i;

function labelsOf(text: string): string {
  const found = new Map<string, string>();
  let at = 0;
  while (at < text.length) {
    LABEL.lastIndex = at;
    const [whole, name, value] = LABEL.exec(text) ?? [];
    if (whole === undefined || name === undefined || value === undefined) {
      throw new Error(`labels ${text} cannot be read from ${at} on`);
    }
    if (found.has(name)) throw new Error(`label ${name} stands twice in ${text}`);
    found.set(name, value);
    at += whole.length;
    if (at < text.length && text[at++] !== ',') throw new Error(`no comma in ${text}`);
  }
  return [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}

/** The families of a text; throws where it breaks a rule. Counters have their full name in both formats. */
export function parseExposition(text: string, openMetrics: boolean): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const lines = text.slice(0, -1).split('\n');
  if (openMetrics && lines.pop() !== '# EOF') throw new Error('no EOF');
  const families = new Map<string, { type: string; help: string; samples: Map<string, number> }>();
  let [own, base] = ['', ''];
  for (const line of lines) {
    if (line === '' && !openMetrics) continue;
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === 'HELP') {
      if (!NAME.test(name)) throw new Error(`bad name: ${line}`);
      base = name;
      own = '';
      if (families.has(base) || families.has(`${base}_total`)) throw new Error(`twice: ${line}`);
      families.set(base, { type: '', help: rest, samples: new Map() });
      continue;
    }
    const family = families.get(own === '' ? base : own);
    if (family === undefined) throw new Error(`before any HELP: ${line}`);
    if (kind === 'TYPE') {
      if (name !== base || family.type !== '' || !TYPES.includes(rest)) throw new Error(line);
      family.type = rest;
      own = openMetrics && rest === 'counter' ? `${base}_total` : base;
      families.delete(base);
      families.set(own, family);
      if (rest === 'counter' && !own.endsWith('_total')) throw new Error(`no _total: ${line}`);
      continue;
    }
    const [, sampled, , labels = '', value = ''] = /^([^{\s]+)(\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (sampled !== own || family.type === '') throw new Error(`out of place: ${line}`);
    if (!NUMBER.test(value)) throw new Error(`no number: ${line}`);
    const key = labelsOf(labels);
    if (family.samples.has(key)) throw new Error(`twice: ${line}`);
    const number = Number(value.replace('Inf', 'Infinity'));
    if (family.type === 'counter' && !(number >= 0)) throw new Error(`no count: ${line}`);
    family.samples.set(key, number);
  }
  for (const [name, { type }] of families) if (type === '') throw new Error(`no TYPE: ${name}`);
  return families;
}

/** The sample of a family with these labels, as in `sink=nats`; NaN where there is none. */
export const sampleOf = (
  families: ReadonlyMap<string, Family>,
  name: string,
  labels = '',
): number => families.get(name)?.samples.get(labels) ?? Number.NaN;

/** Sum of a family. */
export const sumOf = (families: ReadonlyMap<string, Family>, name: string): number =>
  [...(families.get(name)?.samples.values() ?? [Number.NaN])].reduce((a, b) => a + b, 0);
