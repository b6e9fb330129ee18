// The simulated disk keeps its word: what it must not lose, what it must sometimes lose, and that losing
// is noticed.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { replaceFile } from '../../src/segment/files.ts';
import { random } from './batches.ts';
import { diskDirectory, type OperationName, PowerCut, SimDisk } from './sim-disk.ts';

const SEEDS = 250;

let directory: ReturnType<typeof diskDirectory>;
let at: (...names: string[]) => string;
beforeEach(() => {
  directory = diskDirectory();
  at = (...names) => join(directory.path, ...names);
});
afterEach(() => directory.remove());

/** A directory as text: names in order, directories with a slash, contents where there are any. */
function shown(path: string): string {
  const entries = readdirSync(path, { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
  const texts = entries.map((entry) => {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) return `${entry.name}/(${shown(inner)})`;
    const content = readFileSync(inner, 'latin1').replaceAll('\0', '_');
    return content === '' ? entry.name : `${entry.name}=${content}`;
  });
  return texts.join(' ');
}

/** What a power cut after `act` leaves, over many seeds: state → how often. */
function outcomes(
  act: (disk: SimDisk) => void,
  prepare: () => void = () => {},
): Map<string, number> {
  const found = new Map<string, number>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    directory.remove();
    mkdirSync(directory.path);
    prepare();
    const disk = new SimDisk(directory.path);
    act(disk);
    disk.lose(random(seed));
    const state = shown(directory.path);
    found.set(state, (found.get(state) ?? 0) + 1);
  }
  return found;
}

const states = (...args: Parameters<typeof outcomes>): string[] =>
  [...outcomes(...args).keys()].sort();

const bytes = (text: string): Buffer[] => [Buffer.from(text)];

/** A file whose name is durable. */
function named(disk: SimDisk, name: string): ReturnType<SimDisk['create']> {
  const file = disk.create(at(name));
  disk.syncDirectory(directory.path);
  return file;
}

test('what was synced is never lost, whatever comes after', () => {
  const chunk = fc.string({ minLength: 1, maxLength: 30 }).map((text) => Buffer.from(text));
  const step = fc.oneof(chunk, fc.constant('sync' as const));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.integer(), (steps, seed) => {
      directory.remove();
      mkdirSync(directory.path);
      const disk = new SimDisk(directory.path);
      const file = named(disk, 'file');
      const all: Buffer[] = [];
      let synced = 0;
      for (const one of steps) {
        if (one === 'sync') {
          file.sync();
          synced = file.length;
        } else {
          file.append([one]);
          all.push(one);
        }
      }
      const whole = Buffer.concat(all);
      expect(readFileSync(at('file'))).toEqual(whole);
      disk.lose(random(seed));
      const left = readFileSync(at('file'));
      expect(left.subarray(0, synced)).toEqual(whole.subarray(0, synced));
      expect(left.length).toBeLessThanOrEqual(whole.length);
      // Behind that every byte is the one written or zero.
      expect(left.every((byte, i) => byte === 0 || byte === whole[i])).toBe(true);
    }),
    { seed: 1, numRuns: 200 },
  );
});

test('unsynced appends are kept, dropped, torn, zeroed, reordered, or only their length is there', () => {
  const found = states((disk) => {
    const file = named(disk, 'f');
    file.append(bytes('ab'));
    file.sync();
    file.append(bytes('cd'));
    file.append(bytes('ef'));
  });
  for (const state of [
    'abcdef',
    'ab',
    'abc',
    'ab__',
    'ab__ef',
    'ab_def',
    'ab____',
    'abcd',
    'abcde',
  ]) {
    expect(found).toContain(`f=${state}`);
  }
  for (const state of found) expect(state).toMatch(/^f=ab[c_]?[d_]?[e_]?[f_]?$/);
});

test('a large append reaches the disk in pieces', () => {
  const found = states((disk) => {
    named(disk, 'f').append([Buffer.alloc(3 * 4096, 'x')]);
  });
  expect(found.some((state) => /^f=x+_{4096}x+$/.test(state))).toBe(true);
});

