"""A busy process: it listens, connects, accepts, resets and closes over loopback, in a network namespace of its own,
and now and then writes down what /proc says of its TCP sockets. Begins before it is recorded: prints that it is
ready, and goes on when it is told to. Prints the moments as JSON. Uses nothing of the recorder."""

import ctypes
import fcntl
import json
import os
import random
import socket
import struct
import sys
import time

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1
STATES = {"0A": "LISTEN", "02": "SYN_SENT"}
libc = ctypes.CDLL(None, use_errno=True)
listeners = []
clients = []
accepted = []


def own_network():
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket() as one:
        fcntl.ioctl(one, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def start_listening(choose):
    address = choose.choice(["127.0.0.1", "0.0.0.0", "::1", "::"])
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    one = socket.socket(family)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind((address, 0))
    one.listen(64)
    one.setblocking(False)
    listeners.append(one)
    if choose.random() < 0.3:
        one.listen(32)
    if choose.random() < 0.3:
        twin = socket.socket(family)
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        twin.bind(one.getsockname()[:2])
        twin.listen(64)
        twin.setblocking(False)
        listeners.append(twin)


def target(choose):
    name = choose.choice(listeners).getsockname()
    v4 = {"0.0.0.0": "127.0.0.1", "::": choose.choice(["::1", "127.0.0.1"])}
    return v4.get(name[0], name[0]), name[1]


def connect(choose):
    host, port = target(choose)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    one = socket.socket(family)
    if choose.random() < 0.5:
        one.setblocking(False)
        one.connect_ex((host, port))
        one.setblocking(True)
    else:
        one.connect((host, port))
    clients.append(one)


def accept(_):
    for one in listeners:
        try:
            accepted.append(one.accept()[0])
        except OSError:
            pass


def reset(one):
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


def end_one(choose):
    side = choose.choice([clients, accepted])
    if not side:
        return
    one = side.pop(choose.randrange(len(side)))
    what = choose.random()
    if what < 0.2:
        reset(one)
    elif what < 0.4:
        try:
            one.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        side.append(one)
    else:
        one.close()


def reset_before_accept(choose):
    connect(choose)
    reset(clients.pop())
    accept(choose)


def fail(choose):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        with socket.socket() as other:
            other.connect_ex(("127.0.0.1", port))


def stop_listening(choose):
    if len(listeners) > 2:
        listeners.pop(choose.randrange(len(listeners))).close()


def wait_in_vain(_):
    """The queue is full: the last ones stay under way."""
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    one.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    for other in waiting:
        other.setblocking(False)
        other.connect_ex(one.getsockname())
    return [one, *waiting]


def address_of(text):
    host, port = text.split(":")
    words = [bytes.fromhex(host[i : i + 8])[::-1] for i in range(0, len(host), 8)]
    raw = b"".join(words)
    if raw[:12] == b"\0" * 10 + b"\xff\xff":
        raw = raw[12:]
    return socket.inet_ntop(socket.AF_INET6 if len(raw) == 16 else socket.AF_INET, raw), int(port, 16)


def sockets():
    """What /proc/net says of the TCP sockets that this process holds."""
    held = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            held.add(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            pass
    out = []
    for file in ["tcp", "tcp6"]:
        with open(f"/proc/self/net/{file}") as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                if f"socket:[{fields[9]}]" not in held:
                    continue
                (saddr, sport), (daddr, dport) = address_of(fields[1]), address_of(fields[2])
                state = STATES.get(fields[3], "CONNECTED")
                listens = state == "LISTEN"
                out.append([state, saddr, sport, None if listens else daddr, None if listens else dport])
    return sorted(out, key=repr)


def moment():
    """A time at which the sockets are known to be as /proc says: it was so before, and after."""
    while True:
        before = sockets()
        time.sleep(0.02)
        at = time.clock_gettime_ns(time.CLOCK_REALTIME)
        time.sleep(0.02)
        if before == sockets():
            return dict(at=str(at), sockets=before)


def main():
    seed, rounds = int(sys.argv[1]), int(sys.argv[2])
    choose = random.Random(seed)
    own_network()
    acts = [start_listening, stop_listening, reset_before_accept, fail]
    acts += [connect, accept, end_one] * 4
    for _ in range(3):
        start_listening(choose)
    for _ in range(30):
        choose.choice(acts)(choose)
    print("ready", flush=True)
    sys.stdin.readline()
    moments = []
    waiting = []
    for i in range(rounds):
        for _ in range(choose.randrange(20, 200)):
            choose.choice(acts)(choose)
        if i % 3 == 1:
            waiting = wait_in_vain(choose)
        moments.append(moment())
        for one in waiting:
            one.close()
        waiting = []
        print("round", flush=True)
    for one in [*clients, *accepted, *listeners]:
        one.close()
    time.sleep(0.2)
    moments.append(moment())
    print(json.dumps(dict(pid=os.getpid(), moments=moments)), flush=True)


main()
