"""kill -9 at any moment: every certificate still arrives, nothing is half-written, and no
order that had reached the CA gets a second key.

RENEWD_KILLS says how often it is killed at random (60), during two orders for each of two
thirds as many certificates.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import random
import signal
import sqlite3
import threading
import time
import urllib.request
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from programs.challtestsrv import ChallTestSrv
from programs.haproxy import HAProxy
from programs.pebble import Options, Pebble
from programs.place import Place
from programs.ports import free_port
from programs.program import PATIENCE, wait_until
from programs.proxy import Answer, Proxy, Request
from programs.renewd import Renewd
from programs.tls import served
from test_issue import many

SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
KILLS = int(os.environ.get("RENEWD_KILLS", "60"))
# An answer that came so long before a kill may not have been committed yet.
COMMIT_SECONDS = 0.3 * PATIENCE


def public_of_key(pem: bytes) -> bytes:
    return load_pem_private_key(pem, None).public_key().public_bytes(*SPKI)


def public_of_certificate(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_key().public_bytes(*SPKI)


class Reader(threading.Thread):
    """What a web server does, all the time: opens the bundle, which must be whole."""

    def __init__(self, live: Path) -> None:
        super().__init__(daemon=True)
        self.live = live
        self.over = threading.Event()
        self.problems: list[str] = []
        self.reads = 0
        self.files = 0
        self.known: set[bytes] = set()  # pairs that were found to fit

    def look(self, folder: Path, key: bytes, full: bytes, both: bytes) -> None:
        digest = hashlib.sha256(key + b"\0" + full + b"\0" + both).digest()
        if digest in self.known:
            return
        if public_of_key(key) != public_of_certificate(full):
            self.problems.append(f"{folder.name}: key and certificate differ")
        if both != full + key:
            self.problems.append(f"{folder.name}: haproxy.pem is another pair")
        self.known.add(digest)

    def read(self, folder: Path) -> None:
        place = folder.resolve(strict=True)  # as open(2) of the directory would
        try:
            key = (place / "privkey.pem").read_bytes()
            full = (place / "fullchain.pem").read_bytes()
            both = (place / "haproxy.pem").read_bytes()
        except FileNotFoundError:
            if folder.resolve() == place:
                raise
            return  # two switches meanwhile: that generation is gone
        self.look(folder, key, full, both)
        self.files += 1

    def run(self) -> None:
        while not self.over.is_set():
            self.reads += 1
            for folder in self.live.glob("[!.]*"):
                try:
                    self.read(folder)
                except Exception as problem:
                    self.problems.append(f"{folder.name}: {problem!r}")

    def end(self) -> None:
        self.over.set()
        self.join()
        assert self.reads > 1 and self.files > 1
        assert not self.problems, self.problems[:5]


def cpu_seconds(renewd: Renewd) -> float:
    fields = Path(f"/proc/{renewd.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rows(renewd: Renewd, sql: str) -> list[tuple]:
    """Of its inventory, as it is on disk; none where it has none yet."""
    path = renewd.state_dir / "renewd.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        try:
            return db.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []  # killed before its tables were there


@dataclass
class Order:
    """One that the CA has made."""

    name: str
    url: str
    at: float


@dataclass
class Witness:
    """What the CA saw, and what the inventory held at each kill."""

    orders: list[Order] = field(default_factory=list)
    kills: list[tuple[float, set[str]]] = field(default_factory=list)  # orders in hand then
    keys: dict[str, bytes] = field(default_factory=dict)  # by order
    asked: dict[str, int] = field(default_factory=dict)  # renewals, answered or not

    def heard(self, request: Request, answer: Answer) -> Answer:
        if answer.status == 201:
            names = [i["value"] for i in request.payload()["identifiers"]]
            url = next(v for n, v in answer.headers.items() if n.lower() == "location")
            self.orders.append(Order(min(n for n in names if n.startswith("cert")), url,
                                     time.monotonic()))
        return answer

    def killed(self, renewd: Renewd) -> None:
        at = time.monotonic()
        found = dict(rows(renewd, "SELECT url, key FROM orders WHERE url IS NOT NULL"))
        self.kills.append((at, set(found)))
        for url, key in found.items():
            assert self.keys.setdefault(url, key) == key, "another key for an order at the CA"

    def on_the_wire(self, order: Order) -> bool:
        """Was it lost by a kill, before its answer could be on disk?"""
        known = any(order.url in urls for _, urls in self.kills)
        return not known and any(at - COMMIT_SECONDS <= order.at <= at + 5 * PATIENCE
                                 for at, _ in self.kills)

    def unexplained(self, name: str) -> tuple[int, int]:
        """Orders of a certificate beyond those that were wanted: all, and without a kill
        that explains them."""
        mine = [order for order in self.orders if order.name == name]
        extra = len(mine) - 1 - self.asked.get(name, 0)
        lost = sum(map(self.on_the_wire, mine))
        return max(extra, 0), max(extra - lost, 0)


def edge(renewd: Renewd, http_port: int, port: int) -> str:
    """As an administrator has it: challenges go to renewd, and wait while it restarts."""
    return f"""
    retries 30
