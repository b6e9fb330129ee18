"""A busy family: it forks, executes, renames, orphans and kills, and now and then writes down what /proc says
of its members. Prints that as JSON, with the number of every program that was executed. Uses nothing of the
recorder."""

import ctypes
import json
import os
import random
import signal
import sys
import time

PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
NOBODY = 65534
libc = ctypes.CDLL(None)
executed = []
given = 0
stopped = []


def number():
    """Every program that is executed has one: its last argument."""
    global given
    given += 1
    return f"1000.{given:06d}"


def execute(n):
    os.execv("/bin/sleep", ["sleep", n])


def child(body):
    pid = os.fork()
    if pid == 0:
        try:
            body()
        finally:
            os._exit(1)
    return pid


def pause():
    while True:
        signal.pause()


def await_program(n):
    while not any(one["args"][-1:] == [n] for one in family() or []):
        time.sleep(0.002)
    executed.append(n)


def start_program():
    n = number()
    child(lambda: execute(n))
    await_program(n)


def start_copy():
    """Runs on as its parent does."""
    child(pause)


def start_renamed():
    """A name of its own, which its children have from it; one of them executes as somebody else."""
    n = number()

    def grandchild():
        os.setuid(NOBODY)
        execute(n)

    def body():
        libc.prctl(PR_SET_NAME, b"renamed", 0, 0, 0)
        child(grandchild)
        child(pause)
        pause()

    child(body)
    await_program(n)


def start_orphans():
    """Their parent ends at once."""
    n = number()

    def body():
        child(pause)
        child(lambda: execute(n))
        os._exit(0)

    child(body)
    await_program(n)


def start_twice():
    """A shell that becomes another program once it is let go on."""
    first, second = number(), number()
    script = f"kill -STOP $$; exec sleep {second}"
    pid = child(lambda: os.execv("/bin/sh", ["sh", "-c", script, first]))
    await_program(first)
    stopped.append((pid, second))


def let_go_on():
    while stopped:
        pid, second = stopped.pop(0)
        if any(one["pid"] == pid for one in family() or []):
            # It may not have come to its stop yet.
            while stat_of(pid)[1][0] != "T":
                time.sleep(0.002)
            os.kill(pid, signal.SIGCONT)
            await_program(second)
            return


def stat_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        text = file.read()
    name = text[text.index("(") + 1 : text.rindex(")")]
    fields = text[text.rindex(")") + 2 :].split()
    return name, fields


def describe(pid, name, fields):
    with open(f"/proc/{pid}/cmdline") as file:
        args = file.read().split("\0")[:-1]
    with open(f"/proc/{pid}/status") as file:
        uid = next(int(line.split()[1]) for line in file if line.startswith("Uid:"))
    return dict(pid=pid, ppid=int(fields[1]), uid=uid, comm=name, args=args, start=fields[19])


def family():
    """This process and all who descend from it, by what /proc says now."""
    stats = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stats[int(entry)] = stat_of(entry)
        except OSError:
            pass
    members = {os.getpid()}
    while True:
        more = {pid for pid, (_, fields) in stats.items() if int(fields[1]) in members} - members
        if not more:
            break
        members |= more
    out = []
    for pid in sorted(members):
        name, fields = stats[pid]
        try:
            if fields[0] != "Z":
                out.append(describe(pid, name, fields))
        except OSError:
            return None
    return out


def moment():
    """A time at which the family is known to be as /proc says: it was so before, and after."""
    while True:
        before = family()
        time.sleep(0.02)
        at = time.clock_gettime_ns(time.CLOCK_REALTIME)
        time.sleep(0.02)
        if before is not None and before == family():
            return dict(at=str(at), processes=before)
        time.sleep(0.01)


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def others():
    return [one["pid"] for one in family() or [] if one["pid"] != os.getpid()]


def main():
    seed, rounds = int(sys.argv[1]), int(sys.argv[2])
    choose = random.Random(seed)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    acts = [start_program, start_copy, start_renamed, start_orphans, start_twice, let_go_on]
    moments = []
    for _ in range(rounds):
        for _ in range(choose.randrange(2, 8)):
            choose.choice(acts)()
        alive = others()
        for pid in choose.sample(alive, min(len(alive), choose.randrange(0, 6))):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
        reap()
        moments.append(moment())
    while True:
        alive = others()
        for pid in alive:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
        reap()
        if not alive:
            break
    print(json.dumps(dict(root=os.getpid(), executed=executed, moments=moments)))


main()
