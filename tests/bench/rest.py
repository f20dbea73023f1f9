#!/usr/bin/python3
"""What renewd costs at rest with 1, 1,000, 10,000 and 100,000 certificates that are all
issued: from start to ready, memory, CPU over a minute (all sizes side by side, as they
do nothing), and `renewctl list`. Prints figures. Rows for each way to define them: by
the API (one is, and the others are rows like its), in a file of its own in conf.d each,
or all of them in renewd.conf.
What was issued are rows that are put into its inventory; their files it writes itself.

    ./dev bench rest [N...] [api] [conf.d] [one-file] [seconds=60]

It works in /dev/shm where TMPDIR says nothing else: files of 100,000 certificates take
3 GB, and minutes on a disk that has to be waited for.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from programs.place import Place, adopt_orphans
from programs.program import clean_environment
from programs.renewd import program
from programs.supervised import Supervised

from clients import longest_turn
from many import files_looked_at, issue_all
from places import in_memory
from table import Table, figure
from usage import cpu_seconds, memory, run

SIZES = (1, 1000, 10000, 100000)
BYTES_EACH = 32 * 1024  # of files, on a tmpfs
INODES_EACH = 10


@dataclass
class Figures:
    renewd: Supervised
    count: int
    ready_after: float = 0.0
    cpu_till_ready: float = 0.0
    at_rest: float = 0.0
    cpu_before: float = 0.0
    cpu: float = 0.0


def name_of(number: int) -> str:
    return f"c{number:06}.example.test"


def by_api(renewd: Supervised, count: int) -> None:
    """The first as anybody would; the others as the rows that it would make of them."""
    renewd.start()
    renewd.api("PUT", f"/v1/certificates/{name_of(0)}", {})
    renewd.stop()
    with sqlite3.connect(renewd.state_dir / "renewd.db") as db:
        db.executemany(
            "INSERT INTO certificates (name, origin, spec, created_at, next_at)"
            " SELECT ?, origin, spec, created_at, next_at FROM certificates WHERE name = ?",
            ((name_of(number), name_of(0)) for number in range(1, count)))


def in_conf_d(renewd: Supervised, count: int) -> None:
    folder = renewd.folder / "conf.d"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:06}.conf").write_text(f"[certificate {name_of(number)}]\n")


def in_one_file(renewd: Supervised, count: int) -> None:
    for number in range(count):
        renewd.add_certificate(name_of(number))


@dataclass(frozen=True)
class Way:
    """To define certificates."""

    word: str
    label: str
    define: Callable[[Supervised, int], None]


WAYS = (Way("api", "by the API", by_api),
        Way("conf.d", "in files of conf.d", in_conf_d),
        Way("one-file", "in renewd.conf", in_one_file))


def configured(place: Place, count: int, way: Way) -> Supervised:
    renewd = Supervised(place)
    renewd.start_timeout = 600
    renewd.set("renewd", log_level="notice")
    renewd.set("ca nobody", directory="https://127.0.0.1:1/dir", accept_terms="yes")
    renewd.set("defaults", ca="nobody", placeholder="no")
    way.define(renewd, count)
    return renewd


def all_bundled(renewd: Supervised) -> bool:
    with sqlite3.connect(f"file:{renewd.state_dir}/renewd.db?mode=ro", uri=True) as db:
        return db.execute("SELECT 1 FROM certificates WHERE bundled IS NULL").fetchone() is None


def wait_files(renewd: Supervised) -> None:
    """Until all were looked at, and those that weren't there are written."""
    while not files_looked_at(renewd) or not all_bundled(renewd):
        time.sleep(0.05)  # between two looks


def rested(place: Place, count: int, way: Way) -> Figures:
    """One that has all its certificates and files, started anew."""
    renewd = configured(place, count, way)
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
    place = os.statvfs(tempfile.gettempdir())
    inodes = place.f_favail if place.f_files > 0 else sys.maxsize  # 0: there is no limit
    return (place.f_bavail * place.f_frsize > 2 * count * BYTES_EACH
            and inodes > count * INODES_EACH)


def rest_all(way: Way, place: Place, sizes: list[int], seconds: float, table: Table) -> None:
    all_seen = []
    for count in sizes:
        if not room_for(count):
            table.note(f"{count:,}: not measured, {tempfile.gettempdir()} is too small.")
            continue
        print(f"at rest: {count} certificates {way.label}", file=sys.stderr, flush=True)
        all_seen.append(rested(place, count, way))
    time.sleep(3)  # at rest, not at the end of their start
    for seen in all_seen:
        seen.at_rest = memory(seen.renewd.pid)
        seen.cpu_before = cpu_seconds(seen.renewd.pid)
    time.sleep(seconds)  # the time that is measured
    for seen in all_seen:
        seen.cpu = cpu_seconds(seen.renewd.pid) - seen.cpu_before
    for seen in all_seen:
        turn = longest_turn(seen.renewd)
        table.add(f"{seen.count:,} {way.label}", figure(seen.ready_after, 2),
                  figure(seen.cpu_till_ready, 2), figure(seen.at_rest),
                  figure(seen.cpu, 2), *listing(seen),
                  figure(turn and turn * 1000))


def measure(words: list[str]) -> list[Table]:
    """The table, printed as well."""
    sizes = [int(word) for word in words if word.isdigit()]
    ways = [way for way in WAYS if way.word in words] or list(WAYS)
    seconds = [float(word.partition("=")[2]) for word in words if "seconds=" in word] or [60.0]
    table = Table("renewd at rest", "certificates", "ready after s", "CPU till then s",
                  "MB at rest", f"CPU s in {seconds[0]:.0f} s", "list s", "renewctl's MB",
                  "renewd's MB then", "longest turn of the loop ms")
    adopt_orphans()
    for way in ways:
        with in_memory(), Place() as place:
            rest_all(way, place, sizes or list(SIZES), seconds[0], table)
    print(table.text(), flush=True)
    return [table]


if __name__ == "__main__":
    measure(sys.argv[1:])
