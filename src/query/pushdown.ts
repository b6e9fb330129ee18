// What of a recording's filter the kernel can decide before it makes a record: for each op a condition that
// holds of every event for which the filter is true. What cannot be said there is left out, so that the
// condition is weaker than the filter, never stronger; the filter itself is decided on what passes.
//
// As in prune.ts, nothing becomes true by an error: a field that is absent makes a test neither true nor
// false, and no condition has to let its events through.

import { EVENT_TYPES, type EventType } from '../../schemas/arrow.ts';
import { COMMON, EVENTS, type OpSpec } from '../../schemas/events.ts';
import type { PushedFilter } from '../source/binding.ts';
import {
  ALWAYS,
  all,
  any,
  assemble,
  type Condition,
  combined,
  NEVER,
  opposite,
} from './condition.ts';
import {
  type Bool,
  fieldsIn,
  INT_MAX,
  type Int,
  matches,
  parseAddress,
  type Range,
  type Text,
} from './predicate.ts';

/** The words of bpf/filter.h: numbers, then what takes two words or more. */
const NUMBERS = {
  pid: 0,
  tid: 1,
  ppid: 2,
  uid: 3,
  gid: 4,
  cgroup_id: 5,
  pstart: 6,
  'network.sport': 13,
  'network.dport': 14,
} as const satisfies Readonly<Record<string, number>>;
const COMM = 7;
const ADDRESSES = { 'network.saddr': 9, 'network.daddr': 11 } as const;
const PROTOCOL = 15;
const PATH = 9;
const PATHS = ['file.path', 'process.filename'];
/** Bytes that are compared: of a path one less than there is room for, which its NUL has. */
const COMM_BYTES = 16;
const PATH_BYTES = 47;
const WORD_BYTES = 8;

/** Numbers that rows have a name for, those of them that are asked for (native/names.cc has all). */
const PROTOCOLS = new Map([
  ['icmp', 1n],
  ['igmp', 2n],
  ['tcp', 6n],
  ['udp', 17n],
  ['ipv6-icmp', 58n],
  ['sctp', 132n],
]);

/** Ranges of one comparison; more of them are joined. */
const RANGES_MAX = 8;

/** A condition for a text or an address; where it is not exact it lets others through as well. */
interface Likeness {
  readonly condition: Condition;
  readonly exact: boolean;
}

const isLike = ({ condition, exact }: Likeness, wanted: boolean): Condition =>
  wanted ? condition : exact ? opposite(condition) : ALWAYS;

const UNKNOWN: Likeness = { condition: ALWAYS, exact: false };
const UNLIKE: Likeness = { condition: NEVER, exact: true };

/** Words of memory, so many bytes of which are compared. */
function bytesAt(word: number, bytes: Uint8Array, mask: Uint8Array): Condition {
  const tests: Condition[] = [];
  for (let at = 0; at < bytes.length; at += 2 * WORD_BYTES) {
    const words = (of: Uint8Array): [bigint, bigint] => {
      const part = Buffer.alloc(2 * WORD_BYTES);
      part.set(of.subarray(at, at + part.length));
      return [part.readBigUInt64LE(0), part.readBigUInt64LE(WORD_BYTES)];
    };
    const place = { word: word + at / WORD_BYTES, masked: true, inverted: false };
    tests.push({ kind: 'test', test: { ...place, a: words(bytes), b: words(mask) } });
  }
  return all(tests);
}

/** A text that begins so, or is all of that; `room`: as many bytes as can be seen of one. */
function likeText(word: number, room: number, text: string, whole: boolean): Likeness {
  if (!text.isWellFormed()) return UNKNOWN;
  // A backslash stands for other bytes than its own.
  const [plain = ''] = text.split('\\');
  const cut = plain.length < text.length;
  const bytes = Buffer.from(whole && !cut ? `${plain}\0` : plain);
  const seen = bytes.subarray(0, room);
  return {
    condition: bytesAt(word, seen, new Uint8Array(seen.length).fill(0xff)),
    exact: !cut && bytes.length <= room,
  };
}

