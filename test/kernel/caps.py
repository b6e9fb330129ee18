"""Calls getppid RATE times a second for SECONDS in a cgroup: caps.py CGROUP RATE SECONDS."""

import json
import os
import sys
import time

STEP = 0.005

group, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
with open(f"{group}/cgroup.procs", "w", encoding="ascii") as procs:
    procs.write(str(os.getpid()))
# What ran under this id before (a shell that looks for Python) is none of the calls.
with open("/proc/self/comm", "w", encoding="ascii") as comm:
    comm.write("caps")
began = time.monotonic()
count = 0
while (passed := time.monotonic() - began) < seconds:
    for _ in range(int(passed * rate) - count):
        os.getppid()
        count += 1
    time.sleep(STEP)
print(json.dumps({"pid": os.getpid(), "count": count}))
