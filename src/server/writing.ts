// Messages of a call's answer, written as fast as its client takes them.

/** Something that is written to. */
interface Draining {
  readonly destroyed: boolean;
  on(event: 'drain' | 'close' | 'error', then: () => void): unknown;
  off(event: 'drain' | 'close' | 'error', then: () => void): unknown;
}

/** Waits until a stream takes more, or is gone. */
export async function drained(stream: Draining): Promise<void> {
  if (stream.destroyed) return;
  const events = ['drain', 'close', 'error'] as const;
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const event of events) stream.on(event, resolve);
  await promise;
  for (const event of events) stream.off(event, resolve);
}

/** Writes a message, and waits where its client is slow. */
export async function write<Message>(
  call: Draining & { write(message: Message): boolean },
  message: Message,
): Promise<void> {
  if (!call.write(message)) await drained(call);
}
