"""Provokes one kind of event and prints, as JSON, what must be found. Uses nothing of the recorder."""

import ctypes
import errno
import json
import os
import signal
import socket
import struct
import sys
import time


def out(**facts):
    print(json.dumps(facts))


def spawn(path, argv):
    pid = os.fork()
    if pid == 0:
        try:
            os.execv(path, argv)
        except OSError:
            os._exit(77)
    _, status = os.waitpid(pid, 0)
    return pid, status


def do_exec(directory):
    odd = ["/bin/true", "", "two words", "new\nline", "tab\t", "quote\"'", "ünï", "back\\slash"]
    odd_pid, _ = spawn("/bin/true", odd)
    bytes_pid = os.fork()
    if bytes_pid == 0:
        os.execv(b"/bin/true", [b"/bin/true", b"\xff\xfe raw", b"ok"])
    os.waitpid(bytes_pid, 0)
    long = ["/bin/true"] + ["x" * 100 for _ in range(100)]
    long_pid, _ = spawn("/bin/true", long)
    os.chdir(directory)
    os.symlink("/bin/true", "here")
    relative_pid, _ = spawn("./here", ["here"])
    missing_pid, _ = spawn("/nonexistent/program", ["program"])
    out(odd=odd, odd_pid=odd_pid, bytes_pid=bytes_pid, long_pid=long_pid,
        long_length=sum(len(a) + 1 for a in long), relative_pid=relative_pid, missing_pid=missing_pid,
        cwd=os.getcwd(), me=os.getpid())


def do_exit(_):
    def child(body):
        pid = os.fork()
        if pid == 0:
            body()
            os._exit(0)
        return pid
    def burn():
        while time.process_time() < 0.1:
            pass
        os._exit(42)

    coded = child(burn)
    os.waitpid(coded, 0)
    killed = child(lambda: time.sleep(60))
    os.kill(killed, signal.SIGTERM)
    os.waitpid(killed, 0)
    ignored = child(lambda: (signal.signal(signal.SIGUSR1, signal.SIG_IGN), os.kill(os.getpid(), signal.SIGUSR1)))
    os.waitpid(ignored, 0)
    out(coded=coded, killed=killed, ignored=ignored, me=os.getpid())


def listener(family, address):
    server = socket.socket(family, socket.SOCK_STREAM)
    server.bind((address, 0))
    server.listen(16)
    return server


def closed_port(family, address):
    probe = socket.socket(family, socket.SOCK_STREAM)
    probe.bind((address, 0))
    port = probe.getsockname()[1]
    probe.close()
    return port


def do_network(_):
    facts = {"me": os.getpid()}
    for name, family, address in (("v4", socket.AF_INET, "127.0.0.1"), ("v6", socket.AF_INET6, "::1")):
        refused = closed_port(family, address)
        client = socket.socket(family, socket.SOCK_STREAM)
        client.connect_ex((address, refused))
        client.close()
        server = listener(family, address)
        port = server.getsockname()[1]
        client = socket.socket(family, socket.SOCK_STREAM)
        client.connect((address, port))
        local = client.getsockname()[1]
        peer, _ = server.accept()
        client.sendall(b"x" * 12345)
        got = 0
        while got < 12345:
            got += len(peer.recv(65536))
        peer.sendall(b"y" * 678)
        client.recv(65536)
        client.close()
        while peer.recv(65536):
            pass
        peer.close()
        later = socket.socket(family, socket.SOCK_STREAM)
        later.setblocking(False)
        error = later.connect_ex((address, port))
        assert error in (0, errno.EINPROGRESS), error
        time.sleep(0.05)
        again = later.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        late_local = later.getsockname()[1]
        peer, _ = server.accept()
        later.close()
        peer.close()
        refused_later = closed_port(family, address)
        gone = socket.socket(family, socket.SOCK_STREAM)
        gone.setblocking(False)
        gone.connect_ex((address, refused_later))
        time.sleep(0.05)
        gone.connect_ex((address, refused_later))
        gone.close()
        server.close()
        facts[name] = {"refused": refused, "port": port, "local": local, "late_local": late_local,
                       "refused_later": refused_later, "again": again}
    dual = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    dual.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    dual.bind(("::", 0))
    dual.listen(4)
    mapped = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    mapped.connect(("::ffff:127.0.0.1", dual.getsockname()[1]))
    peer, _ = dual.accept()
    facts["mapped"] = dual.getsockname()[1]
    for one in (mapped, peer, dual):
        one.close()
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagram.connect(("127.0.0.1", 9))
    facts["datagram"] = datagram.getsockname()[1]
    # AF_UNSPEC: no connection is made.
    ctypes.CDLL(None).connect(datagram.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16)
    datagram.close()
    time.sleep(0.2)
    out(**facts)


