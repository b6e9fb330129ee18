// Numbers of RawEvent's fields that are no columns of the event table.

/** Field of `ktime`, which is ts less the offset of the row's segment. */
export const KTIME_FIELD = 17;

const EVENT_FIELDS = 100;

/** Field of the oneof that holds a loss. */
export const LOSS_FIELD = EVENT_FIELDS;

/** Field of the oneof that holds the own fields of an event type, by its id. */
export function eventField(typeId: number): number {
  return EVENT_FIELDS + typeId;
}