test('an unsynced truncate happens or not; a synced one has happened', () => {
  const cut = (sync: boolean) => (disk: SimDisk) => {
    const file = disk.reopen(at('f'), 2);
    expect(file.length).toBe(2);
    if (sync) file.sync();
  };
  const prepare = (): void => writeFileSync(at('f'), 'abcd');
  expect(states(cut(false), prepare)).toEqual(['f=ab', 'f=abcd']);
  expect(states(cut(true), prepare)).toEqual(['f=ab']);
});

test('a file that is opened again is appended to', () => {
  const prepare = (): void => writeFileSync(at('f'), 'ab');
  const found = states((disk) => {
    const file = disk.reopen(at('f'), 2);
    file.append(bytes('cd'));
    file.sync();
    expect(file.length).toBe(4);
  }, prepare);
  expect(found).toEqual(['f=abcd']);
});

test('a name is durable by a sync of its directory, not by one of its file', () => {
  const write = (sync: boolean) => (disk: SimDisk) => {
    const file = disk.create(at('f'));
    file.append(bytes('x'));
    file.sync();
    if (sync) disk.syncDirectory(directory.path);
  };
  expect(states(write(false))).toEqual(['', 'f=x']);
  expect(states(write(true))).toEqual(['f=x']);
});

test('a subtree whose own name is lost is gone, whatever was synced in it', () => {
  const found = states((disk) => {
    disk.makeDirectory(at('a', 'b'));
    const file = disk.create(at('a', 'b', 'f'));
    file.append(bytes('x'));
    file.sync();
    disk.syncDirectory(at('a', 'b'));
    disk.syncDirectory(directory.path);
  });
  expect(found).toEqual(['a/()', 'a/(b/(f=x))']);
});

test('a rename within a directory is the old name or the new one, and undone until the sync', () => {
  const rename = (sync: boolean) => (disk: SimDisk) => {
    disk.rename(at('old'), at('new'));
    if (sync) disk.syncDirectory(directory.path);
  };
  const prepare = (): void => {
    mkdirSync(at('old'));
    writeFileSync(at('old', 'f'), 'x');
  };
  expect(states(rename(false), prepare)).toEqual(['new/(f=x)', 'old/(f=x)']);
  expect(states(rename(true), prepare)).toEqual(['new/(f=x)']);
});

test('a rename over a file leaves the one or the other, and unsynced data of the new one may be lost', () => {
  const over = (sync: boolean) => (disk: SimDisk) => {
    const file = disk.create(at('f.new'));
    file.append(bytes('n'));
    if (sync) file.sync();
    disk.rename(at('f.new'), at('f'));
  };
  const prepare = (): void => writeFileSync(at('f'), 'o');
  expect(states(over(true), prepare)).toEqual(['f=n', 'f=o', 'f=o f.new=n']);
  expect(states(over(false), prepare)).toEqual(expect.arrayContaining(['f', 'f=_', 'f=n', 'f=o']));
});

test('between directories a file has its old name, its new one or both', () => {
  const move =
    (...synced: string[]) =>
    (disk: SimDisk) => {
      disk.rename(at('a', 'f'), at('b', 'f'));
      for (const name of synced) disk.syncDirectory(at(name));
    };
  const prepare = (): void => {
    for (const name of ['a', 'b']) mkdirSync(at(name));
    writeFileSync(at('a', 'f'), 'x');
  };
  expect(states(move(), prepare)).toEqual(['a/() b/(f=x)', 'a/(f=x) b/()', 'a/(f=x) b/(f=x)']);
  expect(states(move('b'), prepare)).toEqual(['a/() b/(f=x)', 'a/(f=x) b/(f=x)']);
  expect(states(move('b', 'a'), prepare)).toEqual(['a/() b/(f=x)']);
  // POSIX promises nothing of the new name where only the old one's directory was synced.
  expect(states(move('a'), prepare)).toEqual(['a/() b/()', 'a/() b/(f=x)']);
});

