"""kill -9 at any moment: every certificate still arrives, nothing is half-written, and no
order that had reached the CA gets a second key."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from programs.pebble import Pebble
from programs.renewd import Renewd
from test_issue import many

SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


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
        if public_of_key(key) != public_of_certificate(full):
            self.problems.append(f"{folder.name}: key and certificate differ")
        if both != full + key:
            self.problems.append(f"{folder.name}: haproxy.pem is another pair")
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


def in_flight(renewd: Renewd) -> dict[str, bytes]:
    """Orders that the CA knows: their keys."""
    path = renewd.state_dir / "renewd.db"
    if not path.exists():
        return {}
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return dict(db.execute("SELECT url, key FROM orders WHERE url IS NOT NULL"))


@pytest.mark.timeout(300)
@pytest.mark.pebble(nonce_reject=5)
def test_killed_at_random(renewd: Renewd, pebble: Pebble) -> None:
    names = many(renewd, 30)
    renewd.bundle_dir.mkdir(parents=True)
    reader = Reader(renewd.bundle_dir)
    reader.start()
    chance = random.Random(1)
    keys: dict[str, bytes] = {}
    kills = 0
    while kills < 12:
        renewd.start()
        time.sleep(chance.uniform(0.02, 0.35))
        renewd.kill()
        kills += 1
        for url, key in in_flight(renewd).items():
            assert keys.setdefault(url, key) == key, "another key for an order at the CA"
    renewd.start()
    for name in names:
        shown = renewd.wait_state(name, timeout=100)
        assert shown["failures"] == 0
        assert public_of_key(renewd.bundle(name, "privkey.pem").read_bytes()) == \
            public_of_certificate(renewd.bundle(name).read_bytes())
    reader.end()
    front = pebble.front
    assert front
    # A new order is made for a certificate only where the one before was lost: its answer
    # was on the wire at a kill, or the CA asked for a token while nobody was there.
    made = len([r for r in front.requests("/order-plz", "POST") if r.status == 201])
    invalid = sum("renewal failed at authorize" in line or "made the order invalid" in line
                  for line in renewd.output().splitlines())
    assert made - len(names) - invalid <= 2 * kills
    with sqlite3.connect(f"file:{renewd.state_dir}/renewd.db?mode=ro", uri=True) as db:
        assert db.execute("SELECT count(*) FROM issued").fetchone()[0] == len(names)


def test_challenges_are_answered_after_a_crash(renewd: Renewd, pebble: Pebble) -> None:
    """What the CA may still ask for is published before anything else happens."""
    front = pebble.front
    assert front
    # from the challenge on the CA is silent, so that the order stays where it is
    front.set_lines("http-request deny deny_status 503 if { path_beg /chalZ }")
    renewd.add_certificate("www.example.test")
    renewd.start()
    renewd.wait_certificate("www.example.test", activity="waiting")
    with sqlite3.connect(f"file:{renewd.state_dir}/renewd.db?mode=ro", uri=True) as db:
        (challenges,) = db.execute("SELECT challenges FROM orders").fetchone()
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
    time.sleep(1.5)
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
