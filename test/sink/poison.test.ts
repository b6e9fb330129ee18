// The poison file keeps the newest of what was refused, within its bounds, and loses nothing to a disk that fails for a while.

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PoisonFile } from '../../src/sink/poison.ts';
import { temporaryDirectory } from '../support/recording.ts';
import { onwardEvent } from '../support/sinks.ts';

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

const linesIn = (path: string): { seq: number; refused: string }[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

test('it takes 16 MiB at most, and has the newest', async () => {
  const path = join(directory.path, 'n.poison.ndjson');
  const poison = new PoisonFile(path);
  const [count, bytes] = [400, 100_000];
  for (let seq = 1; seq <= count; seq++) {
    poison.add(onwardEvent(seq, bytes), 'too large');
    if (seq % 20 === 0) expect((await poison.write()).length).toBe(20);
  }
  await poison.close();
  const names = readdirSync(directory.path).sort();
  expect(names).toEqual(['n.poison.ndjson', 'n.poison.ndjson.1']);
  const sizes = names.map((name) => statSync(join(directory.path, name)).size);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(8 * 2 ** 20);
  const lines = [...linesIn(`${path}.1`), ...linesIn(path)];
  expect(lines.at(-1)).toMatchObject({ seq: count, refused: 'too large' });
  const seqs = lines.map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.map((_, i) => count - seqs.length + 1 + i));
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('what cannot be written is kept', async () => {
  const folder = join(directory.path, 'gone');
  const poison = new PoisonFile(join(folder, 'n.poison.ndjson'));
  const events = [onwardEvent(1), onwardEvent(2)];
  for (const event of events) poison.add(event, 'no');
  await expect(poison.write()).rejects.toThrow();
  expect(poison.isFull).toBe(false);
  mkdirSync(folder);
  poison.add(onwardEvent(3), 'no');
  expect((await poison.write()).map(({ seq }) => seq)).toEqual([1n, 2n, 3n]);
  expect(await poison.write()).toEqual([]);
  await poison.close();
  expect(linesIn(join(folder, 'n.poison.ndjson')).map(({ seq }) => seq)).toEqual([1, 2, 3]);
  rmSync(folder, { recursive: true });
});
