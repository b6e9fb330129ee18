// What happens to a recorder in the tests of its deaths and of failing disks: segments that are sealed in
// place and merged, losses, a clock step.

import { type Step, tick } from './recorder-world.ts';

const forked = { row: { pid: 5_000_000, comm: 'sh', child_pid: 5_000_001 } };
const rotate: Step = (world) => world.recorder.rotate();

export const SCRIPT: readonly Step[] = [
  (w) => {
    w.emit('process', 'fork', 1, forked);
    w.emit('file', 'open', 3);
  },
  tick,
  // The first batch is handed over before the cut.
  (w) => {
    w.emit('file', 'unlink', 6);
    w.emit('file', 'open', 2, { fate: 'overwritten' });
    w.emit('file', 'open', 1, { fate: 'malformed' });
  },
  tick,
  // Several batches of a type: merged.
  rotate,
  (w) => w.emit('memory', 'oom', 2),
  tick,
  // One batch: sealed in place.
  rotate,
  (w) => {
    w.emit('file', 'open', 3, { fate: 'overwritten' });
    w.host.refuse('file', 'open', 'table_full');
    w.host.filter('file', 'open');
  },
  tick,
  // Losses alone.
  rotate,
  (w) => {
    w.emit('file', 'open', 1, { held: true });
    w.emit('file', 'open', 5);
    w.emit('process', 'signal', 1, { fate: 'own' });
  },
  tick,
  (w) => w.host.settle(),
  tick,
  (w) => w.stepClock(5_000_000_000n),
  tick,
  (w) => w.emit('memory', 'oom', 1),
  tick,
  (w) => w.emit('file', 'rename', 2),
];
