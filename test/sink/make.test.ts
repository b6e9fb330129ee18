// From a URL to its sink, with the packages of that one alone.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { makeSink, SINK_SCHEMES, sinkUrl } from '../../src/sink/make.ts';
import { ROOT, temporaryDirectory } from '../support/recording.ts';
import { Outcome } from '../support/sinks.ts';

test('each scheme makes a sink whether or not the receiver is there', async () => {
  const { path, remove } = temporaryDirectory();
  const places: Readonly<Record<string, string>> = {
    'nats://me:secret@127.0.0.1:1?stream=S': 'nats://127.0.0.1:1',
    'tls://token@127.0.0.1:1': 'tls://127.0.0.1:1',
    'tapio://127.0.0.1:1?window=9': 'tapio://127.0.0.1:1',
    [`ndjson:${path}/x?keep=2`]: `ndjson:${path}/x`,
    'ndjson:-': 'ndjson:-',
    'http://me:secret@127.0.0.1:1/in?header=A:b': 'http://127.0.0.1:1/in',
    'https://127.0.0.1:1/in': 'https://127.0.0.1:1/in',
  };
  for (const [url, place] of Object.entries(places)) {
    const sink = await makeSink(sinkUrl(url), new Outcome());
    expect(sink.place).toBe(place);
    expect(sink.window).toBeGreaterThan(0);
    await sink.close();
    await sink.close();
  }
  remove();
  expect(new Set(Object.keys(places).map((url) => sinkUrl(url).protocol.slice(0, -1)))).toEqual(
    new Set(SINK_SCHEMES),
  );
});

test('other URLs are refused with the schemes that are known', async () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['nat://h', /no sink takes nat: URLs \(did you mean nats:\?\); the ones known are nats:, /],
    ['kafka://h', /no sink takes kafka: URLs; the ones known are/],
    ['constructor:x', /no sink takes constructor: URLs/],
  ];
  for (const [url, reason] of refused) {
    await expect(makeSink(sinkUrl(url), new Outcome()), url).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(reason),
    });
  }
  expect(() => sinkUrl('me:secret@h:port')).not.toThrow();
  expect(() => sinkUrl('//me:secret@h')).toThrow(/^a sink is named by a URL such as [^@]*$/);
});

test('packages are loaded only where they are used', () => {
  const make = pathToFileURL(join(ROOT, 'src/sink/make.ts')).href;
  const program = `
    import { createRequire } from 'node:module';
    const { makeSink } = await import('${make}');
    const sink = await makeSink(new URL(process.argv[1]), {});
    await sink.close();
    const loaded = Object.keys(createRequire('/').cache).some((path) => path.includes('@nats-io'));
    console.log(loaded);
  `;
  const loads = (url: string): string =>
    execFileSync(execPath, ['--input-type=module', '-e', program, url]).toString().trim();
  expect(loads('http://127.0.0.1:1/')).toBe('false');
  expect(loads('nats://127.0.0.1:1')).toBe('true');
});
