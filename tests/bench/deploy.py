#!/usr/bin/python3
"""N certificates (default 1000) are renewed at once: how fast HAProxy takes them over its
runtime API, and how often nginx is reloaded meanwhile. The CA is the load CA, the servers
are real. Prints figures.

    ./dev bench deploy [N]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from programs.haproxy import HAProxy
from programs.load_ca import LoadCa
from programs.nginx import Nginx
from programs.place import Place, adopt_orphans
from programs.ports import free_port
from programs.renewd import Renewd
from programs.tls import served
from rest import cpu_seconds

TOLD = "telling the server of changed certificates: "


def issued_after(renewd: Renewd, names: list[str], before: dict[str, str]) -> None:
    while any(renewd.leaf(name).serial == before.get(name) for name in names):
        time.sleep(0.2)  # between two looks at all files


def renew_all(renewd: Renewd, names: list[str]) -> float:
    """All are forced at once; how long until each has another one."""
    before = {name: renewd.leaf(name).serial for name in names}
    begin = time.monotonic()
    for name in names:
        renewd.api("POST", f"/v1/certificates/{name}/renew", {"force": True})
    issued_after(renewd, names, before)
    return time.monotonic() - begin


class Log:
    """What renewd says from now on. It costs renewd nothing to be read."""

    def __init__(self, renewd: Renewd) -> None:
        self.renewd = renewd
        self.begin = len(renewd.output())

    def text(self) -> str:
        return self.renewd.output()[self.begin:]

    def wait(self, text: str, count: int = 1) -> float:
        while self.text().count(text) < count:
            time.sleep(0.02)  # between two looks
        return time.monotonic()

    def wait_deployed(self, target: str, count: int) -> float:
        return self.wait(f"target={target}]\n", count + 1)  # and that it is told


def bench_haproxy(place: Place, renewd: Renewd, names: list[str]) -> None:
    """It has the certificates of before when all are given to it in one run."""
    port = free_port()
    haproxy = HAProxy(place, f"""
frontend secure
    mode http
    bind 127.0.0.1:{port} ssl crt {renewd.bundle_dir.parent}/haproxy/
    http-request return status 200
""")
    haproxy.start()
    processes = haproxy.processes()
    renew_all(renewd, names)
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket)
    renewd.set("defaults", deploy="edge")
    log = Log(renewd)
    renewd.reload()
    begin = log.wait(TOLD)
    cpu, its = cpu_seconds(renewd.pid), cpu_seconds(processes.workers[0])
    seconds = log.wait_deployed("edge", len(names)) - begin
    cpu, its = cpu_seconds(renewd.pid) - cpu, cpu_seconds(processes.workers[0]) - its
    assert haproxy.processes() == processes, "no reload"
    for name in names[::100]:
        assert served(port, name).fingerprint == renewd.leaf(name).fingerprint
    print(f"HAProxy: {len(names)} certificates in {seconds:.1f} s, "
          f"{len(names) / seconds:.0f}/s; CPU each: renewd {cpu * 1000 / len(names):.2f} ms, "
          f"HAProxy {its * 1000 / len(names):.2f} ms")


def bench_nginx(place: Place, renewd: Renewd, names: list[str]) -> None:
    port = free_port()
    nginx = Nginx(place, "".join(f"""
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name {name};
        ssl_certificate {renewd.bundle(name)};
        ssl_certificate_key {renewd.bundle(name, "privkey.pem")};
    }}""" for name in names), [port])
    nginx.start()
    renewd.set("deploy web", type="nginx", pidfile=nginx.pid_file)
    renewd.set("defaults", deploy="web")
    log = Log(renewd)
    renewd.reload()
    log.wait_deployed("web", len(names))
    before = nginx.output().count("(SIGHUP) received")
    log = Log(renewd)
    begin = time.monotonic()
    seconds = renew_all(renewd, names)
    while any(served(port, name).fingerprint != renewd.leaf(name).fingerprint
              for name in names[::50]):
        time.sleep(0.2)  # it is told later, and old workers may still accept
    whole = time.monotonic() - begin
    reloads = nginx.output().count("(SIGHUP) received") - before
    print(f"nginx: {len(names)} renewals in {seconds:.1f} s, all served after {whole:.1f} s, "
          f"{reloads} reloads in {log.text().count(TOLD)} windows")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    adopt_orphans()
    with Place() as place:
        ca = LoadCa(place, free_port())
        ca.start()
        renewd = Renewd(place, http_port=ca.http_port)
        renewd.add_ca("load", ca)
        renewd.set("renewd", log_level="info")
        renewd.set("defaults", ca="load")
        names = [f"c{number}.example.test" for number in range(count)]
        for name in names:
            renewd.add_certificate(name)
        renewd.start()
        while renewd.get("/v1/status")["counts"]["state"].get("valid", 0) < count:
            time.sleep(0.2)  # between two looks: each counts all certificates
        bench_haproxy(place, renewd, names)
        bench_nginx(place, renewd, names)


if __name__ == "__main__":
    main()
