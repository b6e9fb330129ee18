"""Runs a command on a terminal of its own: its stdin and stderr, and its stdout unless that is named.

pty.py OUT COMMAND... : what comes in on stdin is typed, what the terminal shows goes to stdout. OUT is a
file for the command's stdout, or - for the terminal. JSON lines on stderr: the command's pid; at the end its
exit code (negative: the signal), and whether the terminal's modes are what they were.
"""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import termios

out, command = sys.argv[1], sys.argv[2:]
master, slave = os.openpty()
# A window as wide as most, so that lines are cut where people see them cut.
fcntl.ioctl(slave, termios.TIOCSWINSZ, b"\x18\x00\x64\x00\x00\x00\x00\x00")
before = termios.tcgetattr(slave)


# As a shell has it: the terminal is ours, and the command is a job in its foreground, which may be stopped.
os.setsid()
fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)


def in_foreground():
    os.setpgid(0, 0)
    os.tcsetpgrp(slave, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)


child = subprocess.Popen(
    command,
    stdin=slave,
    stderr=slave,
    stdout=slave if out == "-" else open(out, "wb"),
    preexec_fn=in_foreground,
)
print(json.dumps({"pid": child.pid}), file=sys.stderr, flush=True)
typed, shown = sys.stdin.fileno(), sys.stdout.fileno()
waiting = [master, typed]
while True:
    ready, _, _ = select.select(waiting, [], [], 0.02)
    if typed in ready:
        keys = os.read(typed, 4096)
        if keys:
            os.write(master, keys)
        else:
            # The test that started it has died: the command goes too.
            waiting.remove(typed)
            child.kill()
    if master in ready:
        os.write(shown, os.read(master, 65536))
    elif child.poll() is not None:
        break
after = termios.tcgetattr(slave)
print(json.dumps({"code": child.returncode, "restored": after == before}), file=sys.stderr)
