// The JSON schema of UnifiedEvents, for who takes them.

import { UNIFIED_EVENT, type UnifiedField, type UnifiedObject } from './unified.ts';

type Json = Readonly<Record<string, unknown>>;

/** As Go writes times in UTC: no zeros at the end of the fraction, and no fraction of zeros. */
const GO_TIME = '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,8}[1-9])?Z$';

const whole = (minimum: number, maximum: number): Json => ({ type: 'integer', minimum, maximum });

/** Bounds of 64 bits are rounded outwards to what a double holds. */
const PLAIN: Readonly<Record<string, Json>> = {
  time: { type: 'string', pattern: GO_TIME },
  base64: { type: 'string', contentEncoding: 'base64' },
  u16: whole(0, 2 ** 16 - 1),
  u32: whole(0, 2 ** 32 - 1),
  u64: whole(0, 2 ** 64),
  i32: whole(-(2 ** 31), 2 ** 31 - 1),
  i64: whole(-(2 ** 63), 2 ** 63),
  share: { type: 'number', minimum: 0, maximum: 1 },
};

const MANY: Readonly<Record<string, Json>> = {
  texts: { type: 'array', items: { type: 'string' } },
  text_map: { type: 'object', additionalProperties: { type: 'string' } },
  attributes: {
    type: 'object',
    additionalProperties: {
      anyOf: [
        { type: 'string' },
        { type: 'integer' },
        { type: 'array', items: { type: 'string' } },
      ],
    },
  },
};

/** What Go leaves out is not there: neither 0 nor "" nor an empty list. */
function notEmpty(type: string): Json {
  if (type in MANY) return type === 'texts' ? { minItems: 1 } : { minProperties: 1 };
  if (type in PLAIN && type !== 'base64' && type !== 'time') return { not: { const: 0 } };
  return { minLength: 1 };
}

function fieldSchema({ type, omitempty, values, pattern, doc }: UnifiedField): Json {
  const described = doc === undefined ? {} : { description: doc };
  if (typeof type === 'object') return { ...objectSchema(type), ...described };
  return {
    ...(PLAIN[type] ?? MANY[type] ?? { type: 'string' }),
    ...(values !== undefined && { enum: values }),
    ...(pattern !== undefined && { pattern }),
    ...(omitempty && notEmpty(type)),
    ...described,
  };
}

function objectSchema(fields: UnifiedObject): Json {
  const entries = Object.entries(fields);
  return {
    type: 'object',
    properties: Object.fromEntries(entries.map(([key, field]) => [key, fieldSchema(field)])),
    required: entries.filter(([, field]) => !field.omitempty).map(([key]) => key),
    additionalProperties: false,
  };
}

/** Text of unified-event.schema.json. */
export function unifiedSchema(): string {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'UnifiedEvent',
    description:
      'Generated from schemas/unified.ts by npm run generate: what Tapio Recorder sends to Tapio.',
    ...objectSchema(UNIFIED_EVENT),
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}
