// tapio-replay conns: which TCP sockets were open at a time, and whose.

import { TapioError } from '../../src/errors.ts';
import { formatTs } from '../../src/event/clock.ts';
import { type ListedSocket, socketsAt } from '../../src/query/sockets.ts';
import { escapeControls } from '../format.ts';
import { Output } from '../output.ts';
import type { Command, Flags } from '../program.ts';
import { momentOf, reading, STORE_FLAG, say } from '../reading.ts';
import { localDateTime, tableLines, zoneText } from '../rows.ts';

function sideText(address: string | null, port: number | null): string {
  if (address === null) return '*';
  return `${address.includes(':') ? `[${address}]` : address}:${port ?? '*'}`;
}

function table(sockets: readonly ListedSocket[]): string[] {
  const severalHosts = new Set(sockets.map(({ host }) => host)).size > 1;
  const header = ['state', 'local', 'remote', 'process', 'uid', `since (${zoneText()})`];
  const cells = sockets.map((one) => {
    const process = one.pid === 0 ? '?' : `${one.comm}[${one.pid}]`;
    const row = [
      one.state,
      sideText(one.saddr, one.sport),
      sideText(one.daddr, one.dport),
      process,
      String(one.uid),
      one.since === null ? '?' : localDateTime(one.since),
    ].map(escapeControls);
    return severalHosts ? [escapeControls(one.host), ...row] : row;
  });
  return tableLines(severalHosts ? ['host', ...header] : header, cells);
}

function json(one: ListedSocket): string {
  const { state, family, saddr, sport, daddr, dport, pid, pstart, comm, uid, since, host } = one;
  return JSON.stringify({
    ...{ state, family, protocol: 'tcp', saddr, sport, daddr, dport, pid },
    ...{ pstart: String(pstart), comm, uid, since: since === null ? null : formatTs(since), host },
  });
}

async function run(flags: Flags): Promise<number> {
  if (flags._.length > 0) {
    throw new TapioError('usage', `unexpected ${flags._[0]}: see conns --help`);
  }
  const at = await momentOf(flags);
  await reading(flags, (opened) => {
    const found = socketsAt(opened, at);
    if (at === null) say(`as of ${formatTs(found.at)}, the end of what is held`);
    const wanted =
      flags.listening === true
        ? found.sockets.filter(({ state }) => state === 'LISTEN')
        : found.sockets;
    const out = new Output();
    for (const line of flags.output === 'json' ? wanted.map(json) : table(wanted)) out.line(line);
    out.flush();
    for (const text of [...found.notes, ...found.missing]) say(text);
  });
  return 0;
}

export const conns: Command = {
  usage: 'conns [flags]',
  flags: {
    ...STORE_FLAG,
    at: {
      type: 'string',
      describe:
        'TIME — as it was then [default: the end of what is held]. TCP sockets that processes held, with the process that connected, accepted or listened. CONNECTED is from then to the close, whichever side has shut down; SYN_SENT is told by its outcome. Not listed: UDP, what nobody has accepted yet, TIME_WAIT. ? is what no row tells',
    },
    listening: { type: 'boolean', describe: 'only those that listen' },
    output: { alias: 'o', choices: ['table', 'json'], default: 'table', describe: 'form' },
  },
  examples: [
    ['tapio-replay conns --at 03:00', 'who was connected to whom at three'],
    ['tapio-replay conns --at 10m --listening', 'who listened ten minutes ago'],
    ['tapio-replay conns -o json', 'as of the end of what is held, for jq'],
  ],
  run,
};
