// What a start does before it records: makes room, puts the segments in order, and says in store.json which
// recording goes on.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CatalogCache } from '../catalog/cache.ts';
import { readCommits } from '../segment/commits.ts';
import type { StoreFiles } from '../segment/files.ts';
import { Segment } from '../segment/reader.ts';
import { heldOf, type Recovered, recoverSegments } from '../segment/recover.ts';
import { inSegmentOrder, segmentsOf } from '../segment/store.ts';
import { type LastRecording, readStoreFile, writeStoreFile } from '../segment/store-file.ts';
import { type Beginning, beginningOf, isSealedName, recoveryText } from './beginning.ts';
import { outageOf, outageText } from './outage.ts';
import { type HeldSegment, Retention, type RetentionLimits } from './retention.ts';

export interface StartOptions {
  readonly files: StoreFiles;
  readonly store: string;
  readonly limits: RetentionLimits;
  /** Opens the catalogue, once the store is known to be one of ours. */
  readonly openCatalog: () => CatalogCache | null;
  /** Of the running kernel. */
  readonly bootId: string;
  readonly onNote: (text: string) => void;
}

/** A store that can be recorded into. */
export interface Prepared {
  readonly catalog: CatalogCache | null;
  readonly retention: Retention;
  readonly recovered: readonly Recovered[];
  readonly beginning: Beginning;
  /** Id of the store. */
  readonly id: string;
  readonly recording: LastRecording;
}

const sealedNames = (segments: string): string[] =>
  inSegmentOrder(readdirSync(segments)).filter(isSealedName);

/** The sealed segments of a store with their sizes, oldest first. */
function heldSegments(segments: string): HeldSegment[] {
  return sealedNames(segments).map((name) => {
    const commits = readCommits(join(segments, name));
    const held = commits === null ? { bytes: 0, lastMs: Date.now() } : heldOf(commits);
    return { name, ...held };
  });
}

/** Puts the segments in order. A disk that is full or fails is waited out later, like any other time. */
function recover({ files, store, onNote }: StartOptions): Recovered[] {
  try {
    const recovered = recoverSegments(files, segmentsOf(store));
    for (const one of recovered) {
      const text = recoveryText(one);
      if (text !== null) onNote(text);
    }
    return recovered;
  } catch (error) {
    onNote(outageText(outageOf(error, store)));
    return [];
  }
}

/** Makes room first, then order, then says that a recording goes on. Throws what the file system throws. */
export function prepareStore(options: StartOptions): Prepared {
  const { files, store, limits, openCatalog, bootId } = options;
  const segments = segmentsOf(store);
  const file = readStoreFile(store);
  const catalog = openCatalog();
  const retention = new Retention(files, segments, limits, heldSegments(segments));
  while (retention.step(catalog, 0, Date.now()) > 0);
  const recovered = recover(options);
  for (const { name, sealed } of recovered) if (sealed !== null) retention.add({ name, ...sealed });
  catalog?.sync(sealedNames(segments), (name) => new Segment(join(segments, name)));
  const beginning = beginningOf(store, file, bootId);
  const recording: LastRecording =
    file.recording?.id === beginning.recording
      ? { ...file.recording, ended: null }
      : {
          id: beginning.recording,
          boot_id: bootId,
          began: Date.now(),
          ended: null,
          lost_since: beginning.diedAt,
        };
  writeStoreFile(files, store, file.id, recording);
  return { catalog, retention, recovered, beginning, id: file.id, recording };
}
