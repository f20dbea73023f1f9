"""Many certificates renewed at once while clients keep coming: three HAProxy processes of
one target take them without a reload, nginx with few, and nobody is turned away; and
pairs of keys, by crt-lists and by directories."""

from __future__ import annotations

import re
import time

import pytest

from programs.haproxy import HAProxy
from programs.nginx import Nginx
from programs.pebble import Pebble
from programs.place import Place
from programs.ports import free_port
from programs.program import wait_until
from programs.renewd import Renewd
from programs.tls import CIPHERS
from programs.visitors import Door, Load
from test_served import deployment, start_haproxy

NAMES = [f"shop{number}.example.test" for number in range(100)]
RATE = 220  # connections a second in all

HAPROXY = """
frontend secure
    mode http
    bind 127.0.0.1:{port} ssl crt {folder}/
    http-request return status 200
"""

NGINX = """
server {{
    listen 127.0.0.1:{port} ssl;
    server_name {name};
    ssl_certificate     {bundle}/fullchain.pem;
    ssl_certificate_key {bundle}/privkey.pem;
    return 200;
}}
"""


def start_haproxies(place: Place, renewd: Renewd) -> dict[int, HAProxy]:
    """By their ports; each with all certificates, from the flat directory."""
    flat = renewd.bundle_dir.parent / "haproxy"
    found = {}
    for port in (free_port(), free_port(), free_port()):
        found[port] = HAProxy(place, HAPROXY.format(port=port, folder=flat))
        found[port].start()
    return found


def start_nginx(place: Place, renewd: Renewd, port: int) -> Nginx:
    nginx = Nginx(place, "".join(
        NGINX.format(port=port, name=name, bundle=renewd.bundle_dir / name)
        for name in NAMES), [port])
    nginx.start()
    return nginx


def all_deployed(renewd: Renewd, since: str) -> bool:
    """Each certificate at both targets, and seen on the wire where that is looked at."""
    listed = renewd.get("/v1/certificates")["certificates"]
    rows = [row for it in listed for row in it["deployments"]]
    return len(rows) == 2 * len(NAMES) and \
        all(row["state"] in ("deployed", "served") and row["at"] >= since for row in rows)


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def reloads(nginx: Nginx) -> int:
    return len(re.findall(r"signal 1 \(SIGHUP\) received", nginx.output()))


@pytest.mark.timeout(600)
def test_hundred_under_load(place: Place, pebble: Pebble, renewd: Renewd) -> None:
    for name in NAMES:
        renewd.add_certificate(name)
    renewd.set("renewd", log_level="info")
    renewd.start()
    for name in NAMES:
        renewd.wait_state(name, timeout=60)
    haproxies = start_haproxies(place, renewd)
    port = free_port()
    nginx = start_nginx(place, renewd, port)
    renewd.set("deploy edge", type="haproxy",
               socket=[it.admin_socket for it in haproxies.values()])
    renewd.set("deploy web", type="nginx", pidfile=nginx.pid_file)
    renewd.set("defaults", deploy=["edge", "web"])
    since = now()
    renewd.reload()
    wait_until(lambda: all_deployed(renewd, since), "all are deployed", 90)
    before = {port: it.processes() for port, it in haproxies.items()}
    reloaded = reloads(nginx)
    old = {name: renewd.leaf(name).fingerprint for name in NAMES}
    doors = [Door(server, at, name, "ecdsa", "")
             for name in NAMES
             for server, at in [*(("HAProxy", it) for it in haproxies), ("nginx", port)]]
    begun, since = time.monotonic(), now()
    with Load(doors, pebble.root_file(), RATE) as load:
        renewd.ctl("renew", "--force", "--wait", *NAMES, timeout=120)
        wait_until(lambda: all_deployed(renewd, since), "all are deployed anew", 90)
        # Each door once more, now that all is done.
        visited = load.served.total()
        wait_until(lambda: load.served.total() >= visited + 2 * len(doors), "all are visited",
                   60)
    seconds = time.monotonic() - begun
    fresh = {name: renewd.leaf(name).fingerprint for name in NAMES}
    print(f"{load.served.total()} connections in {seconds:.1f} s, "
          f"{load.served.total() / seconds:.0f}/s, {len(load.failures)} failed, "
          f"the slowest {load.slowest * 1000:.0f} ms; nginx reloaded "
          f"{reloads(nginx) - reloaded} times")
    assert not load.failures, load.failures[:10]
    assert not set(old.values()) & set(fresh.values())
    for door in doors:
        seen = {leaf for at, leaf in load.served if at == door}
        assert fresh[door.name] in seen and seen <= {old[door.name], fresh[door.name]}, door
        assert door.visit(load.contexts[door]).fingerprint == fresh[door.name]
    assert {port: it.processes() for port, it in haproxies.items()} == before
    # 5 s of quiet or 30 s at most: never one for each.
    assert 1 <= reloads(nginx) - reloaded <= seconds / 5 + 1


