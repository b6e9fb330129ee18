// Connections over TCP without TLS, from this host alone: who makes them is not known, and their calls carry tokens.

import { lookup } from 'node:dns/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { isLoopback } from '../config/serving.ts';
import { TapioError } from '../errors.ts';
import { CONNECTIONS_MAX } from './peers.ts';

/** The address that a name of this host stands for. Throws TapioError('usage') where that can be reached from elsewhere. */
async function addressOf(host: string): Promise<string> {
  const found = await lookup(host, { all: true });
  const [first] = found;
  if (first !== undefined && found.every(({ address }) => isLoopback(address))) {
    return first.address;
  }
  const elsewhere = found.map(({ address }) => address).join(', ');
  throw new TapioError(
    'usage',
    `--listen ${host} without TLS: it stands for ${elsewhere}; write 127.0.0.1 or [::1]`,
  );
}

/** Listens without TLS. Throws TapioError('usage') for a host that others can reach; rejects with what the system says. */
export async function listenOnLoopback(
  { host, port }: { readonly host: string; readonly port: number },
  onConnection: (socket: Socket) => void,
): Promise<Server> {
  const address = await addressOf(host);
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    onConnection(socket);
  });
  server.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, resolve);
  });
  return server;
}
