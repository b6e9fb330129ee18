// Every cause of a loss row: what happened, and what to do about it. EVENTS.md lists them.

export interface LossCause {
  readonly stage: 'kernel' | 'ring' | 'decode' | 'store' | 'recorder' | 'clock';
  /** What happened. */
  readonly doc: string;
  /** What to do about it. */
  readonly remedy: string;
}

/** By name, as `cause` in losses.arrow has it; a count of null means that nobody can know it. */
export const LOSS_CAUSES = {
  overwritten: {
    stage: 'ring',
    doc: 'The kernel wrote faster than the recorder read, and the ring overwrote its oldest records.',
    remedy:
      'A larger --ring-size rides out longer bursts; --disable what is not needed, or --exclude a noisy process.',
  },
  no_space: {
    stage: 'ring',
    doc: 'The disk was full; what the rings could not hold until there was room was overwritten.',
    remedy:
      'Give the store room: a smaller --max-bytes, a larger --min-free, or another disk with --store.',
  },
  quota: {
    stage: 'ring',
    doc: 'The disk quota of the recorder’s user was used up; what the rings could not hold was overwritten.',
    remedy: 'Raise the quota, or keep --max-bytes below it.',
  },
  io_error: {
    stage: 'ring',
    doc: 'The disk failed to write; what the rings could not hold until it worked again was overwritten.',
    remedy: 'Look at the kernel log for the disk, and move the store with --store.',
  },
  read_only: {
    stage: 'ring',
    doc: 'The file system had become read-only; what the rings could not hold was overwritten.',
    remedy: 'Often the answer to a disk error: see the kernel log, repair it, mount it writable.',
  },
  no_ring: {
    stage: 'kernel',
    doc: 'The CPU had no ring: it came online after the recorder had started.',
    remedy: 'Start the recorder again after adding CPUs.',
  },
  contention: {
    stage: 'kernel',
    doc: 'Nested interrupts took the ring’s space three times in a row.',
    remedy: 'A larger --ring-size; a steady rate of it is worth a report.',
  },
  table_full: {
    stage: 'kernel',
    doc: 'A table of calls or sockets under way was full.',
    remedy: 'Exclude the process that opens them, or report the workload.',
  },
  overrun: {
    stage: 'kernel',
    doc: 'A writer was overtaken in its own ring: its record may be damaged.',
    remedy: 'A larger --ring-size.',
  },
  malformed: {
    stage: 'decode',
    doc: 'A record could not be decoded.',
    remedy: 'Report it: the programs and the recorder do not agree.',
  },
  cut: {
    stage: 'store',
    doc: 'Rows that had been committed were not whole any more when the recorder started again, and were cut off.',
    remedy:
      'A disk that loses what it said was written: check it, and its write cache (barriers on, no nobarrier).',
  },
  damaged: {
    stage: 'store',
    doc: 'Rows that had been stored were not as they were written any more and were left out by a repair.',
    remedy: 'Check the disk; tapio-replay verify tells what else is damaged.',
  },
  crash: {
    stage: 'recorder',
    doc: 'The recorder ended without a word and its rings were gone when it started again.',
    remedy:
      'After a reboot or a power cut nothing helps; else mount bpffs (mount -t bpf none /sys/fs/bpf), so that the rings outlive the recorder.',
  },
  orphaned: {
    stage: 'recorder',
    doc: 'Nobody had read the rings for longer than --orphan-timeout, and the programs fell silent.',
    remedy: 'Start the recorder again sooner, or set a longer --orphan-timeout.',
  },
  handover: {
    stage: 'recorder',
    doc: 'Programs of another version or ring size took over from those that were running: what happened in that instant (microseconds) is not recorded.',
    remedy: 'None is needed; it happens once at such a restart.',
  },
  clock_step: {
    stage: 'clock',
    doc: 'Nothing is lost. The wall clock was set: ts goes on from another offset in a new segment.',
    remedy: 'Let the clock be slewed rather than stepped (chrony’s makestep).',
  },
  suspend: {
    stage: 'clock',
    doc: 'Nothing is lost. The host slept: ts goes on from another offset in a new segment.',
    remedy: 'None is needed.',
  },
} as const satisfies Readonly<Record<string, LossCause>>;

export type LossCauseName = keyof typeof LOSS_CAUSES;