frontend plain
    mode http
    bind 127.0.0.1:{http_port}
    bind ::1:{http_port}
    default_backend renewd
backend renewd
    mode http
    timeout connect 200ms
    http-reuse never
    retry-on conn-failure empty-response response-timeout
    server renewd 127.0.0.1:{renewd.http_port}
frontend secure
    mode http
    bind 127.0.0.1:{port} ssl crt {renewd.bundle_dir.parent}/haproxy/
    http-request return status 200
"""


def ask_renewal(renewd: Renewd, witness: Witness, names: list[str]) -> None:
    """Of one that has its certificate, once; where it can't be asked, another time."""
    for name in names:
        if name in witness.asked:
            continue
        try:
            if renewd.certificate(name)["state"] != "valid":
                continue
            renewd.api("POST", f"/v1/certificates/{name}/renew", {"force": True})
            witness.asked[name] = witness.asked.get(name, 0) + 1
        except (OSError, http.client.HTTPException):
            pass
        return


def live_and_die(renewd: Renewd, witness: Witness, names: list[str],
                 chance: random.Random) -> None:
    renewd.launch()
    end = time.monotonic() + chance.uniform(0.05, 0.6) * PATIENCE
    while time.monotonic() < end - 0.05:
        if renewd.ready():
            ask_renewal(renewd, witness, names)
            break
        time.sleep(0.02)  # between two looks
    time.sleep(max(0, end - time.monotonic()))  # it lives until then: it is random
    renewd.kill()
    witness.killed(renewd)


def public_keys(renewd: Renewd) -> set[bytes]:
    return {public_of_certificate(chain.encode())
            for (chain,) in rows(renewd, "SELECT chain FROM issued")}


def requested_keys(proxy: Proxy) -> set[bytes]:
    """Of all requests for certificates that the CA has taken."""
    found = set()
    for request, answer in proxy.seen("/finalize", "POST"):
        if answer.status == 200:
            text = request.payload()["csr"]
            der = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            found.add(x509.load_der_x509_csr(der).public_key().public_bytes(*SPKI))
    return found


@pytest.mark.timeout((120 + 5 * KILLS) * PATIENCE)
def test_killed_at_random(place: Place, dns: ChallTestSrv) -> None:
    """Issued, renewed, deployed to HAProxy's memory: all is served at the end, no key was
    lost, and no order made twice but where its answer was on the wire at a kill."""
    pebble = Pebble(place, dns.address, free_port(ipv6=True), options=Options(nonce_reject=5))
    pebble.start()
    proxy = Proxy(place, pebble)
    proxy.start()
    renewd = Renewd(place, http_port=free_port(ipv6=True))
    renewd.add_ca("pebble", proxy)
    renewd.set("defaults", ca="pebble", deploy="edge")
    names = many(renewd, KILLS * 2 // 3)
    port = free_port()
    haproxy = HAProxy(place, edge(renewd, pebble.http_port, port))
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket)
    witness = Witness()
    proxy.change("/order-plz", witness.heard)
    renewd.start()  # placeholders, which HAProxy starts with
    renewd.kill()
    witness.killed(renewd)
    haproxy.start()
    reader = Reader(renewd.bundle_dir)
    reader.start()
    chance = random.Random(1)
    begin = time.monotonic()
    for _ in range(KILLS):
        live_and_die(renewd, witness, names, chance)
    took = time.monotonic() - begin
    renewd.start()
    for name in names:
        renewd.wait_state(name, timeout=100)
        if name not in witness.asked:
            ask_renewal(renewd, witness, [name])
    prints = {}
    for name in names:
        shown = renewd.wait_state(name, timeout=100)
        assert shown["failures"] == 0, shown
        prints[name] = shown["certificates"][0]["fingerprint_sha256"]
        assert renewd.leaf(name).fingerprint == prints[name]
        wait_until(lambda at=name: served(port, at).fingerprint == prints[at], f"{name} is served")
    reader.end()
    assert requested_keys(proxy) == public_keys(renewd), "a key was lost"
    extra = [witness.unexplained(name) for name in names]
    print(f"{KILLS} kills in {took:.0f} s, {len(names)} certificates, "
          f"{len(witness.orders)} orders, {sum(witness.asked.values())} renewals asked for, "
          f"{sum(e for e, _ in extra)} extra orders, {sum(u for _, u in extra)} of them not on "
          f"the wire at a kill; {reader.files} bundles read")
    assert not sum(u for _, u in extra)


