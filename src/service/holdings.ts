// What a store holds, in numbers.

import { EVENT_TYPES } from '../../schemas/arrow.ts';
import { heldSpan } from '../query/held.ts';
import type { Segment } from '../segment/reader.ts';
import { openStore } from '../segment/store.ts';

/** From the first row to the last, ns since 1970, both inclusive. */
interface HeldTime {
  readonly first: bigint;
  readonly last: bigint;
}

export interface HeldSegment {
  readonly name: string;
  readonly sealed: boolean;
  readonly recording: string;
  readonly host: string;
  readonly bootId: string;
  /** Null without rows. */
  readonly time: HeldTime | null;
  /** By type. */
  readonly rows: Readonly<Record<string, number>>;
  readonly bytes: number;
  /** Events, as far as it is known how many. */
  readonly lost: bigint;
  /** Only rows that match it were recorded; null: all. */
  readonly filter: string | null;
  /** What was masked in command lines: the patterns, and how many secrets each found. */
  readonly mask: readonly string[];
  readonly masked: Readonly<Record<string, number>>;
}

export interface Holding {
  readonly time: HeldTime | null;
  /** Whose the newest segment is; null where there is none. */
  readonly newest: Pick<HeldSegment, 'recording' | 'host' | 'bootId'> | null;
}

function describe(segment: Segment): HeldSegment {
  const { header } = segment;
  return {
    name: segment.name,
    sealed: segment.sealed,
    ...whose(segment),
    time: heldSpan([segment], EVENT_TYPES),
    rows: Object.fromEntries(segment.types().map((type) => [type, segment.rows(type)])),
    bytes: segment.bytes(),
    lost: segment.losses().reduce((sum, { count }) => sum + (count ?? 0n), 0n),
    filter: header.filter ?? null,
    mask: header.mask ?? [],
    masked: segment.commits?.last?.masked ?? {},
  };
}

const whose = ({
  header: { recording, host, boot_id: bootId },
}: Segment): Holding['newest'] & {} => ({
  recording,
  host,
  bootId,
});

function isIn({ time }: HeldSegment, since: bigint | null, until: bigint | null): boolean {
  if (since === null && until === null) return true;
  if (time === null) return false;
  return (since === null || time.last >= since) && (until === null || time.first < until);
}

/** Segments with rows in a window, oldest first, and what cannot be read. */
export function segmentsIn(
  store: string,
  since: bigint | null,
  until: bigint | null,
): { readonly segments: readonly HeldSegment[]; readonly problems: readonly string[] } {
  const { segments, problems } = openStore(store);
  try {
    const found = segments.map(describe).filter((one) => isIn(one, since, until));
    const wrong = [...problems, ...segments.flatMap((segment) => segment.problems)];
    return { segments: found, problems: wrong.map(({ segment, text }) => `${segment}: ${text}`) };
  } finally {
    for (const segment of segments) segment.close();
  }
}

/** Of which time a store holds what. */
export function holdingOf(store: string): Holding {
  const { segments } = openStore(store);
  try {
    const newest = segments.at(-1);
    return {
      time: heldSpan(segments, EVENT_TYPES),
      newest: newest === undefined ? null : whose(newest),
    };
  } finally {
    for (const segment of segments) segment.close();
  }
}
