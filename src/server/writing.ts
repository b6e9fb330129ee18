// Messages of a call's answer, written as fast as its client takes them.

/** Something that is written to. */
interface Draining {
  readonly destroyed: boolean;
  on(event: 'drain' | 'close' | 'error', then: () => void): unknown;
  off(event: 'drain' | 'close' | 'error', then: () => void): unknown;
}

/** Waits until a stream takes more, is gone, or is to end. */
export async function drained(stream: Draining, signal: AbortSignal): Promise<void> {
  if (stream.destroyed || signal.aborted) return;
  const events = ['drain', 'close', 'error'] as const;
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = (): void => resolve();
  for (const event of events) stream.on(event, done);
  signal.addEventListener('abort', done);
  await promise;
  for (const event of events) stream.off(event, done);
  signal.removeEventListener('abort', done);
}

/** Writes a message, and waits where its client is slow. */
export async function write<Message>(
  call: Draining & { write(message: Message): boolean },
  message: Message,
  signal: AbortSignal,
): Promise<void> {
  if (!call.write(message)) await drained(call, signal);
}