test('a directory is never under two names', () => {
  const prepare = (): void => {
    for (const name of ['a', 'b', 'a/d']) mkdirSync(at(name));
    writeFileSync(at('a', 'd', 'f'), 'x');
  };
  const move = (disk: SimDisk): void => disk.rename(at('a', 'd'), at('b', 'd'));
  expect(states(move, prepare)).toEqual(['a/() b/(d/(f=x))', 'a/(d/(f=x)) b/()']);
});

test('removing a tree is many unlinks, any of which may have happened', () => {
  const prepare = (): void => {
    mkdirSync(at('d'));
    for (const name of ['x', 'y', 'z']) writeFileSync(at('d', name), '');
  };
  const remove = (disk: SimDisk): void => disk.remove(at('d'));
  const subsets = ['', 'x', 'y', 'z', 'x y', 'x z', 'y z', 'x y z'].map((names) => `d/(${names})`);
  expect(states(remove, prepare)).toEqual(['', ...subsets].sort());
  expect(
    states((disk) => {
      remove(disk);
      disk.syncDirectory(directory.path);
    }, prepare),
  ).toEqual(['']);
});

// Another way to the same: tries every subset of the operations one after the other, without those that
// cannot be done.
type Named = {
  readonly kind: 'create' | 'unlink' | 'rename';
  readonly a: string;
  readonly b: string;
};

function reachable(program: readonly Named[]): Set<string> {
  const found = new Set<string>();
  for (let chosen = 0; chosen < 2 ** program.length; chosen++) {
    const now = new Map<string, number>();
    const left = new Map<string, number>();
    const possible = program.every(({ kind, a, b }, i) => {
      // What the program did it to, and whether that is there in this subset.
      const file = kind === 'create' ? i : (now.get(a) ?? -1);
      const done = (chosen & (1 << i)) !== 0;
      for (const names of done ? [now, left] : [now]) {
        if (names === left && kind !== 'create' && left.get(a) !== file) return false;
        if (names === left && kind === 'create' && left.has(a)) return false;
        if (kind !== 'create') names.delete(a);
        if (kind !== 'unlink') names.set(kind === 'rename' ? b : a, file);
      }
      return true;
    });
    if (possible)
      found.add(
        [...left]
          .map(([name, file]) => `${name}=${file}`)
          .sort()
          .join(' '),
      );
  }
  return found;
}

test('every state of a directory can be reached by some of its operations, and all of those occur', () => {
  const name = fc.constantFrom('p', 'q', 'r');
  const kind = fc.constantFrom('create' as const, 'unlink' as const, 'rename' as const);
  const wishes = fc.array(fc.record({ kind, a: name, b: name }), { minLength: 1, maxLength: 6 });
  let seen = 0;
  let possible = 0;
  fc.assert(
    fc.property(wishes, fc.integer(), (wished, seed) => {
      const there = new Set<string>();
      const program = wished.filter(({ kind, a, b }) => {
        if ((kind === 'create') === there.has(a) || (kind === 'rename' && a === b)) return false;
        if (kind !== 'create') there.delete(a);
        if (kind !== 'unlink') there.add(kind === 'rename' ? b : a);
        return true;
      });
      const allowed = reachable(program);
      const found = new Set<string>();
      for (let i = 0; i < 40; i++) {
        directory.remove();
        mkdirSync(directory.path);
        const disk = new SimDisk(directory.path);
        program.forEach(({ kind, a, b }, number) => {
          if (kind === 'rename') disk.rename(at(a), at(b));
          else if (kind === 'unlink') disk.remove(at(a));
          else {
            const file = disk.create(at(a));
            file.append(bytes(String(number)));
            file.sync();
          }
        });
        disk.lose(random(seed + i));
        found.add(shown(directory.path));
      }
      for (const state of found) expect(allowed).toContain(state);
      seen += found.size;
      possible += allowed.size;
    }),
    { seed: 2, numRuns: 60 },
  );
  expect(seen / possible).toBeGreaterThan(0.9);
});