def do_timeout(_):
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    port = server.getsockname()[1]
    held = []
    # The queue takes one or two; whoever comes then gets no answer.
    for _ in range(4):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", port))
        held.append(one)
    time.sleep(0.1)
    client = socket.socket()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
    local = None
    error = client.connect_ex(("127.0.0.1", port))
    out(port=port, error=error, me=os.getpid(), local=local)


def do_open(directory):
    os.mkdir(f"{directory}/sub")
    with open(f"{directory}/sub/file", "w"):
        pass
    base = os.open(f"{directory}/sub", os.O_RDONLY)
    fd = os.open("file", os.O_RDWR, dir_fd=base)
    inode = os.fstat(fd).st_ino
    device = os.fstat(fd).st_dev
    os.close(fd)
    os.chdir(directory)
    os.close(os.open("sub/file", os.O_RDONLY))
    os.close(os.open(b"odd-\xff\\name", os.O_CREAT | os.O_WRONLY, 0o640))
    try:
        os.open("missing", os.O_RDONLY)
    except FileNotFoundError:
        pass
    os.close(base)
    out(inode=inode, device=device, fd=fd, me=os.getpid(), cwd=os.getcwd())


def do_io(directory):
    with open(f"{directory}/data", "wb", buffering=0) as file:
        fd = file.fileno()
        for size in (1, 10, 4096):
            file.write(b"z" * size)
        os.pwrite(fd, b"12345", 100)
        inode = os.fstat(fd).st_ino
    with open(f"{directory}/data", "rb", buffering=0) as file:
        file.read(7)
        os.pread(file.fileno(), 3, 50)
    read_end, write_end = os.pipe()
    os.write(write_end, b"pipe")
    os.read(read_end, 10)
    try:
        os.read(999, 10)
    except OSError:
        pass
    a, b = socket.socketpair()
    a.send(b"not a file")
    os.read(b.fileno(), 10)
    out(inode=inode, me=os.getpid(), pipe=os.fstat(read_end).st_ino)


def do_oom(_):
    group = f"/sys/fs/cgroup/memory/tapio-test-{os.getpid()}"
    v2 = False
    if not os.path.isdir("/sys/fs/cgroup/memory"):
        group, v2 = f"/sys/fs/cgroup/tapio-test-{os.getpid()}", True
    os.mkdir(group)
    try:
        with open(f"{group}/{'memory.max' if v2 else 'memory.limit_in_bytes'}", "w") as limit:
            limit.write("20971520")
        ready, go = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(ready, 1)
            block = []
            while True:
                block.append(bytearray(os.urandom(1 << 20)))
        with open(f"{group}/cgroup.procs", "w") as procs:
            procs.write(str(pid))
        os.write(go, b"g")
        _, status = os.waitpid(pid, 0)
        out(victim=pid, signal=os.WTERMSIG(status))
    finally:
        for _ in range(50):
            try:
                os.rmdir(group)
                break
            except OSError:
                time.sleep(0.05)


if __name__ == "__main__":
    globals()[f"do_{sys.argv[1]}"](sys.argv[2] if len(sys.argv) > 2 else None)
