// What a publisher says to logger, and what it makes of a failure.

import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { headText, syslogPublisher } from '../../src/service/syslog.ts';
import { temporaryDirectory } from '../support/recording.ts';

const HEAD = { n: 12, mac: 'a'.repeat(64), file: 'audit-0000001.ndjson' };

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

function script(text: string): string {
  const path = join(directory.path, 'logger');
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

test('a head is one line with its number, MAC and file', async () => {
  const out = join(directory.path, 'said');
  const warnings: string[] = [];
  const publish = syslogPublisher((text) => warnings.push(text), script(`echo "$@" >>${out}`));
  await publish(HEAD);
  expect(readFileSync(out, 'utf8')).toBe(
    `--socket-errors=on -t tapio-record -p authpriv.notice -- audit head 12:${HEAD.mac} audit-0000001.ndjson\n`,
  );
  expect(headText(HEAD)).toBe(`audit head 12:${HEAD.mac} audit-0000001.ndjson`);
  expect(warnings).toEqual([]);
});

test('a failure is told once, until it works again', async () => {
  const mark = join(directory.path, 'works');
  const warnings: string[] = [];
  const program = script(`[ -e ${mark} ] || { echo 'socket /dev/log: gone' >&2; exit 1; }`);
  const publish = syslogPublisher((text) => warnings.push(text), program);
  await publish(HEAD);
  await publish(HEAD);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(
    /cannot be published to syslog \(socket \/dev\/log: gone\): .* logger/,
  );
  writeFileSync(mark, '');
  await publish(HEAD);
  await syslogPublisher((text) => warnings.push(text), '/nowhere/logger')(HEAD);
  expect(warnings).toHaveLength(2);
  expect(warnings[1]).toContain('(ENOENT)');
});

test.skipIf(existsSync('/dev/log') || !existsSync('/usr/bin/logger'))(
  'the real logger says where nobody listens',
  async () => {
    const warnings: string[] = [];
    await syslogPublisher((text) => warnings.push(text))(HEAD);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('/dev/log');
  },
);
