// The thread that serves. What it needs of gRPC is loaded with the first connection: most recorders are never asked.

import type { Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server as TlsServer } from 'node:tls';
import type { Listening, TlsFiles } from '../config/serving.ts';
import { askRecorder } from '../control.ts';
import { systemCode, TapioError } from '../errors.ts';
import { giveUpCapabilities } from '../privileges.ts';
import { openDoor } from '../replay/door.ts';
import { ServiceCounters } from '../service/counters.ts';
import { type Identity, shownName } from '../service/identity.ts';
import { PolicyHolder } from '../service/policy-holder.ts';
import { Usage } from '../service/rate.ts';
import { runSideThread, type SideTask, sayFromThread } from '../side-thread.ts';
import { openAudit, type ServerAudit } from './audit.ts';
import type { Connection } from './caller.ts';
import type { GrpcServer } from './grpc.ts';
import { type Identities, type IdentitySettings, openIdentities } from './identities.ts';
import { listenOnLoopback } from './loopback.ts';
import { listenAtPath } from './peers.ts';
import type { ServerStatus } from './protocol.ts';
import { listenOverTls, renew } from './tls.ts';

export interface ServerThreadData extends IdentitySettings {
  readonly store: string;
  readonly listen: readonly Listening[];
  /** File of who may see what; null: root and the recorder's own user see all. */
  readonly policy: string | null;
  readonly tls: TlsFiles | null;
  /** File of the key that the audit is kept with. */
  readonly auditKey: string;
}

const placeOf = (one: Listening): string =>
  one.kind === 'unix' ? `unix:${one.path}` : `${one.host}:${one.port}`;

const addressOf = ({ remoteAddress, remotePort }: Socket): string =>
  `${remoteAddress}:${remotePort}`;

/** Below it, ports are for who holds CAP_NET_BIND_SERVICE, or as sysctl says. */
const FREE_PORT_MIN = 1024;

/** Why nobody can listen at a place. */
function whyNot(one: Listening, error: unknown): string {
  const why = systemCode(error) ?? (error as Error).message;
  const isKept = why === 'EACCES' && one.kind !== 'unix' && one.port < FREE_PORT_MIN;
  return isKept
    ? 'is a port that needs privileges, and who serves has none: choose one from 1024, or lower net.ipv4.ip_unprivileged_port_start'
    : `cannot be listened at (${why})`;
}

/** Serves a store. */
class Serving implements SideTask<ServerStatus> {
  readonly #data: ServerThreadData;
  readonly #policy: PolicyHolder;
  readonly #identities: Identities;
  readonly #servers: Server[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #grpc: Promise<GrpcServer> | null = null;
  #audit: Promise<ServerAudit> | null = null;
  #auditCounts: ServerAudit['counts'] = () => ({ lines: 0, failures: 0 });
  readonly #counters = new ServiceCounters();
  readonly #sockets = new Set<Socket>();
  #accepted = 0;
  /** Of connections that are closed. */
  #sentBytes = 0;

  private constructor(data: ServerThreadData, policy: PolicyHolder, identities: Identities) {
    this.#data = data;
    this.#policy = policy;
    this.#identities = identities;
  }

  /** Listens where it is told to. Throws TapioError where that cannot be, or for files that cannot be used. */
  static async open(data: ServerThreadData): Promise<Serving> {
    const ownUid = process.geteuid?.() ?? 0;
    const policy = await PolicyHolder.open(data.policy, ownUid, sayFromThread);
    const identities = await openIdentities(data, ownUid, sayFromThread);
    const self = new Serving(data, policy, identities);
    for (const one of data.listen) {
      try {
        self.#servers.push(await self.#listen(one));
      } catch (error) {
        self.#close();
        if (error instanceof TapioError) throw error;
        throw new TapioError('usage', `--listen ${placeOf(one)} ${whyNot(one, error)}`);
      }
    }
    return self;
  }

