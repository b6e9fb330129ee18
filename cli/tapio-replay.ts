#!/usr/bin/env node
import './node-version.ts';
import './compile-cache.ts';

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
    tail: {
      about: 'rows as they come, after the last that are stored',
      load: async () => (await import('./commands/tail.ts')).tail,
    },
    play: {
      about: 'rows again, in order, at the speed at which they came or another',
      load: async () => (await import('./commands/play.ts')).play,
    },
    stats: {
      about: 'sums, rates and percentiles, by any field',
      load: async () => (await import('./commands/stats.ts')).stats,
    },
    ps: {
      about: 'the processes that were alive at a time',
      load: async () => (await import('./commands/ps.ts')).ps,
    },
    conns: {
      about: 'the TCP sockets that were open at a time, and whose',
      load: async () => (await import('./commands/conns.ts')).conns,
    },
    trace: {
      about: 'a process and its descendants through their life',
      load: async () => (await import('./commands/trace.ts')).trace,
    },
    export: {
      about: 'rows of a window as a store of their own, or as JSON lines',
      load: async () => (await import('./commands/export.ts')).exportCommand,
    },
    segments: {
      about: 'the segments of a store: what and when',
      load: async () => (await import('./commands/segments.ts')).segments,
    },
    account: {
      about: 'issued, stored, lost, filtered: the sum, and whether it comes out',
      load: async () => (await import('./commands/account.ts')).account,
    },
    verify: {
      about: 'is everything as it was written?',
      load: async () => (await import('./commands/verify.ts')).verify,
    },
    audit: {
      about: 'audit verify: is the audit log of a service as it was written?',
      load: async () => (await import('./commands/audit.ts')).audit,
    },
    repair: {
      about: 'salvage what verifies of damaged segments',
      load: async () => (await import('./commands/repair.ts')).repair,
    },
    schema: {
      about: 'event types, ops and fields',
      load: async () => (await import('./commands/schema.ts')).schema,
    },
  },
});
