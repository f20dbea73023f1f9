"""A CA, and a way to it, where things go wrong: what renewd says, that it goes on as soon
as the fault is over, and that it never hammers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from needs import needs_root, or_skip
from programs.challtestsrv import ChallTestSrv
from programs.faults import FAULTS
from programs.faulty import FaultyCA
from programs.network import private_network
from programs.pebble import NEWER, Options, Pebble
from programs.place import Place
from programs.program import wait_until
from programs.renewd import Renewd

FIRST = "first.example.test"
NAME = "www.example.test"
PATH = f"/v1/certificates/{NAME}"
# Retries come after a minute, give or take a fifth.
MINUTE_AT_MOST = 75
# What nobody would call hammering, of one attempt.
FEW = 25

pytestmark = pytest.mark.pebble(version=NEWER)

NO_ANSWER = "no answer from the CA: "
CLOSED = NO_ANSWER + "the connection was closed "
NO_TLS = NO_ANSWER + "no TLS connection: "
UNREADABLE = "the CA sent an order that can't be read"
# What is said where all goes wrong so; "": the certificate is issued all the same.
OUTCOMES = {
    "badNonce": "this nonce isn't good enough",
    "no nonce": NO_ANSWER + "newNonce brings no nonce",
    "429": "too much of it",
    "429 in seconds": "too much of it",
    "429 at a date": "too much of it",
    "503": "the CA answers HTTP 503",
    "503 in seconds": "the CA answers HTTP 503",
    "503 at a date": "the CA answers HTTP 503",
    "500": "too much of it",
    "502": "the CA answers HTTP 502",
    "reset before": CLOSED + "before an answer came",
    "reset unheard": CLOSED + "before an answer came",
    "reset within": CLOSED + "in the middle of the answer",
    "reset after": "",
    "closed after": "",
    "truncated": UNREADABLE,
    "huge": NO_ANSWER + "the answer is too large",
    "large": UNREADABLE,
    "slow": "",
    "a page": UNREADABLE,
    "wrong type": "",
    "processing": "",
    "twice": "",
    "twice apart": "",
    "late": "",
    "no TLS": NO_TLS + "what answers there does not speak TLS",
    "noise": NO_TLS,
    "hang up": NO_TLS,
}


def test_each_fault_has_an_outcome() -> None:
    assert set(OUTCOMES) == set(FAULTS)


@pytest.fixture
def ca(place: Place, pebble: Pebble) -> FaultyCA:
    it = FaultyCA(place, pebble)
    it.start()
    return it


@pytest.fixture
def renewd(place: Place, ca: FaultyCA) -> Renewd:
    """renewd that has had a certificate of this CA, when all was well."""
    it = Renewd(place, http_port=ca.http_port)
    it.add_ca("pebble", ca)
    it.set("defaults", ca="pebble")
    it.add_certificate(FIRST)
    it.start()
    it.wait_state(FIRST)
    wait_until(lambda: ca.of_kind("renewalInfo"), "it is asked about")
    return it


def said(renewd: Renewd, text: str = "") -> list[str]:
    """Warnings and worse, with this in them."""
    return [line for line in renewd.output().splitlines()
            if any(f"Z {level}: " in line for level in ("warning", "error", "critical"))
            and text in line]


def failed_or_valid(renewd: Renewd, name: str = NAME) -> dict:
    def ended() -> dict | None:
        shown = renewd.certificate(name)
        return shown if shown["failures"] or shown["state"] == "valid" else None
    return wait_until(ended, "the attempt is over", 60)


def new_connections(ca: FaultyCA) -> None:
    """Those that are kept end."""
    ca.down()
    ca.up()


def renew(renewd: Renewd, name: str = NAME) -> None:
    """As soon as the CA's own word allows."""
    wait_until(lambda: renewd.api("POST", f"/v1/certificates/{name}/renew", {}).status == 202,
               "it may be asked again", 70)
    renewd.wait_state(name, timeout=60)


