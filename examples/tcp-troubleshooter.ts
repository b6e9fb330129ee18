// A running table of the peers that TCP has trouble with: segments sent again, resets sent and received:
// node examples/tcp-troubleshooter.ts [ADDRESS] [SECONDS]

import { argv } from 'node:process';
import { events } from './events.ts';

const [address = 'unix:recording/recorder.sock', seconds = '2'] = argv.slice(2);
if (!(Number(seconds) > 0)) {
  console.error(`${seconds} is no number of seconds: write 2`);
  process.exit(2);
}

interface Trouble {
  retransmits: number;
  sent: number;
  received: number;
}

const peers = new Map<string, Trouble>();
let changed = false;
const show = (): void => {
  if (!changed) return;
  changed = false;
  const worst = [...peers].sort(([, a], [, b]) => b.retransmits - a.retransmits);
  console.log(`${'PEER'.padEnd(40)} RETRANSMITS RESETS-SENT RESETS-RECEIVED`);
  for (const [peer, { retransmits, sent, received }] of worst) {
    const cells = [
      `${retransmits}`.padStart(11),
      `${sent}`.padStart(11),
      `${received}`.padStart(15),
    ];
    console.log([peer.padEnd(40), ...cells].join(' '));
  }
};
setInterval(show, Number(seconds) * 1000);

try {
  const selection = {
    ops: ['retransmit', 'reset'],
    fields: ['op', 'network.saddr', 'network.daddr', 'network.direction'],
  };
  for await (const { op, network } of events(address, selection)) {
    // A reset that was received has its sender as its source.
    const isReceived = op === 'reset' && network?.direction === 'received';
    const peer = String(isReceived ? network.saddr : network?.daddr);
    const trouble = peers.get(peer) ?? { retransmits: 0, sent: 0, received: 0 };
    peers.set(peer, trouble);
    if (op === 'retransmit') trouble.retransmits++;
    else if (isReceived) trouble.received++;
    else trouble.sent++;
    changed = true;
  }
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
