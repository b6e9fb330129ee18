// Whose the rows of a server are. Rows do not say it; the server's list of segments does, to those who may see it.

import { TapioError } from '../errors.ts';
import type { RowOrigin } from '../event/stream.ts';
import type { Connection } from './connection.ts';
import type { OriginOf } from './decoder.ts';
import { listSegments } from './segments.ts';

/** The origins of rows by their time. A server that does not tell is a host of its own. */
export async function originsOf(connection: Connection): Promise<OriginOf> {
  const unknown: RowOrigin = { recording: '', host: connection.name, boot_id: '' };
  const firsts = new Map<string, { readonly first: bigint; readonly origin: RowOrigin }>();
  try {
    for (const { origin, time } of (await listSegments(connection)).segments) {
      const known = firsts.get(origin.recording);
      if (time === null || (known !== undefined && known.first <= time.first)) continue;
      firsts.set(origin.recording, { first: time.first, origin: known?.origin ?? origin });
    }
  } catch (error) {
    if (!(error instanceof TapioError)) throw error;
  }
  const latestFirst = [...firsts.values()].sort((a, b) => (a.first > b.first ? -1 : 1));
  const [oldest] = latestFirst.slice(-1);
  return (ts) => (latestFirst.find(({ first }) => first <= ts) ?? oldest)?.origin ?? unknown;
}
