// Containers that are gone before anybody could ask for their names.

import { expect, test } from 'vitest';
import { Segment } from '../../src/segment/reader.ts';
import { segmentDirectories } from '../../src/segment/store.ts';
import { describeKernel, eachDirectory } from '../support/kernel.ts';
import { Recording, run } from '../support/recording.ts';

const directory = eachDirectory();

interface Named {
  readonly cgroup: string | null;
  readonly container_id: string | null;
}

/** Processes of a store by pid, as its segments know them. */
function processesIn(store: string): Map<number, Named> {
  const out = new Map<number, Named>();
  for (const path of segmentDirectories(store)) {
    const segment = new Segment(path);
    for (const row of segment.processes()) out.set(row.pid as number, row as unknown as Named);
    segment.close();
  }
  return out;
}

describeKernel('kernel cgroups', () => {
  test.each([
    ['unified', 200],
    ['pids', 100],
  ])('each of many short-lived cgroups is named: %s', async (kind, count) => {
    const recording = await Recording.start(`${directory.path}/store`, ['--profile', 'minimal']);
    try {
      const text = await run('python3', ['test/kernel/cgroups.py', kind, String(count)]);
      const { pids } = JSON.parse(text) as { pids: Record<string, string> | null };
      await recording.stop();
      if (pids === null) {
        // Few hosts have both kinds of hierarchy; CI's do.
        expect(process.env.CI).toBeUndefined();
        return;
      }
      const told = processesIn(recording.store);
      expect(Object.keys(pids).length).toBe(count);
      for (const [pid, path] of Object.entries(pids)) {
        expect(told.get(Number(pid)), pid).toMatchObject({
          cgroup: path,
          container_id: path.slice(-64),
        });
      }
    } finally {
      recording.signal('SIGKILL');
    }
  });
});
