#!/usr/bin/python3
"""Certificates that live for five or six minutes, renewed for MINUTES (default 30) on end,
as seen on the wire: Caddy's acme_server issues them, nginx and HAProxy serve them, and a
prober for each server and name connects once a second and verifies chain, name and dates.
Prints figures: failed probes, the longest pause between two good ones, the least life that
was left in what was served.
Needs root, for a network with ports of its own.

    ./dev bench soak [MINUTES] [CERTIFICATES]
"""

from __future__ import annotations

import datetime
import os
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from programs.caddy import Caddy
from programs.challtestsrv import ChallTestSrv
from programs.haproxy import HAProxy
from programs.network import private_network
from programs.nginx import Nginx
from programs.place import Place, adopt_orphans
from programs.program import wait_until
from programs.renewd import Renewd
from programs.tls import served

from usage import cpu_seconds

LIVES = ("5m", "330s", "6m")
NGINX_PORT, HAPROXY_PORT = 443, 8443


@dataclass
class Seen:
    """What one prober has found out."""

    probes: int = 0
    failures: list[str] = field(default_factory=list)
    serials: list[str] = field(default_factory=list)
    least_left: float = 1e9
    longest: float = 0.0       # seconds for connection and handshake
    longest_pause: float = 0.0  # between the ends of two good probes


class Prober(threading.Thread):
    """Connects once a second, on the second of its own that it begins with."""

    def __init__(self, server: str, port: int, name: str, root: Path) -> None:
        super().__init__(daemon=True)
        self.server, self.port, self.certificate, self.root = server, port, name, root
        self.over = threading.Event()
        self.seen = Seen()

    def run(self) -> None:
        due = last_good = time.monotonic()
        while not self.over.wait(max(0.0, due - time.monotonic())):
            begin = time.monotonic()
            due = max(due + 1, begin)
            if self.probe():
                end = time.monotonic()
                self.seen.longest = max(self.seen.longest, end - begin)
                self.seen.longest_pause = max(self.seen.longest_pause, end - last_good)
                last_good = end

    def probe(self) -> bool:
        self.seen.probes += 1
        try:
            leaf = served(self.port, self.certificate, root=self.root)
        except OSError as problem:  # ssl.SSLError is one
            now = datetime.datetime.utcnow().strftime("%H:%M:%S")
            self.seen.failures.append(f"{now} {self.server} {self.certificate}: {problem}")
            return False
        left = leaf.certificate.not_valid_after - datetime.datetime.utcnow()
        self.seen.least_left = min(self.seen.least_left, left.total_seconds())
        if not self.seen.serials or self.seen.serials[-1] != leaf.serial:
            self.seen.serials.append(leaf.serial)
        return True


def start_nginx(place: Place, renewd: Renewd, names: list[str]) -> Nginx:
    nginx = Nginx(place, "".join(f"""
    server {{
        listen 127.0.0.1:{NGINX_PORT} ssl;
        server_name {name};
        ssl_certificate {renewd.bundle(name)};
        ssl_certificate_key {renewd.bundle(name, "privkey.pem")};
    }}""" for name in names), [NGINX_PORT])
    nginx.start()
    return nginx


def start_haproxy(place: Place, renewd: Renewd) -> HAProxy:
    haproxy = HAProxy(place, f"""
frontend edge
    mode http
    bind 127.0.0.1:{HAPROXY_PORT} ssl crt {renewd.bundle_dir.parent / "haproxy"}/
    http-request return status 200
""")
    haproxy.start()
    return haproxy


def start_all(place: Place, names: list[str]) -> tuple[Renewd, Caddy]:
    """Everything runs, and both servers have a first certificate of each name."""
    ChallTestSrv(place, dns_port=53).start()
    ca = Caddy(place)
    ca.start()
    renewd = Renewd(place, ca)
    renewd.set("renewd", log_level="info")
    for number, name in enumerate(names):
        renewd.add_certificate(name, lifetime=LIVES[number % len(LIVES)])
    renewd.start()
    for name in names:
        renewd.wait_state(name)
    nginx, haproxy = start_nginx(place, renewd, names), start_haproxy(place, renewd)
    renewd.set("deploy web", type="nginx", pidfile=nginx.pid_file)
    renewd.set("deploy edge", type="haproxy", master_socket=haproxy.master_socket)
    renewd.set("defaults", deploy=["web", "edge"])
    renewd.reload()
    for name in names:
        wait_until(lambda name=name: len(renewd.certificate(name)["deployments"]) == 2,
                   f"{name} is deployed")
    return renewd, ca



def summary(probers: list[Prober]) -> str:
    seen = [p.seen for p in probers]
    changes = sum(max(0, len(s.serials) - 1) for s in seen)
    return (f"{sum(s.probes for s in seen):6} probes, "
            f"{sum(len(s.failures) for s in seen)} failed, {changes} changes seen, "
            f"least life left {min(s.least_left for s in seen):.0f} s, "
            f"longest handshake {max(s.longest for s in seen) * 1e3:.0f} ms, "
            f"longest pause {max(s.longest_pause for s in seen):.1f} s")


def report(renewd: Renewd, ca: Caddy, probers: list[Prober]) -> None:
    for prober in probers:
        print(f"{prober.server:8} {prober.certificate:20} {len(prober.seen.serials):4} "
              f"certificates, least life left {prober.seen.least_left:.0f} s, "
              f"{len(prober.seen.failures)} failed")
    for failure in [f for p in probers for f in p.seen.failures][:20]:
        print(f"  {failure}")
    orders = Counter(r.status for r in ca.requests("/acme/local/new-order"))
    levels = Counter(line.split()[1] for line in renewd.output().splitlines())
    print(f"orders by status: {dict(orders)}; "
          f"accounts registered: {ca.count('/acme/local/new-account')}; "
          f"log lines: {dict(levels)}")
    print(f"renewd: CPU {cpu_seconds(renewd.pid):.2f} s; "
          f"{dict(renewd.get('/v1/status')['counts']['health'])}")
    print(summary(probers))


def main() -> None:
    words = [int(word) for word in sys.argv[1:]]
    minutes = words[0] if words else 30
    names = [f"s{number}.example.test" for number in range(words[1] if len(words) > 1 else 6)]
    adopt_orphans()
    with private_network(), Place() as place:
        renewd, ca = start_all(place, names)
        root = ca.root_file()
        probers = [Prober(server, port, name, root) for name in names
                   for server, port in (("nginx", NGINX_PORT), ("haproxy", HAPROXY_PORT))]
        for number, prober in enumerate(probers):
            prober.start()
            time.sleep(1 / len(probers))  # each has a moment of the second of its own
        begin = time.monotonic()
        while (minute := (time.monotonic() - begin) / 60) < minutes:
            time.sleep(60 - (time.monotonic() - begin) % 60)  # a line each minute
            print(f"{minute + 1:4.0f} min {summary(probers)}", flush=True)
        for prober in probers:
            prober.over.set()
        for prober in probers:
            prober.join()
        report(renewd, ca, probers)
        if os.environ.get("KEEP_OUTPUT"):
            Path(os.environ["KEEP_OUTPUT"]).write_text(renewd.output())


if __name__ == "__main__":
    main()
