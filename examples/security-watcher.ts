// Tells of programs that are executed from where anybody may write, and of listeners on ports that nobody expects:
// node examples/security-watcher.ts [ADDRESS] [PORT,PORT…]

import { argv } from 'node:process';
import { events } from './events.ts';

const [address = 'unix:recording/recorder.sock', ports = '22,80,443'] = argv.slice(2);
if (!/^\d+(,\d+)*$/.test(ports)) {
  console.error(`${ports} are no ports: write 22,80,443`);
  process.exit(2);
}

/** memfd and other files without a name are executed as /dev/fd/N or /proc/self/fd/N. */
const WRITABLE = ['/tmp/', '/var/tmp/', '/dev/shm/', '/dev/fd/', '/proc/self/fd/'];
const executed = WRITABLE.map((start) => `process.filename.startsWith("${start}")`).join(' || ');
// The recorder decides: only what is told is sent.
const filter = [
  `op == "exec" && process.result == 0 && (${executed})`,
  `op == "listen" && !(network.sport in [${ports}])`,
]
  .map((one) => `(${one})`)
  .join(' || ');

try {
  for await (const { op, comm, pid, uid, process, network } of events(address, { filter })) {
    const who = `${comm}[${pid}] uid ${uid}`;
    if (op === 'exec') console.log(`EXEC ${process?.filename} by ${who}`);
    else console.log(`LISTEN ${network?.saddr} port ${network?.sport} by ${who}`);
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