/** A name has no more bytes than are seen. */
function likeComm(text: string, whole: boolean): Likeness {
  const bytes = Buffer.byteLength(text);
  if (text.includes('\\')) return likeText(COMM, COMM_BYTES, text, whole);
  if (bytes > COMM_BYTES || text.includes('\0')) return UNLIKE;
  return likeText(COMM, COMM_BYTES, text, whole && bytes < COMM_BYTES);
}

const likePath = (text: string, whole: boolean): Likeness =>
  text.includes('\0') ? UNLIKE : likeText(PATH, PATH_BYTES, text, whole);

const MAPPED = 0xffffn << 32n;

const bytesOf = (value: bigint): Uint8Array =>
  Buffer.from(value.toString(16).padStart(32, '0'), 'hex');

/** An address in a network, both as they are in IPv6. */
function likeNetwork(word: number, network: string): Likeness {
  const [base = '', length = ''] = network.split('/');
  const address = parseAddress(base);
  if (address === null) return UNLIKE;
  const isV4 = address.bits === 32;
  const value = isV4 ? MAPPED | address.value : address.value;
  const prefix = Number(length) + (isV4 ? 96 : 0);
  const mask = ((1n << BigInt(prefix)) - 1n) << BigInt(128 - prefix);
  // IPv4 addresses are none of an IPv6 network, wherever they lie here.
  const common = BigInt(128 - Math.min(prefix, 96));
  const exact = isV4 || value >> common !== MAPPED >> common;
  if (mask === 0n) return { condition: ALWAYS, exact };
  return { condition: bytesAt(word, bytesOf(value & mask), bytesOf(mask)), exact };
}

/** A protocol by its name; what has none here is one of the others. */
function likeProtocol(text: string): Likeness {
  const number = PROTOCOLS.get(text);
  if (number !== undefined)
    return { condition: inRanges(PROTOCOL, [[number, number]]), exact: true };
  const named = [...PROTOCOLS.values()].map((one): Range => [one, one]);
  return { condition: inRanges(PROTOCOL, complement(named)), exact: false };
}

function likeAddress(word: number, text: string): Likeness {
  const address = parseAddress(text);
  if (address === null) return UNLIKE;
  const like = likeNetwork(word, `${text}/${address.bits}`);
  // An IPv6 address has several spellings, of which rows have one.
  return { ...like, exact: like.exact && address.bits === 32 };
}

/** Ranges as tests; where there are many, those with the smallest gaps between them become one. */
function inRanges(word: number, ranges: readonly Range[]): Condition {
  const within = ranges
    .map(([low, high]): Range => [low < 0n ? 0n : low, high > INT_MAX ? INT_MAX : high])
    .filter(([low, high]) => low <= high);
  const gaps = within.slice(1).map(([low], i) => low - (within[i]?.[1] ?? 0n));
  const largest = gaps.toSorted((a, b) => (a < b ? 1 : -1)).slice(0, RANGES_MAX - 1);
  const least = largest.at(-1) ?? 0n;
  const joined: [bigint, bigint][] = [];
  for (const [low, high] of within) {
    const last = joined.at(-1);
    const near = last !== undefined && low - last[1] < least;
    if (last !== undefined && (near || joined.length === RANGES_MAX)) last[1] = high;
    else joined.push([low, high]);
  }
  return any(
    joined.map(([low, high]) =>
      low === 0n && high === INT_MAX
        ? ALWAYS
        : {
            kind: 'test',
            test: { word, masked: false, inverted: false, a: [low, 0n], b: [high - low, 0n] },
          },
    ),
  );
}

function complement(ranges: readonly Range[]): Range[] {
  const out: Range[] = [];
  let from = 0n;
  for (const [low, high] of ranges) {
    if (low > from) out.push([from, low - 1n]);
    if (high >= from) from = high + 1n;
  }
  if (from <= INT_MAX) out.push([from, INT_MAX]);
  return out;
}

/** Tests whose outcome follows from the op alone. */
const OF_TEXT = new Set(['oneOf', 'startsWith', 'endsWith', 'contains', 'compareText']);

/** Conditions for the events of one op. */
class Pushing {
  readonly #type: EventType;
  readonly #op: string;
  readonly #fields: ReadonlySet<string>;

  constructor(type: EventType, op: string, spec: OpSpec) {
    this.#type = type;
    this.#op = op;
    this.#fields = new Set([...Object.keys(COMMON), 'ktime', ...spec.fields]);
  }

