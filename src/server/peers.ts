// Connections to Unix sockets, each with the credentials of the process at its other end.

import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { native } from '../source/binding.ts';

/** Who is at the other end, as the kernel says. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Sockets that are open at once: what comes beyond is hung up on. */
export const CONNECTIONS_MAX = 4096;

/** What grpc-js tells of a connection is the remote address of its socket: here it is a name that we gave it. */
export function nameConnection(socket: Socket, name: string): void {
  Object.defineProperty(socket, 'remoteAddress', { value: name });
  Object.defineProperty(socket, 'remotePort', { value: 0 });
}

function credentialsOf(socket: Socket): PeerCredentials | null {
  const handle = (socket as unknown as { _handle?: { fd?: number } })._handle;
  if (handle?.fd === undefined || handle.fd < 0) return null;
  return native().peerCredentials(handle.fd);
}

/**
 * Listens at a path, in place of a socket that a crash left there. Rejects with what the system says where that cannot be.
 */
export async function listenAtPath(
  path: string,
  mode: number,
  onConnection: (socket: Socket, peer: PeerCredentials) => void,
): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    const peer = credentialsOf(socket);
    if (peer === null) socket.destroy();
    else onConnection(socket, peer);
  });
  server.maxConnections = CONNECTIONS_MAX;
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, mode);
  return server;
}