def test_challenges_are_answered_after_a_crash(renewd: Renewd, pebble: Pebble) -> None:
    """What the CA may still ask for is published before anything else happens."""
    front = pebble.front
    assert front
    # from the challenge on the CA is silent, so that the order stays where it is
    front.set_lines("http-request deny deny_status 503 if { path_beg /chalZ }")
    renewd.add_certificate("www.example.test")
    renewd.start()
    renewd.wait_certificate("www.example.test", activity="waiting")
    ((challenges,),) = rows(renewd, "SELECT challenges FROM orders")
    token, body = challenges.split()
    renewd.kill()
    renewd.start()
    url = f"http://127.0.0.1:{renewd.http_port}/.well-known/acme-challenge/{token}"
    with urllib.request.urlopen(url, timeout=10) as reply:
        assert reply.read().decode() == body
    front.set_lines("")
    renewd.ctl("renew", "--wait", "www.example.test")
    assert front.count("/order-plz", "POST") == 1, "the order of before is gone on with"


def test_backoff_survives_a_restart(renewd: Renewd, pebble: Pebble) -> None:
    front = pebble.front
    assert front
    front.set_lines("http-request deny deny_status 500 if { path_beg /order-plz }")
    renewd.add_certificate("www.example.test")
    renewd.start()
    before = renewd.wait_certificate("www.example.test", failures=1, activity="waiting")
    asked = front.count()
    renewd.kill()
    renewd.start()
    after = renewd.certificate("www.example.test")
    assert after["next_attempt"] == before["next_attempt"]
    assert after["failures"] == 1
    assert after["last_error"] == before["last_error"]
    time.sleep(1.5)  # in which it would ask, had it forgotten when it may
    assert front.count() == asked, "the CA was asked before the time"


def test_only_one_at_a_time(renewd: Renewd) -> None:
    renewd.start()
    second = renewd.run("-c", renewd.config_path)
    assert second.returncode == 1
    lines = second.stderr.strip().splitlines()
    assert len(lines) == 1
    assert f"another renewd (pid {renewd.pid}) is using {renewd.state_dir}" in lines[0]
    assert renewd.ready()


def test_an_inventory_that_cannot_be_written(renewd: Renewd, pebble: Pebble) -> None:
    """Somebody holds its lock: no CA is asked, nothing spins, and all goes on after."""
    renewd.add_certificate("www.example.test")
    renewd.start()
    renewd.wait_state("www.example.test")
    with sqlite3.connect(renewd.state_dir / "renewd.db") as db:
        db.execute("BEGIN IMMEDIATE")  # as a writer that never ends
        reply = renewd.api("POST", "/v1/certificates/www.example.test/renew", {"force": True})
        assert reply.status >= 500
        renewd.signal(signal.SIGHUP)
        front = pebble.front
        assert front
        asked = front.count()
        begin = cpu_seconds(renewd)
        time.sleep(3)  # the time in which nothing may happen
        assert front.count() == asked
        assert cpu_seconds(renewd) - begin < 0.5
        db.rollback()
    renewd.ctl("renew", "--force", "--wait", "www.example.test")
