// The stream that keeps the events: created as Tapio has it where it is not there.

import {
  DiscardPolicy,
  JetStreamApiError,
  JetStreamError,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream';
import { type NatsConnection, nanos } from '@nats-io/transport-node';
import { BACKOFF_MS_MAX } from './delivery.ts';
import type { NatsOptions } from './nats-options.ts';

/** How long an acknowledgement may take. */
export const ACK_MS = 10_000;
/**
 * For so long the server knows an id again. The longest retry while the server is there is one acknowledgement that did
 * not come and one wait at its longest, 40 s; the server holds all ids of this time in memory, so it is no longer than
 * Tapio's own.
 */
export const DUPLICATE_WINDOW_MS = Math.max(120_000, 2 * (ACK_MS + BACKOFF_MS_MAX));
const MAX_AGE_MS = 7 * 86_400_000;
const MAX_BYTES = 1024 ** 3;
const REQUEST_MS = 5000;

/** Another stream takes the subjects, or one of that name was made by somebody else at the same time. */
const THERE_ALREADY: ReadonlySet<number> = new Set([10_065, 10_058]);
const NO_SUCH_STREAM = 10_059;

/** Makes the stream where it is not there. Gives what is wrong as a sentence, or null. */
export async function prepareStream(
  connection: NatsConnection,
  options: NatsOptions,
): Promise<string | null> {
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false, timeout: REQUEST_MS });
    try {
      const { config } = await manager.streams.info(options.stream);
      return config.no_ack === true
        ? `the stream ${options.stream} acknowledges nothing (no_ack)`
        : null;
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.code !== NO_SUCH_STREAM) throw error;
    }
    await manager.streams.add({
      name: options.stream,
      subjects: [options.streamSubjects],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      max_age: nanos(MAX_AGE_MS),
      max_bytes: MAX_BYTES,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    });
    return null;
  } catch (error) {
    if (error instanceof JetStreamApiError && THERE_ALREADY.has(error.code)) return null;
    if ((error as Error).name === 'JetStreamNotEnabled') return 'the server has no JetStream';
    const { message } = error as Error;
    if (error instanceof JetStreamError || error instanceof JetStreamApiError) {
      return `the stream ${options.stream} cannot be made: ${message}`;
    }
    return `the stream ${options.stream} cannot be looked for: ${message}`;
  }
}
