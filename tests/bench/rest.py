#!/usr/bin/python3
"""What renewd costs at rest with 1, 1,000, 10,000 and 100,000 certificates that are all
issued, each configured in a file of its own: from start to ready, memory, CPU over a
minute (all sizes side by side, as they do nothing), and `renewctl list`. Prints figures.
The certificates are rows that are put into its inventory; their files it writes itself.

    ./dev bench rest [N...] [seconds=60]

It works in /dev/shm where TMPDIR says nothing else: files of 100,000 certificates take
3 GB, and minutes on a disk that has to be waited for.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from programs.place import Place, adopt_orphans
from programs.program import clean_environment
from programs.renewd import program
from programs.supervised import Supervised

from clients import longest_turn
from many import files_looked_at, issue_all
from table import Table, figure
from usage import cpu_seconds, memory, run

SIZES = (1, 1000, 10000, 100000)
BYTES_EACH = 32 * 1024  # of files, on a tmpfs


@dataclass
class Figures:
    renewd: Supervised
    count: int
    ready_after: float = 0.0
    cpu_till_ready: float = 0.0
    at_rest: float = 0.0
    cpu_before: float = 0.0
    cpu: float = 0.0


def configured(place: Place, count: int) -> Supervised:
    renewd = Supervised(place)
    renewd.start_timeout = 600
    renewd.set("renewd", log_level="notice")
    renewd.set("ca nobody", directory="https://127.0.0.1:1/dir", accept_terms="yes")
    renewd.set("defaults", ca="nobody", placeholder="no")
    folder = renewd.folder / "conf.d"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:06}.conf").write_text(f"[certificate c{number:06}.example.test]\n")
    return renewd


def wait_files(renewd: Supervised) -> None:
    while not files_looked_at(renewd):
        time.sleep(0.05)  # between two looks


def rested(place: Place, count: int) -> Figures:
    """One that has all its certificates and files, started anew."""
    renewd = configured(place, count)
    renewd.start()
    renewd.stop()
    issue_all(renewd)
    renewd.start()
    wait_files(renewd)
    renewd.stop()
    renewd.start()
    seen = Figures(renewd, count, renewd.ready_at - renewd.launched_at,
                   cpu_seconds(renewd.pid))
    wait_files(renewd)
    return seen


def listing(seen: Figures) -> list[str]:
    """`renewctl list` of all: seconds, its memory, and renewd's after it."""
    done = run([program("renewctl"), "-s", seen.renewd.socket, "list"], clean_environment(),
               seen.renewd.folder, pause=0.001)
    lines = len(done.output.splitlines())
    if done.status != 0 or lines < seen.count:
        raise seen.renewd.error(f"list: status {done.status}, {lines} lines")
    return [figure(done.seconds, 2), figure(done.peak), figure(memory(seen.renewd.pid))]


def room_for(count: int) -> bool:
    return shutil.disk_usage(tempfile.gettempdir()).free > 2 * count * BYTES_EACH


def rest_all(place: Place, sizes: list[int], seconds: float, table: Table) -> None:
    all_seen = []
    for count in sizes:
        if not room_for(count):
            table.note(f"{count:,}: not measured, {tempfile.gettempdir()} is too small.")
            continue
        print(f"at rest: {count} certificates", file=sys.stderr, flush=True)
        all_seen.append(rested(place, count))
    time.sleep(3)  # at rest, not at the end of their start
    for seen in all_seen:
        seen.at_rest = memory(seen.renewd.pid)
        seen.cpu_before = cpu_seconds(seen.renewd.pid)
    time.sleep(seconds)  # the time that is measured
    for seen in all_seen:
        seen.cpu = cpu_seconds(seen.renewd.pid) - seen.cpu_before
    for seen in all_seen:
        turn = longest_turn(seen.renewd)
        table.add(f"{seen.count:,}", figure(seen.ready_after, 2),
                  figure(seen.cpu_till_ready, 2), figure(seen.at_rest),
                  figure(seen.cpu, 2), *listing(seen),
                  figure(turn and turn * 1000))


def measure(words: list[str]) -> list[Table]:
    """The table, printed as well."""
    sizes = [int(word) for word in words if word.isdigit()]
    seconds = [float(word.partition("=")[2]) for word in words if "seconds=" in word] or [60.0]
    table = Table("renewd at rest", "certificates", "ready after s", "CPU till then s",
                  "MB at rest", f"CPU s in {seconds[0]:.0f} s", "list s", "renewctl's MB",
                  "renewd's MB then", "longest turn of the loop ms")
    adopt_orphans()
    if "TMPDIR" not in os.environ and os.access("/dev/shm", os.W_OK):
        tempfile.tempdir = "/dev/shm"
    try:
        with Place() as place:
            rest_all(place, sizes or list(SIZES), seconds[0], table)
    finally:
        tempfile.tempdir = None
    print(table.text(), flush=True)
    return [table]


if __name__ == "__main__":
    measure(sys.argv[1:])
