import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { COMMON, EVENTS, type FieldSpec, MAX_OPS, type TypeSpec } from '../schemas/events.ts';
import { staleFiles } from '../schemas/generate.ts';
import { allLayouts, HEADER_BYTES } from '../schemas/layout.ts';

const generated = fileURLToPath(new URL('../schemas/generated', import.meta.url));

function* fieldsOf(type: string): Generator<[string, FieldSpec]> {
  yield* Object.entries(COMMON as Readonly<Record<string, FieldSpec>>);
  yield* Object.entries((EVENTS as Readonly<Record<string, TypeSpec>>)[type]?.fields ?? {});
}

test('generated files are what the table gives', () => {
  expect(staleFiles(generated)).toEqual([]);
});

test('ids are unique, ops fit the kernel counters, every field is documented', () => {
  const ops = allLayouts().map((l) => l.spec.id);
  expect(new Set(ops).size).toBe(ops.length);
  expect(Math.max(...ops)).toBeLessThan(MAX_OPS);
  for (const type of Object.keys(EVENTS)) {
    const ids = [...fieldsOf(type)].map(([, field]) => field.id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [name, field] of fieldsOf(type)) expect(field.doc, `${type}.${name}`).not.toBe('');
  }
});

test('every op sets fields of its type, and record members neither overlap nor leave gaps', () => {
  const sizes = { __u8: 1, __u16: 2, __u32: 4, __u64: 8, __s32: 4, __s64: 8 };
  for (const layout of allLayouts()) {
    let end = HEADER_BYTES;
    for (const member of layout.members) {
      expect(member.offset, `${layout.type}.${layout.op}.${member.name}`).toBe(end);
      end += sizes[member.ctype] * member.count;
    }
    expect(end).toBe(layout.bytes);
    expect(layout.bytes % 8).toBe(0);
  }
});

test('the C header compiles without a warning, padding included', () => {
  const dir = mkdtempSync(join(tmpdir(), 'tapio-schema-'));
  try {
    const source = join(dir, 'check.c');
    writeFileSync(
      source,
      '#include <linux/types.h>\n#include "events.h"\nint main(void) { return 0; }\n',
    );
    execFileSync('gcc', [
      '-Wall',
      '-Wextra',
      '-Wpadded',
      '-Werror',
      '-I',
      generated,
      '-c',
      source,
      '-o',
      join(dir, 'check.o'),
    ]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
