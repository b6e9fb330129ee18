// What a server says of its segments.

import type { RowOrigin } from '../event/stream.ts';
import type { Connection } from './connection.ts';
import { shown } from './failure.ts';

/** A segment that a server holds. */
export interface HeldSegment {
  readonly name: string;
  readonly sealed: boolean;
  readonly origin: RowOrigin;
  /** Between which times its rows lie, ns since 1970, both inclusive; null without rows. */
  readonly time: { readonly first: bigint; readonly last: bigint } | null;
  readonly rows: Readonly<Record<string, number>>;
  readonly bytes: number;
  readonly lost: number;
  readonly filter: string | null;
  readonly mask: readonly string[];
  readonly masked: Readonly<Record<string, number>>;
}

interface SegmentMessage {
  readonly name?: string;
  readonly sealed?: boolean;
  readonly recording?: string;
  readonly host?: string;
  readonly boot_id?: string;
  readonly first_ts?: string;
  readonly last_ts?: string;
  readonly rows?: readonly { readonly type?: string; readonly rows?: string }[];
  readonly bytes?: string;
  readonly lost?: string;
  readonly filter?: string;
  readonly mask?: readonly string[];
  readonly masked?: readonly { readonly pattern?: string; readonly values?: string }[];
}

interface SegmentListMessage {
  readonly segments?: readonly SegmentMessage[];
  readonly problems?: readonly string[];
}

/** What a server holds, oldest first, and what it cannot read. */
export interface SegmentList {
  readonly segments: readonly HeldSegment[];
  readonly problems: readonly string[];
}

function segmentOf(message: SegmentMessage): HeldSegment {
  const { first_ts: first, last_ts: last, rows = [], masked = [] } = message;
  return {
    name: message.name ?? '',
    sealed: message.sealed === true,
    origin: {
      recording: message.recording ?? '',
      host: message.host ?? '',
      boot_id: message.boot_id ?? '',
    },
    time:
      first === undefined || last === undefined
        ? null
        : { first: BigInt(first), last: BigInt(last) },
    rows: Object.fromEntries(rows.map((one) => [one.type ?? '', Number(one.rows ?? 0)])),
    mask: message.mask ?? [],
    masked: Object.fromEntries(
      masked.map(({ pattern, values }) => [pattern ?? '', Number(values ?? 0)]),
    ),
    bytes: Number(message.bytes ?? 0),
    lost: Number(message.lost ?? 0),
    filter: message.filter === undefined || message.filter === '' ? null : message.filter,
  };
}

/** Asks a server what it holds. */
export async function listSegments(connection: Connection): Promise<SegmentList> {
  const { segments = [], problems = [] } = await connection.ask<SegmentListMessage>(
    'ListSegments',
    {},
  );
  return { segments: segments.map(segmentOf), problems: problems.map(shown) };
}
