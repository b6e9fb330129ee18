"""A running table of the peers that TCP has trouble with: segments sent again, resets sent and received:
python examples/tcp_troubleshooter.py [ADDRESS] [SECONDS]"""

import sys
import threading
from collections import Counter, defaultdict

from events import events

FIELDS = ("op", "network.saddr", "network.daddr", "network.direction")


def show(peers: dict[str, Counter[str]], every: float) -> None:
    before = ""
    while True:
        threading.Event().wait(every)
        worst = sorted(peers.copy().items(), key=lambda one: -one[1]["retransmit"])
        lines = [
            f"{peer:40} {of['retransmit']:11} {of['sent']:11} {of['received']:15}" for peer, of in worst
        ]
        table = "\n".join([f"{'PEER':40} RETRANSMITS RESETS-SENT RESETS-RECEIVED", *lines])
        if lines and table != before:
            print(table, flush=True)
        before = table


def main(address: str = "unix:recording/recorder.sock", seconds: str = "2") -> None:
    peers: dict[str, Counter[str]] = defaultdict(Counter)
    threading.Thread(target=show, args=(peers, float(seconds)), daemon=True).start()
    for event in events(address, ops=("retransmit", "reset"), fields=FIELDS):
        of = event.network
        # A reset that was received has its sender as its source.
        is_received = event.op == "reset" and of.direction == "received"
        what = event.op if event.op == "retransmit" else of.direction
        peers[of.saddr if is_received else of.daddr][what] += 1


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
