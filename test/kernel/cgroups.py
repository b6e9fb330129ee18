"""Runs a program in each of many cgroups that live for a moment, and prints which was where."""

import json
import os
import sys
import time

ID = "%064x"


def hierarchies():
    for line in open("/proc/self/mounts"):
        _, where, kind, options = line.split()[:4]
        if kind == "cgroup2":
            yield "unified", where
        elif kind == "cgroup" and "pids" in options.split(","):
            yield "pids", where


def live(group):
    """A program in a cgroup of its own; both are gone 20 ms later."""
    os.mkdir(group)
    pid = os.fork()
    if pid == 0:
        with open(group + "/cgroup.procs", "w") as procs:
            procs.write("0")
        os.execv("/bin/true", ["/bin/true", group])
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
    time.sleep(0.005)
    os.rmdir(group)
    return pid


def main(kind, count):
    root = dict(hierarchies()).get(kind)
    if root is None:
        print(json.dumps({"pids": None}))
        return
    parent = "%s/tapio-test-%d" % (root, os.getpid())
    os.mkdir(parent)
    try:
        pids = {}
        for i in range(count):
            group = "%s/%s" % (parent, ID % (i + 1))
            pids[live(group)] = group[len(root):]
    finally:
        os.rmdir(parent)
    print(json.dumps({"pids": pids}))


main(sys.argv[1], int(sys.argv[2]))