# ---- each of them, all the time ----

@pytest.mark.parametrize("fault", [name for name in OUTCOMES if OUTCOMES[name]])
def test_fault_that_is_in_the_way(renewd: Renewd, ca: FaultyCA, fault: str) -> None:
    before = len(ca.log)
    ca.spoil(fault)
    if FAULTS[fault].connect:
        new_connections(ca)
    renewd.ctl("add", NAME)
    began = time.time()
    shown = failed_or_valid(renewd)
    # once: of the CA, where nothing can be had of it, or else of the certificate
    lines = said(renewd)
    assert 1 <= len(lines) <= 2 and all(f": {OUTCOMES[fault]}" in line for line in lines)
    assert shown["next_attempt"] and OUTCOMES[fault] in shown["last_error"]["detail"]
    for line in said(renewd, "renewal failed"):
        assert f"certificate={NAME}" in line
        assert f"; next attempt at {shown['next_attempt']} [" in line
    assert time.time() - began < 15
    # then it waits
    asked = len(ca.log)
    time.sleep(2)  # that nothing comes is all there is to see
    assert len(ca.log) == asked <= before + FEW
    assert ca.connections.total() < FEW
    assert ca.faults()[fault] > 0
    ca.mend()
    renew(renewd)
    assert renewd.certificate(NAME)["failures"] == 0
    # one whose answer was spoiled may be gone on with
    assert len([seen for seen in ca.of_kind("newOrder") if not seen.fault]) in (1, 2)


@pytest.mark.parametrize("fault", [name for name in OUTCOMES
                                   if not OUTCOMES[name] and name != "processing"])
def test_fault_that_is_got_over(renewd: Renewd, ca: FaultyCA, fault: str) -> None:
    before = len(ca.log)
    ca.spoil(fault)
    renewd.ctl("add", NAME)
    shown = failed_or_valid(renewd)
    assert (shown["state"], said(renewd)) == ("valid", [])
    assert len(ca.log) <= before + FEW
    assert ca.faults()[fault] >= 7
    assert len(ca.of_kind("newOrder")) == 2


def test_orders_that_are_stuck(renewd: Renewd, ca: FaultyCA) -> None:
    """Asked again and again, each time later; valid as soon as the CA says so."""
    ca.spoil("processing")
    renewd.ctl("add", NAME)
    wait_until(lambda: len(ca.of_kind("order")) >= 8, "it was asked some times", 40)
    times = [seen.at for seen in ca.of_kind("order") if seen.fault]
    pauses = [after - before for before, after in zip(times, times[1:])]
    assert pauses[0] >= 0.4 and pauses[-1] > 2 * pauses[0]
    assert renewd.certificate(NAME)["activity"] == "ordering"
    ca.mend()
    shown = renewd.wait_state(NAME)
    assert (shown["failures"], said(renewd)) == (0, [])


def test_it_goes_on_by_itself(renewd: Renewd, ca: FaultyCA) -> None:
    """Within a minute or so, with nobody there to ask for it."""
    ca.spoil("502")
    renewd.ctl("add", NAME)
    failed_or_valid(renewd)
    ca.mend()
    shown = renewd.wait_state(NAME, timeout=MINUTE_AT_MOST + 15)
    assert shown["failures"] == 0


@pytest.mark.parametrize("fault", ["500", "502", "503", "reset before", "reset unheard",
                                   "reset within"])
def test_one_stumble(renewd: Renewd, ca: FaultyCA, fault: str) -> None:
    """Once is no failure, wherever it is but in newOrder."""
    kinds = ("newNonce", "authorization", "challenge", "finalize", "order", "certificate")
    for kind in kinds:
        if kind == "newNonce":
            renewd.restart()  # it has none
        ca.spoil(fault, kinds={kind}, times=1)
        renewd.ctl("renew", "--force", "--wait", FIRST)
    assert said(renewd) == []
    assert ca.faults()[fault] == len(kinds)
    # A CA on a machine that stalls may refuse one by itself.
    taken = [seen for seen in ca.of_kind("newOrder") if seen.status == 201]
    assert len(taken) == 1 + len(kinds)


