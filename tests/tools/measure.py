"""Runs a command and writes what it took: measure.py REPORT COMMAND…

REPORT gets three figures: CPU seconds (user and system), wall seconds, peak resident KiB. The exit code is the command's.
The peak is never below that of Python itself (about 14 MiB), which the kernel counts in.
"""
import resource
import subprocess
import sys
import time

# A python3 that is a shell script has had children of its own before it became Python.
before = resource.getrusage(resource.RUSAGE_CHILDREN)
begin = time.monotonic()
status = subprocess.run(sys.argv[2:]).returncode
wall = time.monotonic() - begin
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu = usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime
with open(sys.argv[1], "w") as report:
    report.write(f"{cpu:.6f} {wall:.6f} {usage.ru_maxrss}\n")
sys.exit(status)
