// Events of a recorder, taken up again where they were left whenever the connection breaks; what was lost is said.

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** RawEvent of schemas/generated/events.proto; 64-bit numbers are text. */
export interface RawEvent {
  readonly op: string;
  readonly pid: number;
  readonly uid: number;
  readonly comm: string;
  readonly process?: { readonly filename: string };
  readonly network?: {
    readonly saddr: string;
    readonly daddr: string;
    readonly sport: number;
    readonly direction: string;
  };
  readonly loss?: { readonly cause: string; readonly count?: string };
}

/** Selection of schemas/recorder.proto. */
export interface Selection {
  readonly filter?: string;
  readonly ops?: readonly string[];
  readonly fields?: readonly string[];
}

interface Batch {
  readonly events: readonly RawEvent[];
  readonly resume_token: string;
}

const RETRY_MS = 1000;
/** A recorder that restarts, and one that has too many clients. */
const PASSING: readonly number[] = [status.UNAVAILABLE, status.RESOURCE_EXHAUSTED];

/**
 * Events from now on, for ever: a token is behind what is durable, so that after a break the last of them may come again. Throws what the recorder says of a selection that makes no sense or is not permitted.
 */
export async function* events(address: string, selection: Selection): AsyncGenerator<RawEvent> {
  const schemas = fileURLToPath(new URL('../schemas/', import.meta.url));
  const includeDirs = [schemas, `${schemas}generated`];
  const definition = loadSync('recorder.proto', { keepCase: true, longs: String, includeDirs });
  // biome-ignore lint/suspicious/noExplicitAny: the package has no types for what it loads.
  const loaded = loadPackageDefinition(definition) as any;
  const Export = loaded.tapio.ebpf.v1.EBPFExport as ServiceClientConstructor;
  const client = new Export(address, credentials.createInsecure());
  const since = `${BigInt(Date.now()) * 1_000_000n}`;
  let token = '';
  for (;;) {
    const place = token === '' ? { since } : { resume_token: token };
    const stream: ClientReadableStream<Batch> = client.StreamRawEventBatches?.({
      selection,
      ...place,
    });
    try {
      for await (const batch of stream as AsyncIterable<Batch>) {
        for (const event of batch.events) {
          if (event.loss !== undefined && event.loss !== null) {
            console.error(`${event.loss.count ?? 'some'} events were lost: ${event.loss.cause}`);
          } else yield event;
        }
        if (batch.resume_token !== '') token = batch.resume_token;
      }
    } catch (error) {
      const { code, details } = error as ServiceError;
      if (!PASSING.includes(code)) throw new Error(details);
      console.error(`${details}: once more in ${RETRY_MS / 1000} s`);
    } finally {
      stream.cancel();
    }
    await sleep(RETRY_MS);
  }
}
