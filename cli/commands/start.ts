// tapio-record start: records until it is told to end.

import { closeSync, openSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { env, stderr, stdout } from 'node:process';
import type { Options } from 'yargs';
import { type RecordConfig, resolveConfig } from '../../src/config/config.ts';
import { settingsFromFile } from '../../src/config/file.ts';
import type { ServingConfig } from '../../src/config/serving.ts';
import { isLoopback } from '../../src/config/serving.ts';
import {
  CONFIG_VARIABLE,
  type Given,
  SETTINGS,
  type Setting,
  type SettingName,
  settingsFromEnvironment,
} from '../../src/config/settings.ts';
import { Daemon, type DaemonAids } from '../../src/daemon.ts';
import { TapioError } from '../../src/errors.ts';
import { Log } from '../../src/log.ts';
import type { Telling } from '../../src/metrics/telling.ts';
import { recordingFilter } from '../../src/query/recording-filter.ts';
import { defaultStore } from '../../src/segment/store.ts';
import type { ServerStatus } from '../../src/server/protocol.ts';
import { servingThread } from '../../src/server/serving.ts';
import type { SideThread } from '../../src/side-thread.ts';
import { Outboxes } from '../../src/sink/outboxes.ts';
import type { SourceFilter } from '../../src/source/binding.ts';
import type { Command, Flags } from '../program.ts';
import { inheritedPins, runAs } from '../run-as.ts';
import { StatusLine } from '../status-line.ts';
import { summaryText } from '../summary.ts';

const YARGS_TYPES = {
  string: 'string',
  number: 'string',
  boolean: 'boolean',
  list: 'array',
} as const;

/** Settings that are words of a command line. */
const FLAGS = (Object.entries(SETTINGS) as [SettingName, Setting][]).flatMap(([name, setting]) => {
  const { type } = setting;
  return type === 'sinks' ? [] : [{ name, type, setting }];
});

/** Where is served, and what its audit is kept with, where nothing else is said. */
const [SOCKET, AUDIT_KEY] = ['recorder.sock', 'audit.key'];

const startedOnTerminal = stderr.isTTY === true;

function flagOptions(): Record<string, Options> {
  const out: Record<string, Options> = {};
  for (const { name, type: own, setting } of FLAGS) {
    const type = YARGS_TYPES[own];
    const hint = setting.choices?.join('|') ?? setting.placeholder;
    out[name] = {
      describe: hint === undefined ? setting.doc : `${hint} — ${setting.doc}`,
      type,
      // A list takes one word, so that a command's own words are not swallowed.
      ...(type === 'array'
        ? { type: 'string' as const, array: false, coerce: (v: unknown) => v }
        : {}),
    };
  }
  out.config = { type: 'string', describe: 'FILE — settings in YAML, by the names of these flags' };
  out.output = {
    alias: 'o',
    choices: ['text', 'json'],
    default: 'text',
    describe: 'how to write the summary',
  };
  return out;
}

function givenByFlags(flags: Flags): Given {
  const out: Partial<Record<SettingName, unknown>> = {};
  for (const { name, type } of FLAGS) {
    const value = flags[name];
    // A flag that is given twice means the last, but for lists, which are added up.
    const list = type === 'list';
    if (value !== undefined) out[name] = Array.isArray(value) && !list ? value.at(-1) : value;
  }
  return out;
}

function readConfigFile(path: string | undefined): Given {
  if (path === undefined) return {};
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new TapioError('usage', `cannot read ${path} (${(error as NodeJS.ErrnoException).code})`);
  }
  return settingsFromFile(text, path);
}

/** Whether there are files that may have changed. */
const isFromFiles = ({ policy, tls, tokens, jwt }: ServingConfig): boolean =>
  [policy, tls, tokens, jwt].some((one) => one !== null);

/** True when the terminal that we were started on is gone. */
function terminalIsLost(): boolean {
  if (!startedOnTerminal) return false;
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return false;
  } catch {
    return true;
  }
}

/** A terminal's Ctrl-C may come twice, from the terminal and from npm: within this it is one, ms. */
const SAME_KEYPRESS_MS = 300;

/** SIGINT and SIGTERM end the recording; a second SIGINT does not wait. Gives back what undoes it. */
function onSignals(
  daemon: Daemon,
  { outboxes, serving }: Required<Pick<DaemonAids, 'outboxes' | 'serving'>>,
  log: Log,
  reload: () => RecordConfig | null,
): () => void {
  let interrupted: number | null = null;
  const reread = async (): Promise<void> => {
    try {
      const config = terminalIsLost() ? null : reload();
      if (config === null) {
        daemon.stop();
        return;
      }
      const filter = await recordingFilter(config.filter);
      await outboxes.configure(config.sinks);
      serving.reload();
      daemon.configure(config, filter);
      log.level = config.logLevel;
      log.info('the configuration was read again');
    } catch (error) {
      log.warn(`the old configuration is kept: ${(error as Error).message}`);
    }
  };
  const handlers: readonly (readonly [NodeJS.Signals, () => void])[] = [
    [
      'SIGINT',
      () => {
        const now = performance.now();
        if (interrupted !== null && now - interrupted > SAME_KEYPRESS_MS) process.exit(130);
        interrupted ??= now;
        daemon.stop();
      },
    ],
    ['SIGTERM', () => daemon.stop()],
    ['SIGHUP', () => void reread()],
    ['SIGUSR2', () => daemon.rotate()],
  ];
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) process.removeListener(signal, handler);
  };
}