def test_a_connection_that_cant_be_made(renewd: Renewd, ca: FaultyCA) -> None:
    for fault in ("hang up", "no TLS", "noise"):
        new_connections(ca)
        ca.spoil(fault, times=1)
        asked = len(ca.of_kind("renewalInfo"))
        renewd.ctl("renew", "--force", "--wait", FIRST)
        assert ca.faults()[fault] == 1
        wait_until(lambda asked=asked: len(ca.of_kind("renewalInfo")) > asked,
                   "it is asked about")
    assert said(renewd) == []


def test_a_byte_a_second(renewd: Renewd, ca: FaultyCA) -> None:
    """For ever: there is an end to patience, and others aren't kept waiting."""
    ca.spoil("slow", kinds={"newOrder"}, times=1, seconds=600)
    renewd.ctl("add", NAME)
    wait_until(lambda: len(ca.of_kind("newOrder")) == 2, "it is being answered")
    began = time.monotonic()
    renewd.ctl("add", "other.example.test", "--wait")
    assert time.monotonic() - began < 30
    shown = failed_or_valid(renewd) if renewd.certificate(NAME)["failures"] else \
        wait_until(lambda: renewd.certificate(NAME)["failures"] and renewd.certificate(NAME),
                   "it is given up", 80)
    line, = said(renewd, "renewal failed")
    assert NO_ANSWER + "it did not answer in time" in line
    assert shown["failures"] == 1
    renew(renewd)


def test_nobody_there(renewd: Renewd, ca: FaultyCA) -> None:
    """A CA that is down, as long as it may: each attempt knocks once, none at once."""
    ca.down()
    renewd.ctl("add", NAME)
    shown = failed_or_valid(renewd)
    line, = said(renewd)
    assert NO_ANSWER + f"Failed to connect to 127.0.0.1 port {ca.port}: Connection refused" in line
    for _ in range(3):
        renewd.ctl("renew", NAME)  # goes at once; more than 2 failures aren't counted
        shown = renewd.wait_certificate(NAME, failures=2, activity="waiting")
    assert said(renewd) == [line]
    assert shown["next_attempt"]
    asked = len(ca.log)
    ca.up()
    assert len(ca.log) == asked
    renew(renewd)


# ---- DNS ----

@pytest.fixture
def alone() -> Iterator[None]:
    """A network where port 53 is free."""
    with or_skip(OSError), private_network():
        yield


@needs_root
def test_dns_that_fails(alone: None, place: Place) -> None:
    """The CA's name can't be found; then it can."""
    host = "ca.example.test"
    dns = ChallTestSrv(place, dns_port=53)
    dns.start()
    pebble = Pebble(place, dns.address, 5002, options=Options())
    pebble.start()
    ca = FaultyCA(place, pebble, host)
    ca.start()
    renewd = Renewd(place, http_port=5002)
    resolver: Path = renewd.folder / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n")
    renewd.wrapper = ["unshare", "-m", "sh", "-c",
                      'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"', "sh",
                      str(resolver), *renewd.wrapper]
    renewd.add_ca("pebble", ca)
    renewd.set("defaults", ca="pebble")
    renewd.add_certificate(NAME)
    dns.set_servfail(host)
    renewd.start()
    shown = failed_or_valid(renewd)
    line, = said(renewd, "the CA cannot be used")
    assert NO_ANSWER + f"Could not resolve host: {host}; " in line
    assert shown["last_error"]["stage"] == "directory"
    for _ in range(2):
        renewd.ctl("renew", NAME)
        renewd.wait_certificate(NAME, failures=2, activity="waiting")
    assert len(said(renewd, "Could not resolve host")) == 1
    assert ca.log == []
    dns.clear_servfail(host)
    renew(renewd)
