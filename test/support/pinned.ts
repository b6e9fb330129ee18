// What a recorder has pinned, changed as if another version had done it.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Where struct tapio_session (bpf/config.h) has its texts. */
export const FINGERPRINT_AT = 56;
export const LAYOUTS_AT = 424;

/** Writes text over what the session in a set's directory says. */
export function changeSession(set: string, at: number, text: string): void {
  const pin = ['pinned', join(set, 'session')];
  const key = ['key', 'hex', '00', '00', '00', '00'];
  const found = execFileSync('bpftool', ['-j', 'map', 'lookup', ...pin, ...key]).toString();
  const value = (JSON.parse(found) as { value: string[] }).value.map((byte) => byte.slice(2));
  [...Buffer.from(text)].forEach((byte, i) => {
    value[at + i] = byte.toString(16).padStart(2, '0');
  });
  execFileSync('bpftool', ['map', 'update', ...pin, ...key, 'value', 'hex', ...value]);
}
