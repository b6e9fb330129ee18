// The filter of a recording: what is parsed for a query, but decided on raw records before they are rows.

import { EVENT_TYPES } from '../../schemas/arrow.ts';
import { EVENTS } from '../../schemas/events.ts';
import { TapioError } from '../errors.ts';
import type { SourceFilter } from '../source/binding.ts';
import { parseFilter } from './filter/filter.ts';
import { fieldsIn } from './predicate.ts';
import { pushDown } from './pushdown.ts';

/** Reads the expression of --filter; throws TapioError('usage') for what is none. Null: all is wanted. */
export async function recordingFilter(text: string | null): Promise<SourceFilter | null> {
  if (text === null) return null;
  const filter = await parseFilter(text);
  const predicates = EVENT_TYPES.map((type) => [EVENTS[type].id, filter.for(type)] as const);
  if (predicates.some(([, predicate]) => fieldsIn(predicate).has('seq'))) {
    throw new TapioError(
      'usage',
      'a recording cannot be filtered by seq: only what the filter lets through is given one',
    );
  }
  return {
    text,
    predicates: Object.fromEntries(predicates),
    pushed: pushDown((type) => filter.for(type)),
  };
}
