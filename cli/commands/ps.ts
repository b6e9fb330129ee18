// tapio-replay ps: who was alive at a time.

import { stdout } from 'node:process';
import { TapioError } from '../../src/errors.ts';
import { formatTs } from '../../src/event/clock.ts';
import { type ProcessState, processesAt } from '../../src/query/processes.ts';
import { escapeControls } from '../format.ts';
import { Output } from '../output.ts';
import type { Command, Flags } from '../program.ts';
import { momentOf, reading, STORE_FLAG, say } from '../reading.ts';
import { elide, indent, localDateTime, tableLines, zoneText } from '../rows.ts';

interface Listed {
  readonly process: ProcessState;
  /** In a tree, how far it is below one whose parent is not in the list. */
  readonly depth: number;
}

/** Children below their parents, by pid; deep trees are walked without recursion. */
function asTree(processes: readonly ProcessState[]): Listed[] {
  const nameOf = (host: string, pid: number | null): string => `${host}\0${pid}`;
  const there = new Set(processes.map(({ host, pid }) => nameOf(host, pid)));
  const children = Map.groupBy(processes, ({ host, ppid }) => nameOf(host, ppid));
  const roots = processes.filter(({ host, ppid }) => !there.has(nameOf(host, ppid)));
  const waiting = roots.map((process) => ({ process, depth: 0 })).reverse();
  const out: Listed[] = [];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    out.push(next);
    const { process, depth } = next;
    const below = children.get(nameOf(process.host, process.pid)) ?? [];
    for (const child of below.toReversed()) waiting.push({ process: child, depth: depth + 1 });
  }
  return out;
}

/** Its argument vector; without one, its name in brackets, as ps writes it. */
function argsText({ args, comm }: ProcessState): string {
  return args === null || args.length === 0 ? `[${comm ?? '?'}]` : args.join(' ');
}

function table(listed: readonly Listed[], width: number): string[] {
  const severalHosts = new Set(listed.map(({ process }) => process.host)).size > 1;
  const header = ['pid', 'ppid', 'uid', `start (${zoneText()})`, 'comm', 'args'];
  const cells = listed.map(({ process, depth }) => {
    const { pid, ppid, uid, startTs, comm, host } = process;
    const own = [pid, ppid ?? '?', uid, localDateTime(startTs), `${indent(depth)}${comm ?? '?'}`];
    const row = [...own, argsText(process)].map((cell) => escapeControls(String(cell)));
    return severalHosts ? [escapeControls(host), ...row] : row;
  });
  const lines = tableLines(severalHosts ? ['host', ...header] : header, cells);
  return lines.map((line) => elide(line, width));
}

function json({ process, depth }: Listed, tree: boolean): string {
  const { pid, pstart, ppid, uid, startTs, comm, exe, args, cwd, host } = process;
  return JSON.stringify({
    ...{ pid, pstart: String(pstart), ppid, uid, start: formatTs(startTs), comm, exe, args, cwd },
    cgroup_id: String(process.cgroupId),
    cgroup: process.cgroup,
    container_id: process.containerId,
    pod: process.pod,
    pod_namespace: process.podNamespace,
    host,
    ...(tree ? { depth } : {}),
  });
}

async function run(flags: Flags): Promise<number> {
  if (flags._.length > 0) throw new TapioError('usage', `unexpected ${flags._[0]}: see ps --help`);
  const at = await momentOf(flags);
  const tree = flags.tree === true;
  await reading(flags, (opened) => {
    const found = processesAt(opened, at);
    if (at === null) say(`as of ${formatTs(found.at)}, the end of what is held`);
    const listed = tree
      ? asTree(found.processes)
      : found.processes.map((process) => ({ process, depth: 0 }));
    const out = new Output();
    const width = flags.wide === true ? undefined : stdout.columns;
    const lines =
      flags.output === 'json'
        ? listed.map((one) => json(one, tree))
        : table(listed, width ?? Number.POSITIVE_INFINITY);
    for (const line of lines) out.line(line);
    out.flush();
    for (const text of [...found.notes, ...found.missing]) say(text);
  });
  return 0;
}

export const ps: Command = {
  usage: 'ps [flags]',
  flags: {
    ...STORE_FLAG,
    at: {
      type: 'string',
      describe:
        'TIME — as it was then [default: the end of what is held]. Exact but for what programs change by themselves (name, arguments, directory): that is seen with a later row or not at all. ? is what no row tells. Zombies are not alive',
    },
    tree: { type: 'boolean', describe: 'children below their parents' },
    wide: { type: 'boolean', describe: 'lines are not cut at the width of the terminal' },
    output: { alias: 'o', choices: ['table', 'json'], default: 'table', describe: 'form' },
  },
  examples: [
    ['tapio-replay ps --at 03:00 --tree', 'who was alive at three'],
    ['tapio-replay ps --at 10m -o json', 'ten minutes ago, for jq'],
    ['tapio-replay ps --store ./a --store ./b', 'two stores beside one another'],
  ],
  run,
};
