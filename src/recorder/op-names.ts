// Ops by their full names.

import { OP_NAMES } from '../../schemas/events.ts';

/** What is said of ops by their ids, said of their names; an id that has none stays. */
export function byOpName(byId: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(byId).map(([id, said]) => {
      const name = OP_NAMES.get(Number(id));
      return [name === undefined ? id : `${name.type}.${name.op}`, said];
    }),
  );
}
