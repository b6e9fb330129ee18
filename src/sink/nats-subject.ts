// Subjects that events are published under, made from a template such as `events.unified.{type}.{namespace}.{name}`.

import { unknownName, usage } from '../config/values.ts';
import type { EventHead, OnwardEvent } from './sink.ts';

/** As Tapio's publisher has it: what an event is, and of which entity where it has one. */
export const SUBJECT_DEFAULT = 'events.unified.{type}.{namespace}.{name}';

interface Part {
  /** Or it may be missing. */
  readonly always: boolean;
  readonly of: (head: EventHead, event: OnwardEvent) => string | undefined;
}

const PARTS: Readonly<Record<string, Part>> = {
  id: { always: true, of: ({ id }) => id },
  type: { always: true, of: ({ type }) => type },
  source: { always: true, of: ({ source }) => source },
  // No event of a recorder has a trace or a namespace.
  trace: { always: true, of: ({ id }) => id },
  namespace: { always: false, of: () => undefined },
  severity: { always: false, of: ({ severity }) => severity },
  name: { always: false, of: (_, event) => event.unified.entity?.name },
};

/** What a subject must not hold: it would split it, be taken for a wildcard, or break the protocol. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const NOT_IN_TOKENS = /[\u0000- .*>\u007f-\u009f\s]/gu;

/** A name from outside as one token of a subject. */
function token(text: string): string {
  return text.replace(NOT_IN_TOKENS, '_');
}

/** A template that was checked. */
export interface SubjectTemplate {
  /** The subject of an event. It ends before the first part that the event does not have. */
  of(event: OnwardEvent): string;
  /** Takes every subject that the template gives. */
  readonly wildcard: string;
}

/** Reads a template; throws TapioError('usage') for one that gives no subject. */
export function parseSubject(template: string): SubjectTemplate {
  const tokens = template.split('.').map((text) => {
    const part = /^\{([^{}]*)\}$/.exec(text)?.[1];
    if (part === undefined) {
      if (text === '' || text !== token(text) || /[{}]/.test(text)) {
        throw usage(
          `?subject=${template}: "${text}" is no part of a subject; write words or {type}`,
        );
      }
      return { text, of: null, always: true };
    }
    const known = Object.hasOwn(PARTS, part) ? PARTS[part] : undefined;
    if (known === undefined) throw unknownName('part of a subject', part, Object.keys(PARTS));
    return { text, ...known };
  });
  const literals = tokens.findIndex((one) => one.of !== null);
  const words = (literals < 0 ? tokens : tokens.slice(0, literals)).map((one) => one.text);
  if (words.length === 0 || tokens[words.length]?.always === false) {
    throw usage(`?subject=${template}: begin it with words, then what every event has, as {type}`);
  }
  return {
    of(event) {
      const { head } = event;
      let subject = '';
      for (const { text, of } of tokens) {
        const value = of === null ? text : of(head, event);
        if (value === undefined || value === '') break;
        subject += `${subject === '' ? '' : '.'}${of === null ? value : token(value)}`;
      }
      return subject;
    },
    wildcard: literals < 0 ? words.join('.') : `${words.join('.')}.>`,
  };
}
