"""Moves known bytes through sockets and prints, as JSON, what must be found. Uses nothing of the recorder."""

import ctypes
import json
import os
import socket
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
FAMILIES = {"v4": (socket.AF_INET, "127.0.0.1"), "v6": (socket.AF_INET6, "::1")}


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32),
                ("iov", ctypes.POINTER(Iovec)), ("iovlen", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]


class Mmsghdr(ctypes.Structure):
    _fields_ = [("hdr", Msghdr), ("len", ctypes.c_uint)]


def messages(buffers, names):
    """An array of struct mmsghdr over buffers, with room for or the name of each one's other side."""
    array = (Mmsghdr * len(buffers))()
    for one, buffer, name in zip(array, buffers, names):
        one.hdr.iov = ctypes.pointer(Iovec(ctypes.cast(buffer, ctypes.c_void_p), len(buffer)))
        one.hdr.iovlen = 1
        if name is not None:
            one.hdr.name = ctypes.cast(name, ctypes.c_void_p)
            one.hdr.namelen = len(name)
    return array


def name_of(family, address, port):
    if family == socket.AF_INET:
        raw = struct.pack("=H", family) + struct.pack("!H", port) + socket.inet_pton(family, address)
        return ctypes.create_string_buffer(raw + bytes(8), 16)
    raw = struct.pack("=H", family) + struct.pack("!HI", port, 0) + socket.inet_pton(family, address)
    return ctypes.create_string_buffer(raw + bytes(4), 28)


def failed(call):
    try:
        call()
    except OSError as error:
        return error.errno
    return 0


def stream(family, address):
    """Each call once, so that no two move the same number of bytes."""
    listener = socket.create_server((address, 0), family=family)
    client = socket.create_connection((address, listener.getsockname()[1]))
    server = listener.accept()[0]
    client.sendall(b"a" * 11)  # sendto
    server.recv(100)  # recvfrom
    client.sendmsg([b"b" * 6, b"c" * 6])
    server.recvmsg(100)
    os.write(client.fileno(), b"d" * 13)
    os.read(server.fileno(), 100)
    os.writev(client.fileno(), [b"e" * 7, b"f" * 7])
    os.readv(server.fileno(), [bytearray(5), bytearray(100)])
    client.sendall(b"g" * 15)
    server.recv(100, socket.MSG_PEEK)  # no row
    server.setblocking(False)
    server.recv(4)
    server.recv(100)
    failed(lambda: server.recv(100))  # EAGAIN: no row
    pread = failed(lambda: os.pread(server.fileno(), 10, 0))
    local, port = client.getsockname()[1], server.getsockname()[1]
    server.setblocking(True)
    with open("/bin/sh", "rb") as file:
        os.sendfile(client.fileno(), file.fileno(), 0, 16)
    out, into = os.pipe()
    os.splice(server.fileno(), into, 100)
    os.splice(out, client.fileno(), 5)
    server.recv(100)
    client.close()
    server.recv(100)  # 0: the end
    server.send(b"h")  # answered by a reset
    broken = failed(lambda: server.send(b"i", socket.MSG_NOSIGNAL))
    return dict(local=local, port=port, pread=pread, broken=broken)


def datagrams(family, address):
    receiver = socket.socket(family, socket.SOCK_DGRAM)
    receiver.bind((address, 0))
    port = receiver.getsockname()[1]
    loose = socket.socket(family, socket.SOCK_DGRAM)  # bound to no address
    loose.sendto(b"a" * 21, (address, port))
    receiver.recvfrom(100)
    loose.sendmsg([b"b" * 22], [], 0, (address, port))
    receiver.recvmsg(100)
    out = [ctypes.create_string_buffer(b"c" * n, n) for n in (23, 24, 25)]
    sent = libc.sendmmsg(loose.fileno(), messages(out, [name_of(family, address, port)] * 3), 3, 0)
    room = [ctypes.create_string_buffer(100) for _ in out]
    names = [ctypes.create_string_buffer(28) for _ in out]
    received = libc.recvmmsg(receiver.fileno(), messages(room, names), 3, 0, None)
    tied = socket.socket(family, socket.SOCK_DGRAM)
    tied.connect((address, port))
    tied.send(b"d" * 26)
    os.read(receiver.fileno(), 100)  # names nobody
    tied.send(b"")
    receiver.recvfrom(100)
    facts = dict(port=port, loose=loose.getsockname()[1], tied=tied.getsockname()[1], sent=sent,
                 received=received)
    receiver.close()
    tied.send(b"e" * 27)  # answered by ICMP
    facts["refused"] = failed(lambda: tied.send(b"f" * 28))
    return facts


def do_stream(_):
    return {name: stream(*where) for name, where in FAMILIES.items()}


def do_datagrams(_):
    return {name: datagrams(*where) for name, where in FAMILIES.items()}


def do_others(directory):
    """What makes no rows of the network, and a v4 peer of a v6 socket, which makes one of v4."""
    left, right = socket.socketpair()
    left.send(b"a" * 1031)
    right.recv(2000)
    os.write(left.fileno(), b"b" * 1032)
    os.read(right.fileno(), 2000)
    path = os.path.join(directory, "plain")
    plain = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(plain, b"c" * 33)
    os.lseek(plain, 0, os.SEEK_SET)
    os.read(plain, 100)
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    both = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    both.sendto(b"d" * 34, ("::ffff:127.0.0.1", receiver.getsockname()[1]))
    receiver.recvfrom(100)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.sendto(struct.pack("!BBHHH", 0, 0, 0xffff, 0, 0) + b"e" * 27, ("127.0.0.1", 0))
    unconnected = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    return dict(port=receiver.getsockname()[1], path=path,
                unconnected=failed(lambda: unconnected.recv(10)))


def do_packets(_):
    """Datagrams whose payload is known, and a little of TCP and ICMP."""
    facts = {}
    port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    for name, (family, address) in FAMILIES.items():
        receiver = socket.socket(family, socket.SOCK_DGRAM)
        receiver.bind((address, port))
        sender = socket.socket(family, socket.SOCK_DGRAM)
        sender.bind((address, 0))
        short, long = b"tapio" + bytes(range(40)), bytes(i % 251 for i in range(900))
        for payload in (short, long):
            sender.sendto(payload, receiver.getsockname()[:2])
            receiver.recv(2000)
        facts[name] = dict(port=receiver.getsockname()[1], sender=sender.getsockname()[1],
                           short=short.hex(), long=long.hex())
        listener = socket.create_server((address, 0), family=family)
        client = socket.create_connection((address, listener.getsockname()[1]))
        facts[name]["stream"] = client.getsockname()[1]
        receiver.close()
        sender.sendto(b"x", (address, facts[name]["port"]))  # answered by ICMP
    return facts


print(json.dumps({"me": os.getpid(), **globals()["do_" + sys.argv[1]](sys.argv[2])}))
