// A NATS server of Debian's package, started by a test on a port that is free, with a store of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';

const START_MS = 20_000;
const LOOK_MS = 20;
const TICKS_PER_S = 100;

/** Where a server runs: words in front of its command, and the address that it listens at. */
export interface NatsPlace {
  readonly under: readonly string[];
  readonly address: string;
}

const HERE: NatsPlace = { under: [], address: '127.0.0.1' };

export class NatsServer {
  readonly directory = mkdtempSync(join(tmpdir(), 'tapio-nats-'));
  readonly #config: string;
  readonly #place: NatsPlace;
  readonly #connections: NatsConnection[] = [];
  #child: ChildProcess | null = null;
  #log = '';
  port: number;

  /** `config` in the server's own language; port 0 for any that is free. */
  constructor(config = '', port = 0, place: NatsPlace = HERE) {
    this.#config = config;
    this.#place = place;
    this.port = port;
    mkdirSync(join(this.directory, 'ports'));
  }

  static async start(config?: string, port?: number, place?: NatsPlace): Promise<NatsServer> {
    const server = new NatsServer(config, port, place);
    await server.start();
    return server;
  }

  /** Starts it, on the port of before where there was one, and waits until it listens. */
  async start(): Promise<void> {
    const [ports, config] = [join(this.directory, 'ports'), join(this.directory, 'server.conf')];
    for (const name of readdirSync(ports)) rmSync(join(ports, name));
    writeFileSync(config, this.#config);
    const { under, address } = this.#place;
    const [command = '', ...words] = [...under, 'nats-server'];
    const child = spawn(
      command,
      [
        ...words,
        ...['-js', '-a', address, '-p', `${this.port === 0 ? -1 : this.port}`],
        ...['-sd', join(this.directory, 'store'), '-c', config, '--ports_file_dir', ports],
      ],
      {
        // Debian keeps it where only root looks.
        env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    this.#child = child;
    child.stderr?.on('data', (text) => {
      this.#log += text;
    });
    for (const begun = Date.now(); ; await sleep(LOOK_MS)) {
      const [name] = readdirSync(ports).filter((one) => one.endsWith('.ports'));
      const text = name === undefined ? '' : readFileSync(join(ports, name), 'utf8');
      const port = /:(\d+)"/.exec(text)?.[1];
      if (port !== undefined && this.#log.includes('Server is ready')) {
        this.port = Number(port);
        return;
      }
      if (child.exitCode !== null || Date.now() - begun > START_MS) {
        throw new Error(`nats-server did not start: ${this.#log}`);
      }
    }
  }

  /** Address and port. */
  get server(): string {
    return `${this.#place.address}:${this.port}`;
  }

  /** CPU time that it used so far, s. */
  cpu(): number {
    const stat = readFileSync(`/proc/${this.#child?.pid}/stat`, 'utf8').split(') ')[1] ?? '';
    const [user, system] = stat.split(' ').slice(11, 13);
    return (Number(user) + Number(system)) / TICKS_PER_S;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Ends it at once, and waits until it is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.on('close', resolve));
    child.kill('SIGCONT');
    child.kill('SIGKILL');
    await gone;
  }

  /** Ends it, and removes all it has. */
  async remove(): Promise<void> {
    for (const connection of this.#connections) await connection.close().catch(() => {});
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** A connection of the test's own. */
  async connect(options: NodeConnectionOptions = {}): Promise<NatsConnection> {
    const connection = await connect({ servers: this.server, ...options });
    this.#connections.push(connection);
    return connection;
  }

  async manager(options?: NodeConnectionOptions): Promise<JetStreamManager> {
    return jetstreamManager(await this.connect(options));
  }

  /** All messages of a stream: id, subject and text. */
  async messages(
    stream: string,
    options?: NodeConnectionOptions,
  ): Promise<{ id: string; subject: string; text: string; headers: Record<string, string[]> }[]> {
    const connection = await this.connect(options);
    const manager = await jetstreamManager(connection);
    const { state } = await manager.streams.info(stream);
    const messages = [];
    if (state.messages > 0) {
      const consumer = await jetstream(connection).consumers.get(stream);
      for await (const message of await consumer.consume()) {
        const headers = Object.fromEntries(message.headers ?? []);
        messages.push({
          id: message.headers?.get('Nats-Msg-Id') ?? '',
          subject: message.subject,
          text: message.string(),
          headers,
        });
        if (messages.length === state.messages) break;
      }
    }
    await connection.close();
    return messages;
  }
}
