// A message of a row beside the row as query prints it.

import { expect } from 'vitest';
import type { Row } from './recording.ts';

const COMMON = ['op', 'cpu', 'pid', 'tid', 'ppid', 'uid', 'gid', 'comm', 'weight', 'flags'];

/** A time as query prints it, as ns since 1970. */
export const nsOf = (iso: string): string =>
  `${BigInt(Date.parse(`${iso.slice(0, 19)}Z`)) * 1_000_000n + BigInt(iso.slice(20, 29))}`;

/** Numbers in hexadecimal are numbers. */
const plain = (value: unknown): string =>
  typeof value === 'string' && value.startsWith('0x') ? BigInt(value).toString() : String(value);

/** Holds a message, of any client, against its row, field by field. */
export function expectSame(message: Row, row: Row): void {
  expect([message.seq, message.ts, message.ktime]).toEqual([
    String(row.seq),
    nsOf(row.ts),
    row.ktime,
  ]);
  for (const name of COMMON) {
    // What is 0 or empty need not be there.
    const sent = message[name] ?? (typeof row[name] === 'string' ? '' : 0);
    expect(sent, name).toEqual(row[name]);
  }
  const own = message[row.type] as Row;
  expect(own, row.type).toBeDefined();
  for (const [name, value] of Object.entries(row[row.type] as Row)) {
    const sent = own[name];
    if (value === null) expect(sent ?? [], name).toHaveLength(0);
    else if (Array.isArray(value)) expect((sent ?? []).map(String), name).toEqual(value.map(plain));
    else expect(plain(sent), name).toBe(plain(value));
  }
}