test('once everything is synced, a power cut changes nothing', () => {
  const found = outcomes((disk) => {
    disk.makeDirectory(at('a', 'b'));
    disk.makeDirectory(at('c'));
    for (const path of [at('a', 'f'), at('a', 'b', 'g'), at('c', 'h')]) {
      const file = disk.create(path);
      file.append(bytes(basename(path)));
      file.sync();
      file.close();
    }
    disk.rename(at('a', 'b'), at('c', 'b'));
    disk.remove(at('c', 'h'));
    for (const path of [directory.path, at('a'), at('c'), at('c', 'b')]) disk.syncDirectory(path);
  });
  expect([...found.keys()]).toEqual(['a/(f=f) c/(b/(g=g))']);
});

test('replace is cut apart: the old content or the new, whole, until the end', () => {
  const prepare = (): void => writeFileSync(at('f'), 'old');
  const contents = new Set<string>();
  const operations: OperationName[] = [];
  for (let cut = 1; cut <= 7; cut++) {
    const found = outcomes((disk) => {
      disk.cutAt(cut);
      try {
        replaceFile(disk, at('f'), 'new');
      } catch (error) {
        expect(error).toBeInstanceOf(PowerCut);
      }
      if (cut === 7) operations.push(...disk.log.map(({ operation }) => operation).splice(0, 6));
    }, prepare);
    for (const state of found.keys()) contents.add(state.split(' ')[0] ?? '');
    if (cut === 7) expect([...found.keys()]).toEqual(['f=new']);
  }
  expect([...contents].sort()).toEqual(['f=new', 'f=old']);
  expect(operations.slice(0, 6)).toEqual([
    'unlink',
    'create',
    'append',
    'sync',
    'rename',
    'syncDirectory',
  ]);
});

test('after a cut nothing happens any more; without lose() what was done is all there', () => {
  const disk = new SimDisk(directory.path);
  const file = disk.create(at('f'));
  disk.cutAt(3);
  file.append(bytes('a'));
  expect(() => file.append(bytes('b'))).toThrow(PowerCut);
  expect(() => disk.create(at('g'))).toThrow(PowerCut);
  expect(() => disk.remove(at('f'))).toThrow(PowerCut);
  file.close();
  expect(disk.off).toBe(true);
  expect(shown(directory.path)).toBe('f=a');
  // A new disk is the next start of the machine.
  const next = new SimDisk(directory.path);
  next.lose(random(1));
  expect(shown(directory.path)).toBe('f=a');
});

test('the log says what was done where, and the call site is that of the caller', () => {
  const disk = new SimDisk(directory.path);
  const file = disk.create(at('f'));
  file.append(bytes('a'));
  disk.rename(at('f'), at('g'));
  const line = Number(/:(\d+):\d+\)?$/.exec(new Error().stack?.split('\n')[1] ?? '')?.[1]);
  const site = (back: number): string => `test/support/sim-disk.test.ts:${line - back}`;
  expect(disk.log.map((one) => `${one.number} ${one.operation} ${one.path} ${one.site}`)).toEqual([
    `1 create f ${site(3)}`,
    `2 append f ${site(2)}`,
    `3 rename f ${site(1)}`,
  ]);
});

test('syncs that are skipped make nothing durable', () => {
  const write = (disk: SimDisk): void => {
    const file = named(disk, 'f');
    file.append(bytes('x'));
    file.sync();
  };
  const whole = new SimDisk(directory.path);
  write(whole);
  const sync = whole.log.at(-1)?.site ?? '';
  expect(states(write)).toEqual(['f=x']);
  const found = states((disk) => {
    disk.skip = new Set([sync]);
    write(disk);
  });
  expect(found).toEqual(['f', 'f=_', 'f=x']);
});