  async #listen(one: Listening): Promise<Server> {
    const { policy, tls } = this.#data;
    if (one.kind === 'unix') {
      // Who may connect is told by the file's mode until a policy says it.
      const mode = policy === null ? 0o600 : 0o666;
      return await listenAtPath(one.path, mode, (socket, { pid, uid, gid }) =>
        this.#accept(socket, {
          identity: { kind: 'peer', uid, gid, pid },
          address: `unix:pid=${pid}`,
        }),
      );
    }
    if (one.kind === 'loopback' || tls === null) {
      return await listenOnLoopback(one, (socket) =>
        this.#accept(socket, { identity: null, address: addressOf(socket) }),
      );
    }
    const { host, port } = one;
    return await listenOverTls({
      ...{ host, port, files: tls, needsCertificate: !this.#takesTokens },
      onConnection: (socket, identity) =>
        this.#accept(socket, { identity, address: addressOf(socket) }),
      onRefused: (socket, claimed, why) => void this.#refuse(addressOf(socket), claimed, why),
    });
  }

  get #takesTokens(): boolean {
    return this.#identities.tokens !== null || this.#identities.jwt !== null;
  }

  run(): Promise<void> {
    return this.#ended.promise;
  }

  reload(): void {
    const { policy, tls } = this.#data;
    if (policy !== null) void this.#policy.reload();
    void this.#identities.tokens?.reload();
    void this.#identities.jwt?.reload();
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
      await (await this.#audit)?.close();
    };
    end().then(this.#ended.resolve, this.#ended.reject);
  }

  status(): ServerStatus {
    const audit = this.#auditCounts();
    return {
      listening: this.#data.listen.map(placeOf),
      connections: this.#sockets.size,
      accepted: this.#accepted,
      sent_bytes: [...this.#sockets].reduce(
        (sum, { bytesWritten }) => sum + bytesWritten,
        this.#sentBytes,
      ),
      streams_open: this.#counters.open,
      streams: this.#counters.streams,
      rows: this.#counters.rows,
      missed: this.#counters.missed,
      refused: this.#counters.refused,
      audit_lines: audit.lines,
      audit_failures: audit.failures,
    };
  }

  #close(): void {
    for (const server of this.#servers) server.close();
  }

  #accept(socket: Socket, connection: Connection): void {
    this.#accepted++;
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#sentBytes += socket.bytesWritten;
    });
    this.#grpc ??= this.#load();
    this.#grpc.then(
      (grpc) => grpc.accept(socket, connection),
      (error) => {
        // The next connection tries again.
        this.#grpc = null;
        sayFromThread(`nothing is served: ${(error as Error).message}`);
        socket.destroy();
      },
    );
  }

  /** Notes who was hung up on before a call. */
  async #refuse(peer: string, claimed: Identity | null, reason: string): Promise<void> {
    const identity = claimed === null ? null : shownName(claimed);
    try {
      const audit = await this.#opened();
      await audit.denied({ identity, peer, method: 'TLS', request: {}, reason });
    } catch (error) {
      sayFromThread((error as Error).message);
    }
  }

  #opened(): Promise<ServerAudit> {
    const { store, auditKey } = this.#data;
    this.#audit ??= openAudit(store, auditKey, sayFromThread).then(
      (audit) => {
        this.#auditCounts = audit.counts;
        return audit;
      },
      (error) => {
        this.#audit = null;
        throw error;
      },
    );
    return this.#audit;
  }

  async #load(): Promise<GrpcServer> {
    const [{ GrpcServer }, { Callers }, { EventService }, audit] = await Promise.all([
      import('./grpc.ts'),
      import('./caller.ts'),
      import('../service/service.ts'),
      this.#opened(),
    ]);
    const { store, tls } = this.#data;
    const service = new EventService({
      store,
      policy: () => this.#policy.policy,
      usage: new Usage(() => performance.now()),
      audit,
      counters: this.#counters,
      connect: () => openDoor(store, sayFromThread),
      flush: () => askRecorder(store, 'flush'),
      now: () => BigInt(Date.now()) * 1_000_000n,
      sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => {}),
    });
    const takesCertificates = tls !== null && tls.clientCa !== null;
    return new GrpcServer({
      service,
      counters: this.#counters,
      status: () => askRecorder(store, 'status'),
      callers: new Callers({ ...this.#identities, takesCertificates, denied: audit.denied }),
      say: sayFromThread,
    });
  }
}

await runSideThread((data: ServerThreadData) => {
  giveUpCapabilities('serve');
  return Serving.open(data);
});
