#!/usr/bin/python3
"""What a renewal costs among very many certificates at rest, beside one among ten: the
same ten are renewed by force three times at the load CA. Prints figures. The others are
rows that are put into its inventory, as in `rest`.

    ./dev bench among [N...]      default: 10 100000
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from authorities import AtLoadCa
from many import files_looked_at, issue_all
from places import in_memory
from programs.place import Place, adopt_orphans
from programs.supervised import Supervised
from table import Table, figure

SIZES = (10, 100000)
RENEWED = 10
ROUNDS = 3  # of the five that a week allows for one set of names


def cpu_ms(pid: int) -> float:
    """All that it has used, to the nanosecond; it starts no other program here."""
    return time.clock_gettime((~pid << 3) | 2) * 1000


def name_of(number: int) -> str:
    return f"c{number:06}.example.test"


def write(folder: Path, count: int, enabled: int) -> None:
    """Their sections; of those that aren't enabled nothing is ordered meanwhile."""
    (folder / "all.conf").write_text("".join(
        f"[certificate {name_of(number)}]\nenabled = {'yes' if number < enabled else 'no'}\n"
        for number in range(count)))


def at_rest(place: Place, ca: AtLoadCa, count: int) -> Supervised:
    renewd = Supervised(place, http_port=ca.http_port)
    renewd.start_timeout = 600
    renewd.set("renewd", log_level="notice")
    renewd.add_ca("ca", ca)
    renewd.set("defaults", ca="ca", placeholder="no")
    folder = renewd.folder / "conf.d"
    folder.mkdir()
    write(folder, count, enabled=0)
    renewd.start()
    renewd.stop()
    issue_all(renewd)
    renewd.start()
    write(folder, count, enabled=RENEWED)
    for _ in range(2):  # the first time it writes the files of all
        renewd.stop()
        renewd.start()
        while not files_looked_at(renewd):
            time.sleep(0.05)  # between two looks
    time.sleep(3)  # at rest, not at the end of its start
    return renewd


def renew(renewd: Supervised, ca: AtLoadCa) -> float:
    """CPU milliseconds of each of ten, by force and side by side."""
    before, (fetched, _) = cpu_ms(renewd.pid), ca.look()
    for number in range(RENEWED):
        reply = renewd.api("POST", f"/v1/certificates/{name_of(number)}/renew",
                           {"force": True})
        assert reply.status == 202, reply.body
    while ca.look()[0] < fetched + RENEWED:
        time.sleep(0.05)  # between two looks
    time.sleep(1)  # for the files, and what follows
    return (cpu_ms(renewd.pid) - before) / RENEWED


def measure(words: list[str]) -> list[Table]:
    sizes = [int(word) for word in words if word.isdigit()] or list(SIZES)
    table = Table("A renewal among others", "certificates",
                  *(f"CPU ms each, round {number + 1}" for number in range(ROUNDS)))
    adopt_orphans()
    for count in sizes:
        print(f"a renewal among {count}", file=sys.stderr, flush=True)
        with in_memory(), Place() as place:
            ca = AtLoadCa(place)
            renewd = at_rest(place, ca, count)
            table.add(f"{count:,}", *(figure(renew(renewd, ca)) for _ in range(ROUNDS)))
    print(table.text(), flush=True)
    return [table]


if __name__ == "__main__":
    measure(sys.argv[1:])
