// What goes through sockets, and packets: each provoked by a program that knows nothing of the recorder,
// and found with the bytes that it moved.

import { rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EVENTS } from '../../schemas/events.ts';
import { parseFilter } from '../../src/query/filter/filter.ts';
import { pushDown } from '../../src/query/pushdown.ts';
import { describeKernel, eachDirectory, recordedWhile } from '../support/kernel.ts';
import { type Row, run } from '../support/recording.ts';

const directory = eachDirectory();

const MOVES = 'network.send,network.recv';

/** Records ops while the driver does one thing; its facts, and the rows. */
const drive = (
  what: string,
  ops: string,
  flags: readonly string[] = [],
  words: readonly string[] = [],
) =>
  recordedWhile(directory.path, ['--profile', 'minimal', '--enable', ops, ...flags], () =>
    run('python3', ['test/kernel/transfer.py', what, directory.path, ...words]),
  );

const HOSTS = [
  ['v4', '127.0.0.1', 'inet'],
  ['v6', '::1', 'inet6'],
] as const;

/** What a row says of its message: op, ports, bytes or null, error. */
const said = ({ op, network: of }: Row): unknown[] => [op, of.sport, of.dport, of.bytes, of.error];

describeKernel('kernel', () => {
  test('TCP: every call of the family, with its bytes; errors; what is no row', async () => {
    const { facts, rows } = await drive('stream', MOVES);
    const mine = rows.filter((row) => row.type === 'network' && row.pid === facts.me);
    for (const [version, address, family] of HOSTS) {
      const { local, port, pread, broken } = facts[version];
      expect([pread, broken]).toEqual([29, 32]);
      const those = mine.filter((row) => [row.network.sport, row.network.dport].includes(port));
      const send = (bytes: number): unknown[] => ['send', local, port, bytes, 0];
      const recv = (bytes: number | null, error = 0): unknown[] => [
        ...['recv', port, local],
        ...[bytes, error],
      ];
      expect(those.map(said)).toEqual([
        ...[11, 12, 13, 14].flatMap((bytes) => [send(bytes), recv(bytes)]),
        send(15),
        recv(4),
        recv(11),
        recv(null, pread),
        send(16), // sendfile and splice, of which the other end is none
        recv(16),
        send(5),
        recv(5),
        recv(0),
        ['send', port, local, 1, 0],
        ['send', port, local, null, broken],
      ]);
      for (const { network } of those) {
        expect(network).toMatchObject({ family, protocol: 'tcp', saddr: address, daddr: address });
        expect(network.latency_ns).toBeGreaterThan(0);
        expect(network).toMatchObject({ packet: null, packet_length: null, old_state: null });
      }
    }
    // What is read of files, as by the start of an interpreter, is not asked for.
    expect(rows.some((row) => row.type === 'file')).toBe(false);
  });

  test('UDP: each message is a row, with the side that its name tells', async () => {
    const { facts, rows } = await drive('datagrams', MOVES, ['--latency=false']);
    const mine = rows.filter((row) => row.type === 'network' && row.pid === facts.me);
    for (const [version, address, family] of HOSTS) {
      const { port, loose, tied, sent, received, refused } = facts[version];
      expect([sent, received, refused]).toEqual([3, 3, 111]);
      const those = mine.filter((row) => [row.network.sport, row.network.dport].includes(port));
      const send = (from: number, bytes: number | null, error = 0): unknown[] => [
        ...['send', from, port],
        ...[bytes, error],
      ];
      const recv = (from: number | null, bytes: number): unknown[] => [
        'recv',
        port,
        from,
        bytes,
        0,
      ];
      expect(those.map(said)).toEqual([
        ...[21, 22].flatMap((bytes) => [send(loose, bytes), recv(loose, bytes)]),
        ...[23, 24, 25].map((bytes) => send(loose, bytes)),
        ...[23, 24, 25].map((bytes) => recv(loose, bytes)),
        send(tied, 26),
        recv(null, 26),
        send(tied, 0),
        recv(tied, 0),
        send(tied, 27),
        send(tied, null, 111),
      ]);
      for (const { op, network } of those) {
        expect(network).toMatchObject({ family, protocol: 'udp', latency_ns: null });
        // A socket that is bound to no address has none; nobody is named by read().
        const isBound = op === 'recv' || network.sport === tied;
        expect(network.saddr).toBe(isBound ? address : null);
        expect(network.daddr).toBe(network.dport === null ? null : address);
      }
    }
  });

  test('Unix sockets make no rows, files only their own; a v4 peer of a v6 socket is one of v4', async () => {
    const { facts, rows } = await drive('others', `${MOVES},file.read,file.write`);
    const mine = rows.filter((row) => row.pid === facts.me);
    const network = mine.filter((row) => row.type === 'network');
    expect(network.map(({ op, network: of }) => [op, of.bytes, of.error, of.family])).toEqual([
      ['send', 34, 0, 'inet'],
      ['recv', 34, 0, 'inet'],
      ['send', 35, 0, 'inet'],
      ['recv', null, facts.unconnected, 'inet'],
    ]);
    expect(network[0]?.network).toMatchObject({
      saddr: null,
      daddr: '127.0.0.1',
      dport: facts.port,
    });
    // A raw socket has a protocol where others have a port.
    expect(network[2]?.network).toMatchObject({
      ...{ protocol: 'icmp', saddr: null, daddr: '127.0.0.1' },
      ...{ sport: null, dport: null },
    });
    expect(network[3]?.network).toMatchObject({
      ...{ protocol: 'tcp', saddr: null, daddr: null },
      ...{ sport: null, dport: null },
    });
    const plain = mine.filter((row) => row.type === 'file' && row.file.path === facts.path);
    expect(plain.filter(({ op }) => op !== 'open').map(({ op, file }) => [op, file.bytes])).toEqual(
      [
        ['write', 33],
        ['read', 33],
      ],
    );
    const moved = mine.filter(
      (row) => row.type === 'file' && [1031, 1032].includes(row.file.bytes),
    );
    expect(moved).toEqual([]);
  });

  test('packets: their bytes up to the snaplen, true length, both directions', async () => {
    const SNAPLEN = 200;
    const { facts, rows } = await drive('packets', 'network.packet,network.connect', [
      ...['--snaplen', String(SNAPLEN)],
    ]);
    const packets = rows.filter((row) => row.op === 'packet');
    for (const [version, address, family] of HOSTS) {
      const { port, sender, short, long, stream } = facts[version];
      const head = version === 'v4' ? 28 : 48; // of IP and UDP
      const datagrams = packets.filter((row) => row.network.sport === sender);
      const about = [short, long].map((hex) => Buffer.from(hex, 'hex'));
      expect(
        datagrams.map(({ network: of }) => [of.direction, of.packet_length]).toSorted(),
      ).toEqual(
        [...about, Buffer.from('x')]
          .flatMap(({ length }) => ['sent', 'received'].map((way) => [way, head + length]))
          .toSorted(),
      );
      for (const { network, flags } of datagrams) {
        expect(network).toMatchObject({ family, protocol: 'udp', saddr: address, daddr: address });
        expect(network).toMatchObject({ dport: port, bytes: null, error: null, latency_ns: null });
        const bytes = Buffer.from(network.packet, 'base64');
        expect(bytes.length).toBe(Math.min(SNAPLEN, network.packet_length));
        expect(flags & 2).toBe(network.packet_length > SNAPLEN ? 2 : 0);
        expect(bytes[0]).toBe(version === 'v4' ? 0x45 : 0x60);
        expect(bytes.readUInt16BE(head - 8)).toBe(sender);
        const payload = about.find(({ length }) => length === network.packet_length - head);
        if (payload) expect(bytes.subarray(head)).toEqual(payload.subarray(0, SNAPLEN - head));
      }
      // A SYN is its process's as it is sent; who is to get it is not known to the device.
      const [syn, ...others] = packets.filter((row) => row.network.sport === stream);
      expect(others.length).toBeGreaterThan(0);
      expect(syn?.network).toMatchObject({ protocol: 'tcp', direction: 'sent' });
      expect(syn?.pid).toBe(facts.me);
      const refusals = packets.filter(
        ({ network }) => network.family === family && network.protocol.includes('icmp'),
      );
      expect(refusals.map(({ network }) => network.direction)).toEqual(
        expect.arrayContaining(['sent', 'received']),
      );
      for (const { network } of refusals)
        expect(network).toMatchObject({ sport: null, dport: null });
    }
  });

  test('packets of a port and protocol: the kernel leaves out the others', async () => {
    const port = 21000 + (process.pid % 10_000);
    const { packet, send } = EVENTS.network.ops;
    for (const [filter, expected] of [
      [`network.dport == ${port} && op == "packet"`, ['udp']],
      [`network.protocol == "tcp" && op == "packet"`, ['tcp']],
      [`!(network.protocol in ["tcp", "udp"]) && op == "packet"`, ['icmp', 'ipv6-icmp']],
    ] as const) {
      const parsed = await parseFilter(filter);
      const pushed = pushDown((type) => parsed.for(type));
      const entry = (op: number): number => pushed?.ops.find((one) => one.op === op)?.entry ?? 254;
      expect(entry(packet.id)).toBeLessThan(248); // a test
      expect(entry(send.id)).toBe(255); // rejected
      const driven = await drive(
        'packets',
        `network.packet,${MOVES}`,
        ['--filter', filter],
        [String(port)],
      );
      const seen = driven.rows.map((row) => [row.op, row.network?.protocol]);
      expect(new Set(seen.map(String))).toEqual(new Set(expected.map((one) => `packet,${one}`)));
      if (expected[0] === 'udp') {
        // Three of each family, each of them sent and received.
        expect(driven.rows.map((row) => row.network.dport)).toEqual(Array(12).fill(port));
      }
      expect(driven.filtered).toBeGreaterThan(12);
      rmSync(`${directory.path}/store`, { recursive: true });
    }
  });
});
