// Writes what other languages need of the event table into schemas/generated/.
// `--check` writes nothing and fails when a file is stale.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv, exit, stderr } from 'node:process';
import { fileURLToPath } from 'node:url';
import { eventsHeader } from './generate-c.ts';
import { decodeHeader } from './generate-decode.ts';
import { eventsMarkdown } from './generate-docs.ts';
import { layoutsHeader } from './generate-layouts.ts';
import { eventsProto } from './generate-proto.ts';

/** Each generated file with its whole text. */
export function generatedFiles(): ReadonlyMap<string, string> {
  return new Map([
    ['events.h', eventsHeader()],
    ['decode.h', decodeHeader()],
    ['layouts.h', layoutsHeader()],
    ['events.proto', eventsProto()],
    ['EVENTS.md', eventsMarkdown()],
  ]);
}

/** Names of the files in `dir` that differ from what the table gives now. */
export function staleFiles(dir: string): string[] {
  return [...generatedFiles()]
    .filter(([name, text]) => {
      try {
        return readFileSync(join(dir, name), 'utf8') !== text;
      } catch {
        return true;
      }
    })
    .map(([name]) => name);
}

function main(): void {
  const dir = join(dirname(fileURLToPath(import.meta.url)), 'generated');
  if (argv.includes('--check')) {
    const stale = staleFiles(dir);
    if (stale.length > 0) {
      stderr.write(`schemas/generated is stale (${stale.join(', ')}): run npm run generate\n`);
      exit(1);
    }
    return;
  }
  mkdirSync(dir, { recursive: true });
  for (const [name, text] of generatedFiles()) writeFileSync(join(dir, name), text);
}

if (import.meta.main) main();
