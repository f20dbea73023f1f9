#!/usr/bin/python3
"""What renewd costs at rest: memory and CPU with N certificates (default 100), just
issued and after a restart. Prints figures, asserts nothing.

    ./dev bench rest [N]
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from programs.challtestsrv import ChallTestSrv
from programs.pebble import Options, Pebble
from programs.place import Place, adopt_orphans
from programs.ports import free_port
from programs.renewd import Renewd


def memory(pid: int) -> dict[str, float]:
    """MB by kind, of one process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {kind: int(re.search(rf"^{kind}:\s+(\d+) kB", text, re.M)[1]) / 1024
            for kind in ("Rss", "Pss", "Private_Dirty")}


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(what: str, pid: int) -> None:
    m = memory(pid)
    print(f"{what:28} RSS {m['Rss']:5.1f} MB   PSS {m['Pss']:5.1f} MB   "
          f"private dirty {m['Private_Dirty']:4.1f} MB   CPU {cpu_seconds(pid):.2f} s")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    adopt_orphans()
    with Place() as place:
        dns = ChallTestSrv(place)
        dns.start()
        pebble = Pebble(place, dns.address, free_port(), options=Options())
        pebble.start()
        renewd = Renewd(place, pebble)
        renewd.set("renewd", log_level="notice")
        for number in range(count):
            renewd.add_certificate(f"c{number}.example.test")
        renewd.start()
        assert renewd.pid
        begin = time.monotonic()
        while renewd.get("/v1/status")["counts"]["state"]["valid"] < count:
            time.sleep(0.2)  # between two looks: each counts all certificates
        print(f"{count} certificates issued by Pebble in {time.monotonic() - begin:.1f} s")
        time.sleep(2)  # at rest, not at the end of work
        report("after issuing", renewd.pid)
        begin = time.monotonic()
        renewd.restart()
        print(f"restart to ready {time.monotonic() - begin:.2f} s")
        time.sleep(1)  # the same
        report("at rest, after a restart", renewd.pid)
        before = cpu_seconds(renewd.pid)
        time.sleep(10)  # the time that is measured
        print(f"CPU in 10 s at rest {cpu_seconds(renewd.pid) - before:.2f} s")


if __name__ == "__main__":
    main()
