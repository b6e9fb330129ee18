"""Tells of programs that are executed from where anybody may write, and of listeners on ports that nobody expects:
python examples/security_watcher.py [ADDRESS] [PORT,PORT…]"""

import re
import sys

from events import events

# memfd and other files without a name are executed as /dev/fd/N or /proc/self/fd/N.
WRITABLE = ("/tmp/", "/var/tmp/", "/dev/shm/", "/dev/fd/", "/proc/self/fd/")


def main(address: str = "unix:recording/recorder.sock", ports: str = "22,80,443") -> None:
    if not re.fullmatch(r"\d+(,\d+)*", ports):
        sys.exit(f"{ports} are no ports: write 22,80,443")
    executed = " || ".join(f'process.filename.startsWith("{start}")' for start in WRITABLE)
    # The recorder decides: only what is told is sent.
    wanted = (
        f'(op == "exec" && process.result == 0 && ({executed}))'
        f' || (op == "listen" && !(network.sport in [{ports}]))'
    )
    for event in events(address, filter=wanted):
        who = f"{event.comm}[{event.pid}] uid {event.uid}"
        if event.op == "exec":
            print(f"EXEC {event.process.filename} by {who}", flush=True)
        else:
            print(f"LISTEN {event.network.saddr} port {event.network.sport} by {who}", flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
