// The thread that serves. What it needs of gRPC is loaded with the first connection: most recorders are never asked.

import type { Server, Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server as TlsServer } from 'node:tls';
import type { Listening, TlsFiles } from '../config/serving.ts';
import { askRecorder } from '../control.ts';
import { systemCode, TapioError } from '../errors.ts';
import { openDoor } from '../replay/door.ts';
import { diskFiles } from '../segment/files.ts';
import type { Caller } from '../service/admission.ts';
import { PolicyHolder } from '../service/policy-holder.ts';
import { Usage } from '../service/rate.ts';
import { runSideThread, type SideTask, sayFromThread } from '../side-thread.ts';
import type { GrpcServer } from './grpc.ts';
import { listenAtPath } from './peers.ts';
import { listenOverTls, renew } from './tls.ts';

export interface ServerThreadData {
  readonly store: string;
  readonly listen: readonly Listening[];
  /** File of who may see what; null: root and the recorder's own user see all. */
  readonly policy: string | null;
  readonly tls: TlsFiles | null;
  /** File of the key that the audit is kept with. */
  readonly auditKey: string;
}

/** How the server is. */
export interface ServerStatus {
  readonly listening: readonly string[];
  readonly connections: number;
}

/** Directory of the audit in a store. */
const AUDIT = 'audit';

const placeOf = (one: Listening): string =>
  one.kind === 'unix' ? `unix:${one.path}` : `${one.host}:${one.port}`;

/** Serves a store. */
class Serving implements SideTask<ServerStatus> {
  readonly #data: ServerThreadData;
  readonly #policy: PolicyHolder;
  readonly #servers: Server[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #grpc: Promise<GrpcServer> | null = null;
  #closeAudit: () => Promise<void> = () => Promise.resolve();
  #connections = 0;

  private constructor(data: ServerThreadData, policy: PolicyHolder) {
    this.#data = data;
    this.#policy = policy;
  }

  /** Listens where it is told to. Throws TapioError('usage') where that cannot be. */
  static async open(data: ServerThreadData): Promise<Serving> {
    const policy = await PolicyHolder.open(data.policy, process.geteuid?.() ?? 0, sayFromThread);
    const self = new Serving(data, policy);
    for (const one of data.listen) {
      try {
        await self.#listen(one);
      } catch (error) {
        self.#close();
        if (error instanceof TapioError) throw error;
        const why = systemCode(error) ?? (error as Error).message;
        throw new TapioError('usage', `--listen ${placeOf(one)} cannot be listened at (${why})`);
      }
    }
    return self;
  }

  async #listen(one: Listening): Promise<void> {
    const { policy, tls } = this.#data;
    if (one.kind === 'unix') {
      // Who may connect is told by the file's mode until a policy says it.
      const mode = policy === null ? 0o600 : 0o666;
      const server = await listenAtPath(one.path, mode, (socket, { pid, uid, gid }) =>
        this.#accept(socket, {
          identity: { kind: 'peer', uid, gid, pid },
          address: `unix:pid=${pid}`,
        }),
      );
      this.#servers.push(server);
    } else if (tls !== null) {
      const server = await listenOverTls(one, tls, (socket, identity) =>
        this.#accept(socket, {
          identity,
          address: `${socket.remoteAddress}:${socket.remotePort}`,
        }),
      );
      this.#servers.push(server);
    }
  }

  run(): Promise<void> {
    return this.#ended.promise;
  }

  reload(): void {
    const { policy, tls } = this.#data;
    if (policy !== null) void this.#policy.reload();
    if (tls === null) return;
    try {
      for (const server of this.#servers) if (server instanceof TlsServer) renew(server, tls);
    } catch (error) {
      sayFromThread(`${(error as Error).message}: the certificates that were read before go on`);
    }
  }

  finish(ms: number): void {
    this.#close();
    const end = async (): Promise<void> => {
      await (await this.#grpc)?.close(ms);
      await this.#closeAudit();
    };
    end().then(this.#ended.resolve, this.#ended.reject);
  }

  status(): ServerStatus {
    return {
      listening: this.#data.listen.map(placeOf),
      connections: this.#connections,
    };
  }

  #close(): void {
    for (const server of this.#servers) server.close();
  }

  #accept(socket: Socket, caller: Caller): void {
    this.#connections++;
    socket.once('close', () => this.#connections--);
    this.#grpc ??= this.#load();
    this.#grpc.then(
      (grpc) => grpc.accept(socket, caller),
      (error) => {
        // The next connection tries again.
        this.#grpc = null;
        sayFromThread(`nothing is served: ${(error as Error).message}`);
        socket.destroy();
      },
    );
  }

  async #load(): Promise<GrpcServer> {
    const [
      { GrpcServer },
      { EventService },
      { AuditLog },
      { ensureAuditKey },
      { syslogPublisher },
    ] = await Promise.all([
      import('./grpc.ts'),
      import('../service/service.ts'),
      import('../service/audit.ts'),
      import('../service/audit-key.ts'),
      import('../service/syslog.ts'),
    ]);
    const { store, auditKey } = this.#data;
    const directory = join(store, AUDIT);
    const audit = AuditLog.open({
      files: diskFiles,
      directory,
      key: ensureAuditKey(diskFiles, auditKey, directory),
      publish: syslogPublisher(sayFromThread),
      now: Date.now,
    });
    this.#closeAudit = () => audit.close();
    const service = new EventService({
      store,
      policy: () => this.#policy.policy,
      usage: new Usage(() => performance.now()),
      audit,
      connect: () => openDoor(store, sayFromThread),
      flush: () => askRecorder(store, 'flush'),
      now: () => BigInt(Date.now()) * 1_000_000n,
      sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => {}),
    });
    return new GrpcServer({
      service,
      status: () => askRecorder(store, 'status'),
      say: sayFromThread,
    });
  }
}

await runSideThread((data: ServerThreadData) => Serving.open(data));