test('what is put off happens behind the next operation, and in the end at the latest', () => {
  const disk = new SimDisk(directory.path);
  const [a, b] = [disk.create(at('a')), disk.create(at('b'))];
  a.append(bytes('x'));
  const append = (text: string): void => a.append(bytes(text));
  append('y');
  disk.delay = disk.log.at(-1)?.site ?? '';
  append('z');
  append('!');
  expect([a.length, disk.operations]).toEqual([4, 4]);
  expect(shown(directory.path)).toBe('a=xy b');
  a.close();
  b.append(bytes('1'));
  expect(shown(directory.path)).toBe('a=xy b=1');
  b.append(bytes('2'));
  expect(shown(directory.path)).toBe('a=xyz! b=12');
  disk.delay = null;
  expect(disk.log.slice(4).map(({ path }) => path)).toEqual(['b', 'a', 'a', 'b']);

  const other = new SimDisk(directory.path);
  const remove = (): void => other.remove(at('a'));
  const [{ site } = { site: '' }] = [remove(), ...other.log].slice(1) as { site: string }[];
  other.delay = site;
  writeFileSync(at('a'), '');
  other.settle();
  remove();
  expect(existsSync(at('a'))).toBe(true);
  other.finish();
  expect(existsSync(at('a'))).toBe(false);
});

test('operations fail by number or by what they are, with the error of the system', () => {
  const disk = new SimDisk(directory.path);
  disk.failAt(2, 'EDQUOT');
  disk.failAt(({ operation }) => operation === 'syncDirectory', 'EROFS');
  const file = disk.create(at('f'));
  expect(() => file.append(bytes('a'))).toThrow(
    expect.objectContaining({ code: 'EDQUOT', syscall: 'append', path: at('f') }),
  );
  // As with a real one, nothing may be appended behind a write that failed.
  expect(() => file.append(bytes('a'))).toThrow('half written');
  expect(() => disk.syncDirectory(directory.path)).toThrow(
    expect.objectContaining({ code: 'EROFS' }),
  );
  expect(shown(directory.path)).toBe('f');
});

test('a full disk takes what fits, and takes more when something is removed', () => {
  const disk = new SimDisk(directory.path);
  writeFileSync(at('old'), '12345');
  disk.settle();
  disk.free(4);
  const file = disk.create(at('f'));
  file.append(bytes('abc'));
  expect(() => file.append(bytes('def'))).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
  expect(shown(directory.path)).toBe('f=abcd old=12345');
  expect(file.length).toBe(3);
  disk.remove(at('old'));
  disk.create(at('g')).append(bytes('12345'));
  expect(() => disk.create(at('h')).append(bytes('1'))).toThrow('ENOSPC');
});

test('a sync that failed leaves its data to chance, whatever is synced later', () => {
  const found = states((disk) => {
    const file = named(disk, 'f');
    file.append(bytes('a'));
    disk.failAt(disk.operations + 1, 'EIO');
    expect(() => file.sync()).toThrow('EIO');
    const again = disk.reopen(at('f'), 1);
    again.append(bytes('b'));
    again.sync();
  });
  expect(found).toEqual(['f=_b', 'f=ab']);
});

test('a disk can be slow', () => {
  const disk = new SimDisk(directory.path);
  disk.stall(30, ({ operation }) => operation === 'sync');
  const file = disk.create(at('f'));
  file.append(bytes('a'));
  const before = performance.now();
  file.sync();
  expect(performance.now() - before).toBeGreaterThan(25);
});

test('what is outside, or was made past the disk, is refused in words', () => {
  const disk = new SimDisk(directory.path);
  writeFileSync(at('f'), '');
  expect(() => disk.rename(at('f'), at('g'))).toThrow('settle()');
  expect(() => disk.create('/elsewhere')).toThrow('not on the disk');
  expect(() => disk.rename(at('none'), at('g'))).toThrow(
    expect.objectContaining({ code: 'ENOENT' }),
  );
});
