// The filter language of all commands: CEL over the event table, checked before anything is read.

import type { EventType } from '../../../schemas/arrow.ts';
import { EVENTS } from '../../../schemas/events.ts';
import type { Bool } from '../predicate.ts';
import { canMatch } from '../prune.ts';
import { check } from './check.ts';
import { FALSE } from './fold.ts';
import { lower } from './lower.ts';
import { parse } from './parse.ts';
import { Source } from './source.ts';

/** An expression that has been checked. */
export interface Filter {
  readonly text: string;
  /**
   * The predicate of a type's rows, by column names. Where no row of the type can match it is `false` or
   * `error`, whatever else the expression would be.
   */
  for(type: EventType): Bool;
}

/**
 * Reads an expression; throws TapioError('usage'), with the place, for what is none.
 *
 * Names are the common fields, `type`, and each type's fields as in network.dport; a field of another type
 * is absent. All integers are one type and compare by value. Strings compare in the form in which they are
 * stored: bytes that are no UTF-8 are \xHH there, and a backslash is doubled.
 */
export async function parseFilter(text: string): Promise<Filter> {
  const source = new Source(text);
  const predicate = check(source, await parse(source));
  return {
    text,
    for(type) {
      const lowered = lower(predicate, type);
      // A row's op is one of its type's.
      const possible = canMatch(lowered, { op: { in: Object.keys(EVENTS[type].ops) } });
      return possible || lowered.kind === 'error' ? lowered : FALSE;
    },
  };
}
