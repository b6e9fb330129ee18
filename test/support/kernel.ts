// What tests of the real kernel share. Under CI none of them may be left out.

import { afterEach, beforeEach, describe, expect } from 'vitest';
import { queryRows, Recording, type Row, temporaryDirectory, whyNoKernel } from './recording.ts';

/** Tests that record the kernel; left out where that cannot be, which CI fails for. */
export function describeKernel(name: string, tests: () => void): void {
  const why = whyNoKernel();
  if (why !== null && process.env.CI !== undefined) {
    throw new Error(`kernel tests must run: ${why}`);
  }
  describe.skipIf(why !== null)(`${name} ${why ?? ''}`, tests);
}

/** A directory of its own for each test of the file that calls this. */
export function eachDirectory(): { readonly path: string } {
  let directory: ReturnType<typeof temporaryDirectory>;
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());
  return {
    get path() {
      return directory.path;
    },
  };
}

interface Driven {
  /** What the driver says of what it did. */
  readonly facts: Row;
  readonly rows: Row[];
  readonly filtered: number;
  /** The recorder. */
  readonly pid: number | undefined;
}

/** Records with these flags while a driver works that prints its facts as JSON; nothing may be lost. */
export async function recordedWhile(
  directory: string,
  flags: readonly string[],
  drive: () => Promise<string>,
): Promise<Driven> {
  const recording = await Recording.start(`${directory}/store`, flags);
  try {
    const facts = JSON.parse(await drive()) as Row;
    const { summary } = await recording.stop();
    expect(summary.lost).toEqual({});
    const rows = queryRows(recording.store);
    return { facts, rows, filtered: summary.filtered, pid: recording.pid };
  } finally {
    recording.signal('SIGKILL');
  }
}