BOTH = """
frontend listed
    mode http
    bind 127.0.0.1:{listed} ssl crt-list {list}
    http-request return status 200
frontend folder
    mode http
    bind 127.0.0.1:{port} ssl crt {folder}/
    http-request return status 200
"""


@pytest.mark.parametrize("newer", [False, True], ids=["installed", "newest"])
def test_pairs_in_three_processes(place: Place, renewd: Renewd, pebble: Pebble,
                                  newer: bool) -> None:
    """Both kinds of keys of a few, each by a crt-list and by a directory: all of them are
    replaced in all processes, and nobody is turned away."""
    names = NAMES[:4]
    for name in names:
        renewd.add_certificate(name, keys=["ecdsa-p256", "rsa-2048"])
    renewd.start()
    for name in names:
        renewd.wait_state(name, timeout=60)
    flat = renewd.bundle_dir.parent / "haproxy"
    crt_list = place.path / "list"
    crt_list.write_text("".join(f"{flat}/{name}.pem [alpn http/1.1] {name}\n"
                                for name in names))
    doors, haproxies = [], []
    for _ in range(3):
        listed, port = free_port(), free_port()
        haproxies.append(start_haproxy(place, BOTH.format(
            listed=listed, port=port, list=crt_list, folder=flat), newer=newer))
        doors += [Door(how, at, name, kind, "") for name in names for kind in CIPHERS
                  for how, at in (("crt-list", listed), ("crt DIR", port))]
    renewd.set("deploy edge", type="haproxy", socket=[it.admin_socket for it in haproxies])
    renewd.set("defaults", deploy="edge")
    renewd.reload()
    for name in names:
        deployment(renewd, name, "edge", "deployed")
    before = [it.processes() for it in haproxies]
    root = pebble.root_file()

    def prints() -> dict[tuple[str, str], str]:
        return {(name, kind): renewd.leaf(name, f"cert.{kind}.pem").fingerprint
                for name in names for kind in CIPHERS}

    def check() -> None:
        found = {door: door.visit(door.context(root)).fingerprint for door in doors}
        assert found == {door: fresh[door.name, door.key] for door in doors}
    old = prints()
    with Load(doors, root, RATE) as load:
        renewd.ctl("renew", "--force", "--wait", *names, timeout=120)
        for name in names:
            deployment(renewd, name, "edge", "deployed")
        fresh = prints()
        visited = load.served.total()
        wait_until(lambda: load.served.total() >= visited + 2 * len(doors), "all are visited",
                   60)
    assert not load.failures, load.failures[:10]
    assert not set(old.values()) & set(fresh.values())
    check()
    for door in doors:
        seen = {leaf for at, leaf in load.served if at == door}
        assert seen == {old[door.name, door.key], fresh[door.name, door.key]}, door
    assert [it.processes() for it in haproxies] == before
    for it in haproxies:
        it.restart()
    check()
