// Random filters of what the kernel can decide, mixed with what it cannot.

import fc from 'fast-check';

export interface PushableConstants {
  readonly numbers: readonly bigint[];
  readonly names: readonly string[];
  /** Addresses and networks. */
  readonly addresses: readonly string[];
  readonly paths: readonly string[];
}

const { constantFrom: pick, tuple } = fc;
const quote = (text: string): string => JSON.stringify(text);
const equality = pick('==', '!=');
const orders = pick('==', '!=', '<', '<=', '>', '>=');
const list = (of: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(of, { minLength: 1, maxLength: 12 }).map((parts) => `[${parts.join(', ')}]`);

/** Filters over fields that are pushed down, by constants that rows may have. */
export function pushable(constants: PushableConstants): fc.Arbitrary<string> {
  const number = pick(...constants.numbers).map(String);
  const fields = ['pid', 'tid', 'ppid', 'uid', 'gid', 'cgroup_id', 'pstart'];
  const integer = pick(...fields, 'network.sport', 'network.dport');
  const name = pick(...constants.names).map(quote);
  const path = pick(...constants.paths).map(quote);
  const ofPath = pick('file.path', 'process.filename');
  const ofAddress = pick('network.saddr', 'network.daddr');
  const networks = constants.addresses.filter((one) => one.includes('/'));
  const addresses = constants.addresses.filter((one) => !one.includes('/'));
  const leaf = fc.oneof(
    tuple(integer, orders, number).map((parts) => parts.join(' ')),
    tuple(integer, list(number)).map((parts) => parts.join(' in ')),
    tuple(equality, name).map(([op, one]) => `comm ${op} ${one}`),
    list(name).map((names) => `comm in ${names}`),
    name.map((one) => `comm.startsWith(${one})`),
    tuple(ofPath, equality, path).map((parts) => parts.join(' ')),
    tuple(ofPath, path).map(([field, one]) => `${field}.startsWith(${one})`),
    tuple(pick(...networks), ofAddress).map(([one, of]) => `cidr("${one}").containsIP(${of})`),
    tuple(ofAddress, equality, pick(...addresses)).map(([of, op, one]) => `${of} ${op} "${one}"`),
    tuple(equality, pick('tcp', 'udp', 'icmp', 'gre', '6')).map(
      ([op, one]) => `network.protocol ${op} "${one}"`,
    ),
    tuple(equality, pick('exec', 'open', 'connect', 'accept', 'call', 'exit')).map(
      ([op, one]) => `op ${op} "${one}"`,
    ),
    pick('process', 'network', 'file', 'syscall').map((type) => `type == "${type}"`),
    pick('network.dport', 'file.path', 'process.exit_code').map((field) => `has(${field})`),
    // What is left to the recorder.
    pick(
      'process.args.exists(x, x.endsWith("e") || process.exit_code == 0)',
      'process.args.all(x, x != "a" && process.exit_code == 0)',
      'syscall.args.exists(x, x < 5 || pid == 1)',
    ),
    pick('cpu < 64', 'comm.endsWith("d")', 'size(comm) > 4', 'pid + 1 > 1', 'file.ret < 0'),
  );
  const { bool } = fc.letrec<{ bool: string }>((tie) => ({
    bool: fc.oneof(
      { maxDepth: 3, depthSize: 'small', withCrossShrink: true },
      leaf,
      tuple(tie('bool'), pick('&&', '||'), tie('bool')).map(([a, op, b]) => `(${a} ${op} ${b})`),
      tie('bool').map((a) => `!(${a})`),
      tuple(tie('bool'), equality, tie('bool')).map(([a, op, b]) => `((${a}) ${op} (${b}))`),
      tuple(tie('bool'), tie('bool'), tie('bool')).map(([c, a, b]) => `(${c} ? ${a} : ${b})`),
    ),
  }));
  return bool;
}
