// --only and --exclude on real events.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeKernel, eachDirectory } from '../support/kernel.ts';
import { queryRows, Recording, run } from '../support/recording.ts';

const directory = eachDirectory();

/** Opens each of the files, then connects to a port of each of two listeners; prints the ports. */
const DRIVER = `
import socket, sys
for name in sys.argv[1:]: open(name).close()
ports = []
for _ in range(2):
    server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen()
    socket.create_connection(server.getsockname()).close()
    ports.append(server.getsockname()[1])
print(*ports)
`;

describeKernel('kernel selection', () => {
  test('only a path; all but a path: rows without one stay', async () => {
    const kept = join(directory.path, 'kept');
    const left = join(directory.path, 'left');
    for (const path of [kept, left]) {
      mkdirSync(path);
      writeFileSync(join(path, 'file'), '');
    }
    const files = [join(kept, 'file'), join(left, 'file')];
    const flags = (name: string, ...more: string[]): [string, string[]] => [
      join(directory.path, name),
      more,
    ];
    const only = await Recording.start(...flags('only', '--only', `path=${kept}/`));
    const rest = await Recording.start(...flags('rest', '--exclude', `path=${left}/`));
    await run('python3', ['-c', DRIVER, ...files]);
    await only.stop();
    await rest.stop();
    const paths = (store: string): string[] =>
      queryRows(store).flatMap((row) => (row.type === 'file' ? [row.file.path as string] : []));
    expect(paths(only.store)).toEqual([files[0]]);
    expect(queryRows(only.store).length).toBe(1);
    expect(paths(rest.store)).toContain(files[0]);
    expect(paths(rest.store)).not.toContain(files[1]);
    expect(queryRows(rest.store).some((row) => row.type === 'network')).toBe(true);
    expect(queryRows(rest.store).some((row) => row.op === 'exit')).toBe(true);
  });

  test('all but a port', async () => {
    const recording = await Recording.start(join(directory.path, 'port'), ['--exclude', 'port=1']);
    const ports = (await run('python3', ['-c', DRIVER])).trim().split(' ').map(Number);
    await recording.stop();
    const seen = queryRows(recording.store)
      .filter((row) => row.op === 'connect')
      .map((row) => row.network.dport);
    for (const port of ports) expect(seen).toContain(port);
    expect(seen).not.toContain(1);
  });
});