async function begin(
  store: string,
  config: RecordConfig,
  filter: SourceFilter | null,
  aids: Pick<DaemonAids, 'outboxes' | 'serving' | 'pins'>,
  log: Log,
): Promise<Daemon> {
  try {
    return new Daemon(store, config, filter, (text) => log.warn(text), aids);
  } catch (error) {
    await aids.outboxes?.finish(0);
    throw error;
  }
}

/** Begins to serve; where that cannot be, nothing is recorded either. */
async function serve(serving: SideThread<ServerStatus>, daemon: Daemon): Promise<void> {
  try {
    await serving.start();
  } catch (error) {
    daemon.stop();
    await daemon.finished;
    throw error;
  }
}

/** Answers Prometheus, where that is asked for; where it cannot be, nothing is recorded either. */
async function tellMetrics(
  { metrics }: RecordConfig,
  daemon: Daemon,
  log: Log,
): Promise<Telling | null> {
  if (metrics === null) return null;
  const { Telling } = await import('../../src/metrics/telling.ts');
  try {
    const telling = await Telling.begin({
      address: metrics,
      measured: () => daemon.measured(),
      say: (text) => log.warn(text),
    });
    log.info(`metrics at ${telling.url}`);
    if (!isLoopback(metrics.host))
      log.warn(
        `--metrics ${metrics.host} answers whoever can reach it: it asks nobody who they are`,
      );
    return telling;
  } catch (error) {
    daemon.stop();
    await daemon.finished;
    throw error;
  }
}

async function run(flags: Flags): Promise<number> {
  const byFlags = givenByFlags(flags);
  const configFile = (flags.config ?? env[CONFIG_VARIABLE]) as string | undefined;
  const resolve = (): RecordConfig =>
    resolveConfig(
      [byFlags, settingsFromEnvironment(env), readConfigFile(configFile)],
      availableParallelism(),
    );
  const config = resolve();
  const filter = await recordingFilter(config.filter);
  const store = config.store ?? defaultStore();
  if (config.user !== null) runAs(config.user, store, config.source);
  const pins = inheritedPins();
  const log = new Log('tapio-record', config.logLevel);
  const line = stderr.isTTY && flags.output !== 'json' ? new StatusLine(stderr) : null;
  const warn = (text: string): void => log.warn(text);
  const outboxes = await Outboxes.open(store, config.sinks, warn);
  const listen = config.serving.listen ?? [{ kind: 'unix' as const, path: join(store, SOCKET) }];
  const auditKey = config.serving.auditKey ?? join(store, AUDIT_KEY);
  const serving = servingThread({ ...config.serving, store, listen, auditKey, say: warn });
  const daemon = await begin(store, config, filter, { outboxes, serving, pins }, log);
  const isReadAgain = configFile !== undefined || isFromFiles(config.serving);
  const reload = (): RecordConfig | null => (isReadAgain ? resolve() : null);
  const release = onSignals(daemon, { outboxes, serving }, log, reload);
  let timer: NodeJS.Timeout | undefined;
  let metrics: Telling | null = null;
  try {
    await daemon.started;
    metrics = await tellMetrics(config, daemon, log);
    await serve(serving, daemon);
    await daemon.listen();
    log.info(`recording into ${store}${line === null ? '' : ' (Ctrl-C ends it)'}`);
    const { unattached } = await daemon.totals();
    for (const [op, why] of Object.entries(unattached))
      log.warn(`${op} is not recorded: ${why} (tapio-record doctor tells more)`);
    if (config.durationMs !== null) timer = setTimeout(() => daemon.stop(), config.durationMs);
    line?.follow(daemon);
    const summary = await daemon.finished;
    line?.clear();
    // Where events go to the standard output, it is theirs.
    const out = config.sinks.some(({ url }) => url === 'ndjson:-') ? stderr : stdout;
    out.write(flags.output === 'json' ? `${JSON.stringify(summary)}\n` : summaryText(summary));
    return 0;
  } finally {
    line?.clear();
    clearTimeout(timer);
    await metrics?.end();
    release();
  }
}

export const start: Command = {
  usage: '[start] [flags]',
  flags: flagOptions(),
  examples: [
    ['tapio-record', 'record this host with the default profile until Ctrl-C'],
    ['tapio-record --duration 10s', 'record ten seconds'],
    ['tapio-record --enable file.read,file.write', 'with every read and write'],
    ['tapio-record --syscalls futex,ptrace', 'with these system calls'],
    ['tapio-record --exclude comm=node,uid=1000', 'without these'],
    ['tapio-record --filter \'comm == "nginx" || network.dport == 443\'', 'only what matches'],
    ['tapio-record --limit file.open=10k/s', 'at most so many a second, the rest by weight'],
    ['tapio-record --sink nats://localhost:4222', 'and send UnifiedEvents onward to NATS'],
    ['tapio-record --user nobody --store /var/tmp/tapio', 'as nobody, once it is under way'],
    ['tapio-record --metrics 127.0.0.1:9464', 'and tell Prometheus how it is'],
    ['tapio-record --source synthetic --rate 100000', 'without privileges, generated events'],
  ],
  run,
};
