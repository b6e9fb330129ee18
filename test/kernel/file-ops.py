"""Makes each call of the file families once, in the directory given, and prints what it did.

Each entry: what was called, the op of its row, and the fields that the row must have.
"""

import ctypes
import json
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
AT_REMOVEDIR = 0x200
NUMBERS = {
    "rename": 82, "mkdir": 83, "rmdir": 84, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90,
    "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "truncate": 76, "ftruncate": 77,
    "fsync": 74, "fdatasync": 75, "sync_file_range": 277, "close": 3, "close_range": 436,
    "mkdirat": 258, "fchownat": 260, "unlinkat": 263, "renameat": 264, "linkat": 265,
    "symlinkat": 266, "fchmodat": 268, "renameat2": 316, "fchmodat2": 452,
}
done = []


def call(name, op, *args, **fields):
    words = [a if isinstance(a, bytes) else ctypes.c_long(a) for a in args]
    ret = libc.syscall(ctypes.c_long(NUMBERS[name]), *words)
    if ret < 0:
        ret = -ctypes.get_errno()
    done.append({"call": name, "op": op, "fields": {"ret": ret, **fields}})
    return ret


os.chdir(sys.argv[1])
cwd = os.getcwd()
os.mkdir("sub")
for made in ("a", "sub/b", "odd"):
    open(made, "wb").close()
sub = os.open("sub", os.O_RDONLY)
fd = os.open("a", os.O_RDWR)
a = cwd + "/a"
b = cwd + "/sub/b"
inode, device = str(os.stat("a").st_ino), str(os.stat("a").st_dev)
PLAIN = {"fd": None, "mode": None, "offset": None, "new_path": None, "inode": None, "bytes": None}


def plain(name, op, *args, **fields):
    return call(name, op, *args, **{**PLAIN, **fields})


plain("mkdir", "mkdir", b"made", 0o750, path=cwd + "/made", mode=0o750)
plain("mkdir", "mkdir", b"made", 0o700, path=cwd + "/made", mode=0o700)
plain("mkdirat", "mkdir", sub, b"\xff\\d", 0o711, path=cwd + "/sub/\\xff\\\\d", mode=0o711)
plain("mkdir", "mkdir", 1, 0o700, path=None, mode=0o700)
plain("rmdir", "rmdir", (cwd + "/made").encode(), path=cwd + "/made")
plain("unlinkat", "rmdir", sub, b"\xff\\d", AT_REMOVEDIR, path=cwd + "/sub/\\xff\\\\d")
plain("rmdir", "rmdir", b"sub", path=cwd + "/sub")
plain("chmod", "chmod", b"a", 0o640, path=a, mode=0o640)
plain("fchmod", "chmod", fd, 0o600, path=a, mode=0o600, fd=fd)
plain("fchmod", "chmod", 999, 0o600, path=None, mode=0o600, fd=999)
plain("fchmodat", "chmod", sub, b"b", 0o4755, path=b, mode=0o4755)
plain("fchmodat2", "chmod", AT_FDCWD, b"a", 0o644, 0x100, path=a, mode=0o644)
plain("chown", "chown", b"a", 1, 2, path=a)
plain("lchown", "chown", b"missing", 1, 2, path=cwd + "/missing")
plain("fchown", "chown", fd, 0, 0, path=a, fd=fd)
plain("fchownat", "chown", sub, b"b", 1, 1, 0, path=b)
plain("truncate", "truncate", b"a", 77, path=a, offset=77)
plain("truncate", "truncate", b"a", -5, path=a, offset=-5)
plain("ftruncate", "truncate", fd, 99, path=a, offset=99, fd=fd)
OWN = {"fd": fd, "path": a, "inode": inode, "device": device}
plain("fsync", "fsync", fd, **OWN)
plain("fdatasync", "fsync", fd, **OWN)
plain("sync_file_range", "fsync", fd, 0, 10, 0, **OWN)
plain("fsync", "fsync", 998, fd=998, path=None, device=None)
plain("link", "link", b"a", b"sub/hard", path=a, new_path=cwd + "/sub/hard")
plain("linkat", "link", sub, b"b", AT_FDCWD, b"hard", 0, path=b, new_path=cwd + "/hard")
plain("symlink", "link", a.encode(), b"soft", path=a, new_path=cwd + "/soft")
plain("symlinkat", "link", b"../a", sub, b"soft", path="../a", new_path=cwd + "/sub/soft")
plain("link", "link", b"a", 1, path=a, new_path=None)
plain("rename", "rename", b"odd", b"\xfe", path=cwd + "/odd", new_path=cwd + "/\\xfe")
plain("renameat", "rename", AT_FDCWD, b"\xfe", sub, b"c", path=cwd + "/\\xfe",
      new_path=cwd + "/sub/c")
plain("renameat2", "rename", sub, b"c", sub, b"b", 1, path=cwd + "/sub/c", new_path=b)
plain("rename", "rename", b"gone", b"x", path=cwd + "/gone", new_path=cwd + "/x")
plain("unlink", "unlink", b"soft", path=cwd + "/soft")
plain("unlinkat", "unlink", sub, b"b", 0, path=b)
plain("unlink", "unlink", b"soft", path=cwd + "/soft")
# Both ends of what moves bytes.
os.pwrite(fd, b"0123456789" * 10, 0)
to = os.open("to", os.O_RDWR | os.O_CREAT)
begin, end = os.pipe()
moved = []


def moves(name, *args, ends):
    ret = libc.syscall(ctypes.c_long({"sendfile": 40, "splice": 275, "copy_file_range": 326}[name]),
                       *[a if not isinstance(a, int) else ctypes.c_long(a) for a in args])
    ret = -ctypes.get_errno() if ret < 0 else ret
    for op, number, path, offset in ends:
        moved.append([op, number, path, offset, ret, ret if ret >= 0 else None])


def at(offset):
    return ctypes.byref(ctypes.c_longlong(offset))


pipe = f"pipe:[{os.fstat(end).st_ino}]"
moves("sendfile", to, fd, at(5), 10, ends=[("read", fd, a, 5), ("write", to, cwd + "/to", None)])
moves("copy_file_range", fd, at(7), to, at(20), 9, 0,
      ends=[("read", fd, a, 7), ("write", to, cwd + "/to", 20)])
moves("splice", fd, at(3), end, None, 4, 0, ends=[("read", fd, a, 3), ("write", end, pipe, None)])
moves("splice", begin, None, to, at(1), 4, 0,
      ends=[("read", begin, pipe, None), ("write", to, cwd + "/to", 1)])
moves("sendfile", 996, fd, None, 10, ends=[("read", fd, a, None), ("write", 996, None, None)])
plain("close", "close", fd, fd=fd, path=None)
plain("close", "close", 997, fd=997, path=None)
plain("close_range", "close", sub, sub, 0, fd=sub, path=None)
print(json.dumps({"me": os.getpid(), "done": done, "moved": moved}))