  /** Name of an operand that is a field, with the type where it is the type's own; null for others. */
  #name(of: Int | Text): string | null {
    if (of.kind !== 'field') return null;
    return Object.hasOwn(COMMON, of.field) ? of.field : `${this.#type}.${of.field}`;
  }

  /** What a text that is known beforehand can be like; null for others. */
  #like(of: Text): ((text: string, whole: boolean) => Likeness) | null {
    const name = this.#name(of) ?? '';
    if (name === 'comm') return likeComm;
    if (PATHS.includes(name)) return likePath;
    if (name === 'network.protocol') {
      return (text, whole) => (whole ? likeProtocol(text) : UNKNOWN);
    }
    const word = this.#address(of);
    return word === null ? null : (text, whole) => (whole ? likeAddress(word, text) : UNKNOWN);
  }

  /** Holds of every event for which the node is true, or false where that is wanted. */
  of(node: Bool, wanted: boolean): Condition {
    const each = (args: readonly Bool[]): Condition[] => args.map((arg) => this.of(arg, wanted));
    switch (node.kind) {
      case 'true':
      case 'false':
        return (node.kind === 'true') === wanted ? ALWAYS : NEVER;
      case 'error':
        return NEVER;
      case 'and':
        return combined(wanted ? 'all' : 'any', each(node.args));
      case 'or':
        return combined(wanted ? 'any' : 'all', each(node.args));
      case 'not':
        return this.of(node.of, !wanted);
      case 'untrue':
        // An error makes it true as well.
        return wanted ? ALWAYS : this.of(node.of, true);
      case 'choose':
        return any([
          all([this.of(node.test, true), this.of(node.then, wanted)]),
          all([this.of(node.test, false), this.of(node.else, wanted)]),
        ]);
      case 'has':
        return this.#fields.has(node.field) || !wanted ? ALWAYS : NEVER;
      default:
        return this.#leaf(node, wanted);
    }
  }

  #leaf(node: Bool, wanted: boolean): Condition {
    // What is asked of a list's elements need not be asked of any: only the list itself must be there.
    const fields = 'test' in node && 'field' in node ? new Set([node.field]) : fieldsIn(node);
    if ([...fields].some((field) => !this.#fields.has(field))) return NEVER;
    if (OF_TEXT.has(node.kind) && [...fields].every((field) => field === 'op')) {
      return matches(node, () => this.#op) === wanted ? ALWAYS : NEVER;
    }
    switch (node.kind) {
      case 'within': {
        const name = this.#name(node.of);
        if (name === null || !Object.hasOwn(NUMBERS, name)) return ALWAYS;
        const word = NUMBERS[name as keyof typeof NUMBERS];
        return inRanges(word, wanted ? node.ranges : complement(node.ranges));
      }
      case 'oneOf': {
        const like = this.#like(node.of);
        if (like === null) return ALWAYS;
        const each = node.values.map((value) => isLike(like(value, true), wanted));
        return wanted ? any(each) : all(each);
      }
      case 'startsWith': {
        const like = this.#like(node.of);
        if (like === null || node.text.kind !== 'text') return ALWAYS;
        return isLike(like(node.text.value, false), wanted);
      }
      case 'inNetworks': {
        const address = this.#address(node.of);
        if (address === null) return ALWAYS;
        const each = node.networks.map((one) => isLike(likeNetwork(address, one), wanted));
        return wanted ? any(each) : all(each);
      }
      default:
        return ALWAYS;
    }
  }

  #address(of: Text): number | null {
    const name = this.#name(of);
    return name !== null && Object.hasOwn(ADDRESSES, name)
      ? ADDRESSES[name as keyof typeof ADDRESSES]
      : null;
  }
}

/** What the kernel can decide of a filter; null where that is nothing. */
export function pushDown(predicateOf: (type: EventType) => Bool): PushedFilter | null {
  const conditions = EVENT_TYPES.flatMap((type) => {
    const predicate = predicateOf(type);
    const ops: Readonly<Record<string, OpSpec>> = EVENTS[type].ops;
    return Object.entries(ops).map(
      ([op, spec]) => [spec.id, new Pushing(type, op, spec).of(predicate, true)] as const,
    );
  });
  return assemble(new Map(conditions));
}
