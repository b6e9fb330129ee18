#!/usr/bin/env node
import './node-version.ts';
import './compile-cache.ts';

const { runProgram } = await import('./program.ts');
await runProgram({
  name: 'tapio-record',
  about: 'Records raw kernel events (eBPF) into Arrow segments.',
  fallback: 'start',
  commands: {
    start: {
      about: 'record until Ctrl-C, SIGTERM, stop or --duration',
      load: async () => (await import('./commands/start.ts')).start,
    },
    stop: {
      about: 'end the recording of a store and wait until it is sealed',
      load: async () => (await import('./commands/stop.ts')).stop,
    },
    status: {
      about: 'what is held, what was lost, and what it costs',
      load: async () => (await import('./commands/status.ts')).status,
    },
    inflight: {
      about: 'calls that have not returned: who hangs, in what, since when',
      load: async () => (await import('./commands/inflight.ts')).inflight,
    },
    token: {
      about: 'make a bearer token for a client, which --tokens FILE takes',
      load: async () => (await import('./commands/token.ts')).token,
    },
    doctor: {
      about: 'can this host record? what works, what does not, what to do',
      load: async () => (await import('./commands/doctor.ts')).doctor,
    },
  },
});
