#!/usr/bin/env node
import './node-version.ts';

const { runProgram } = await import('./program.ts');
await runProgram({
  name: 'tapio-replay',
  about: 'Reads what tapio-record recorded.',
  fallback: null,
  commands: {
    query: {
      about: 'rows of a window, by type, op and process',
      load: async () => (await import('./commands/query.ts')).query,
    },
    segments: {
      about: 'the segments of a store: what and when',
      load: async () => (await import('./commands/segments.ts')).segments,
    },
    schema: {
      about: 'event types, ops and fields',
      load: async () => (await import('./commands/schema.ts')).schema,
    },
  },
});
