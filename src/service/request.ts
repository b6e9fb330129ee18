// What a client asks for, as a selection: its parts are put together as one expression, which is checked as any other.

import { usage } from '../config/values.ts';
import { parseFilter } from '../query/filter/filter.ts';
import { type Selection, select } from '../query/select.ts';

/** Selection of schemas/recorder.proto; 64-bit numbers are bigint or decimal text. */
export interface SelectionMessage {
  readonly filter?: string;
  readonly types?: readonly string[];
  readonly ops?: readonly string[];
  readonly process?: {
    readonly pids?: readonly number[];
    readonly comms?: readonly string[];
    readonly uids?: readonly number[];
    readonly cgroup_ids?: readonly (bigint | string)[];
  } | null;
  readonly network?: {
    readonly addresses?: readonly string[];
    readonly ports?: readonly number[];
    readonly protocols?: readonly string[];
  } | null;
  readonly fields?: readonly string[];
  readonly sample?: number;
  readonly negate?: boolean;
}

/** Of what time; ns since 1970, decimal text. */
interface WindowMessage {
  readonly selection?: SelectionMessage | null;
  readonly since?: string;
  readonly until?: string;
}

export interface StreamMessage extends WindowMessage {
  readonly resume_token?: string;
  readonly held?: boolean;
}

export interface QueryMessage extends WindowMessage {
  readonly page_size?: number;
  readonly page_token?: string;
  readonly newest?: boolean;
}

export interface ReplayMessage extends WindowMessage {
  readonly speed?: number;
  readonly rate?: number;
  readonly unpaced?: boolean;
  readonly max_gap_ns?: string;
  readonly loops?: number;
  readonly rebase?: boolean;
}

export interface StatsMessage extends WindowMessage {
  readonly by?: readonly string[];
  readonly sums?: readonly string[];
  readonly of?: string;
  readonly top?: number;
  readonly over_since?: string;
  readonly over_until?: string;
}

/** Values that one request may list, of each kind: an expression is of 4 KiB at most. */
const LISTED_MAX = 256;
const ADDRESS = /^[0-9A-Fa-f.:]{2,45}(\/\d{1,3})?$/;
const DIGITS = /^\d{1,20}$/;

const text = (value: string): string => JSON.stringify(value);

function oneOf(field: string, values: readonly string[]): string[] {
  if (values.length > LISTED_MAX) {
    throw usage(
      `${values.length} values for ${field}: at most ${LISTED_MAX}, or ask several times`,
    );
  }
  return values.length === 0 ? [] : [`${field} in [${values.join(', ')}]`];
}

function whole(field: string, values: readonly (bigint | string | number)[] = []): string[] {
  const digits = values.map(String);
  const wrong = digits.find((one) => !DIGITS.test(one));
  if (wrong !== undefined) throw usage(`${text(wrong)} is no ${field}: write a whole number`);
  return digits;
}

function address(value: string): string {
  if (!ADDRESS.test(value)) {
    throw usage(`${text(value)} is no address: write 10.0.0.1, 10.0.0.0/8 or 2001:db8::/32`);
  }
  const ends = ['network.saddr', 'network.daddr'];
  const tests = value.includes('/')
    ? ends.map((end) => `cidr(${text(value)}).containsIP(${end})`)
    : ends.map((end) => `${end} == ${text(value)}`);
  return tests.join(' || ');
}

/** The expressions that selectors stand for; all must hold. */
function selectors({ process, network }: SelectionMessage): string[] {
  const { addresses = [], ports = [], protocols = [] } = network ?? {};
  if (addresses.length > LISTED_MAX)
    throw usage(`${addresses.length} addresses: at most ${LISTED_MAX}`);
  const numbers = whole('port', ports);
  const either = ['network.sport', 'network.dport'].flatMap((end) => oneOf(end, numbers));
  return [
    ...oneOf('pid', whole('pid', process?.pids)),
    ...oneOf('comm', (process?.comms ?? []).map(text)),
    ...oneOf('uid', whole('uid', process?.uids)),
    ...oneOf('cgroup_id', whole('cgroup_id', process?.cgroup_ids)),
    ...(addresses.length === 0 ? [] : [addresses.map(address).join(' || ')]),
    ...(either.length === 0 ? [] : [either.join(' || ')]),
    ...oneOf('network.protocol', protocols.map(text)),
  ];
}

/**
 * The selection of a request within a window, ns since 1970. Throws TapioError('usage') with a sentence for what makes no
 * sense.
 */
export async function selectionOf(
  message: SelectionMessage,
  since: bigint | null,
  until: bigint | null,
): Promise<Selection> {
  const own = message.filter === undefined || message.filter === '' ? [] : [message.filter];
  // Alone first: what is wrong with it is told with its own places.
  for (const one of own) await parseFilter(one);
  const all = [...own, ...selectors(message)];
  const filter =
    all.length === 0 ? null : await parseFilter(all.map((one) => `(${one})`).join(' && '));
  const { types = [], ops = [] } = message;
  const not = message.negate === true;
  return select({ since, until, types, ops, pids: [], comms: [], filter, not });
}
