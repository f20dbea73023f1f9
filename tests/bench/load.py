#!/usr/bin/python3
"""How fast renewd issues N certificates (default 1000) where the CA isn't what limits it:
the load CA on the same machine, all of renewd's durability on. Prints figures.

    ./dev bench load [N] [ORDERS-IN-FLIGHT]
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from programs.load_ca import LoadCa
from programs.place import Place, adopt_orphans
from programs.ports import free_port
from programs.renewd import Renewd
from rest import cpu_seconds, memory


def peak_memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)[1]) / 1024


def issued(renewd: Renewd) -> int:
    """By its log: an answer about all certificates would be measured with the rest."""
    return renewd.output().count(": certificate issued ")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    orders = int(sys.argv[2]) if len(sys.argv) > 2 else 16
    adopt_orphans()
    with Place() as place:
        ca = LoadCa(place, free_port())
        ca.start()
        renewd = Renewd(place, http_port=ca.http_port)
        renewd.add_ca("load", ca)
        renewd.set("renewd", log_level="notice", max_orders=orders)
        renewd.set("defaults", ca="load", placeholder="no")
        for number in range(count):
            renewd.add_certificate(f"c{number}.example.test")
        renewd.start()
        begin, ca_before = time.monotonic(), cpu_seconds(ca.pid)
        while issued(renewd) < count:
            time.sleep(0.1)  # between two looks, which read all of the log
        seconds = time.monotonic() - begin
        cpu, ca_cpu = cpu_seconds(renewd.pid), cpu_seconds(ca.pid) - ca_before
        print(f"{count} certificates, {orders} orders in flight: {seconds:.1f} s, "
              f"{count / seconds:.0f}/s")
        print(f"CPU a certificate: renewd {cpu * 1000 / count:.2f} ms, "
              f"CA {ca_cpu * 1000 / count:.2f} ms")
        print(f"memory: peak {peak_memory(renewd.pid):.1f} MB, "
              f"now {memory(renewd.pid)['Rss']:.1f} MB")
        renewd.stop()
        ca.stop()
        figures = ca.figures()
        print(f"requests a certificate: {figures['requests'] / count:.2f}, "
              f"refused in all: {figures['refused']}")


if __name__ == "__main__":
    main()
