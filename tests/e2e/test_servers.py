"""The same at CAs that have little in common: Pebble old, new and strict, and Caddy's
acme_server, which lacks half of the protocol. What a CA can't do is met gracefully."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from needs import needs_ipv6, or_skip
from programs.caddy import Caddy
from programs.challtestsrv import ChallTestSrv
from programs.network import private_network
from programs.pebble import NEWER, Pebble
from programs.place import Place
from programs.program import wait_until
from programs.renewd import Renewd

NAME = "www.example.test"
OTHER = "other.example.test"
AWAY = "127.0.0.3"  # where no renewd listens


@dataclass(frozen=True)
class Kind:
    """What is known of a CA: where it has what, and what it can't do."""

    new_account: str
    new_order: str
    revoke: str
    orders: str            # part of the path of an account's list of orders
    pebble: dict | None = None
    ari: bool = False
    rollover: bool = True
    deauthorize: bool = True


PEBBLE = ("/sign-me-up", "/order-plz", "/revoke-cert", "/list-orderz")
KINDS = {
    "pebble-2.4.0": Kind(*PEBBLE, pebble={"strict": False}),
    "pebble-2.4.0-strict": Kind(*PEBBLE, pebble={"strict": True}),
    "pebble-2.10": Kind(*PEBBLE, pebble={"version": NEWER, "strict": False}, ari=True),
    "pebble-2.10-strict": Kind(*PEBBLE, pebble={"version": NEWER, "strict": True}, ari=True),
    "caddy": Kind("/acme/local/new-account", "/acme/local/new-order",
                  "/acme/local/revoke-cert", "/orders", rollover=False, deauthorize=False),
}


@pytest.fixture(params=KINDS, autouse=True)
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    """The CA's; where it insists on ports 80 and 53 the test has a network of its own."""
    it = KINDS[request.param]
    with contextlib.ExitStack() as stack:
        if it.pebble is not None:
            request.node.add_marker(pytest.mark.pebble(**it.pebble))
        else:
            with or_skip(OSError):
                stack.enter_context(private_network())
        yield it


@pytest.fixture
def dns(kind: Kind, place: Place) -> ChallTestSrv:
    it = ChallTestSrv(place, dns_port=0 if kind.pebble is not None else 53)
    it.start()
    return it


@pytest.fixture
def ca(request: pytest.FixtureRequest, kind: Kind, place: Place,
       dns: ChallTestSrv) -> Pebble | Caddy:
    if kind.pebble is not None:
        return request.getfixturevalue("pebble")
    it = Caddy(place)
    it.start()
    return it


@pytest.fixture
def renewd(place: Place, ca: Pebble | Caddy) -> Renewd:
    return Renewd(place, ca)


def count(ca: Pebble | Caddy, path: str, method: str = "POST") -> int:
    """Requests to the CA whose path begins so."""
    if isinstance(ca, Caddy):
        return ca.count(path, method)
    assert ca.front
    return ca.front.count(path, method)


def orders_made(kind: Kind, ca: Pebble | Caddy) -> int:
    """Those that were refused aside: Pebble with ARI doesn't find again what it has issued
    where the serial begins with a zero byte, and the order is made anew."""
    log = ca if isinstance(ca, Caddy) else ca.front
    assert log
    return sum(r.status == 201 for r in log.requests(kind.new_order, "POST"))


def all_paths(ca: Pebble | Caddy) -> list[str]:
    if isinstance(ca, Caddy):
        return [r.path for r in ca.requests()]
    assert ca.front
    return [r.path for r in ca.front.requests()]


@pytest.fixture(autouse=True)
def orders_are_never_listed(kind: Kind, ca: Pebble | Caddy) -> Iterator[None]:
    """Caddy's account is of no use any more after one request for its list of orders."""
    yield
    assert all_paths(ca), "the log of requests is empty"
    assert not [path for path in all_paths(ca) if kind.orders in path]


def kinds_of_events(renewd: Renewd) -> list[str]:
    lines = renewd.api("GET", "/v1/events").body.decode().splitlines()
    return [json.loads(line)["kind"] for line in lines]


def account(renewd: Renewd) -> dict:
    (own,) = renewd.get("/v1/accounts")["accounts"]
    return own


def issue(renewd: Renewd, name: str = NAME, **keys: object) -> dict:
    renewd.add_certificate(name, **keys)
    renewd.start()
    return renewd.wait_state(name, timeout=60)


# ---- what they all can ----


def test_issue_and_renew(kind: Kind, renewd: Renewd, ca: Pebble | Caddy) -> None:
    """One name, several, forced renewal, a restart: one account for all of it."""
    assert issue(renewd)["health"] == "ok"
    assert renewd.leaf(NAME).names == {NAME}
    renewd.wait_certificate(NAME, renew_reason="ari" if kind.ari else "lifetime")
    renewd.add_certificate(OTHER, domains=[OTHER, "b.example.test", "c.example.test"])
    renewd.reload()
    renewd.wait_state(OTHER)
    assert renewd.leaf(OTHER).names == {OTHER, "b.example.test", "c.example.test"}
    first = renewd.leaf(NAME).serial
    renewd.ctl("renew", "--force", "--wait", NAME)
    second = renewd.leaf(NAME).serial
    assert second != first
    renewd.restart()
    renewd.ctl("renew", "--force", "--wait", NAME)
    assert renewd.leaf(NAME).serial not in (first, second)
    assert renewd.certificate(NAME)["failures"] == 0
    assert "renewal failed" not in renewd.output()
    assert count(ca, kind.new_account) == 1
    assert orders_made(kind, ca) == 4


@needs_ipv6
def test_addresses(renewd: Renewd) -> None:
    issue(renewd, "addresses", domains=["127.0.0.1", "::1", NAME])
    assert renewd.leaf("addresses").names == {"127.0.0.1", "::1", NAME}


def test_two_key_types(renewd: Renewd) -> None:
    shown = issue(renewd, keys=["ecdsa-p256", "rsa-2048"])
    assert sorted(c["key"] for c in shown["certificates"]) == ["ecdsa-p256", "rsa-2048"]
    assert renewd.leaf(NAME, "cert.ecdsa.pem").key == "ecdsa"
    assert renewd.leaf(NAME, "cert.rsa.pem").key == "rsa"


def test_a_short_life(renewd: Renewd) -> None:
    """As short as they go: renewed at half of it, and not before."""
    shown = issue(renewd, lifetime="5m")
    leaf = renewd.leaf(NAME).certificate
    life = (leaf.not_valid_after - leaf.not_valid_before).total_seconds()
    assert 290 <= life <= 370  # some begin a minute before
    assert shown["renew_at"] < shown["not_after"]
    assert renewd.ctl("renew", NAME, check=False).returncode == 0
    assert renewd.leaf(NAME).serial == shown["certificates"][0]["serial"]


def test_other_names(kind: Kind, renewd: Renewd, ca: Pebble | Caddy) -> None:
    """A reload that adds one and takes one away; the CA is told of the latter, once."""
    serial = issue(renewd, domains=[NAME, "old.example.test"])["certificates"][0]["serial"]
    renewd.set(f"certificate {NAME}", domains=[NAME, "new.example.test"])
    renewd.reload()
    wait_until(lambda: renewd.leaf(NAME).serial != serial, "it is issued anew")
    shown = renewd.wait_state(NAME)
    assert renewd.leaf(NAME).names == {NAME, "new.example.test"}
    assert shown["failures"] == 0
    if kind.deauthorize:
        renewd.wait_log("authorization deactivated: nobody here needs old.example.test")
    else:
        renewd.wait_log("the CA does not let authorizations be deactivated")
    told = len([p for p in all_paths(ca) if "/authz/" in p or "/authZ/" in p])
    renewd.restart()
    renewd.ctl("renew", "--force", "--wait", NAME)
    again = renewd.output_of_run()
    assert "authorization deactivated" not in again
    assert "be deactivated" not in again
    assert len([p for p in all_paths(ca) if "/authz/" in p or "/authZ/" in p]) > told


def test_contacts(renewd: Renewd) -> None:
    issue(renewd)
    section = renewd.sections["defaults"]["ca"]
    renewd.set(f"ca {section}", contact=["mailto:new@example.net"])
    renewd.reload()
    wait_until(lambda: account(renewd)["contacts"] == ["mailto:new@example.net"],
               "they are sent")
    renewd.restart()
    renewd.ctl("renew", "--force", "--wait", NAME)
    assert kinds_of_events(renewd).count("contacts-changed") == 1


# ---- revocation ----


def test_key_compromise(kind: Kind, renewd: Renewd, ca: Pebble | Caddy) -> None:
    """By the account; another certificate with another key at once."""
    serial = issue(renewd)["certificates"][0]["serial"]
    key = renewd.bundle(NAME, "privkey.pem").read_bytes()
    done = renewd.ctl("revoke", NAME, "--reason=keyCompromise", "--yes")
    assert done.stdout == f"{NAME}\trevoked\n"
    wait_until(lambda: renewd.leaf(NAME).serial != serial, "there is another")
    assert renewd.wait_state(NAME)["health"] == "ok"
    assert renewd.bundle(NAME, "privkey.pem").read_bytes() != key
    assert count(ca, kind.revoke) == 1
    if isinstance(ca, Pebble):
        status = ca.certificate_status(serial)
        assert (status["Status"], status["Reason"]) == ("Revoked", 1)
    else:
        assert [r.status for r in ca.requests(kind.revoke)] == [200]


def test_revoked_for_good(kind: Kind, renewd: Renewd, ca: Pebble | Caddy) -> None:
    issue(renewd)
    renewd.ctl("revoke", NAME, "--reason=cessationOfOperation", "--yes")
    shown = renewd.wait_certificate(NAME, activity="parked", state="revoked")
    assert "cessationOfOperation" in shown["last_error"]["detail"]
    orders = count(ca, kind.new_order)
    renewd.restart()
    renewd.wait_certificate(NAME, activity="parked", state="revoked")
    assert (count(ca, kind.revoke), count(ca, kind.new_order)) == (1, orders)


# ---- names that can't be validated ----


class Stranger:
    """A web server that isn't renewd, at AWAY: it answers as told, or never."""

    def __init__(self, port: int, answer: bytes | None) -> None:
        outer = self
        self.asked = threading.Event()
        self.over = threading.Event()

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                while b"\r\n\r\n" not in self.request.recv(65536):
                    pass
                outer.asked.set()
                if answer is None:
                    outer.over.wait(100)
                else:
                    self.request.sendall(answer)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self.server = Server((AWAY, port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,),
                                       daemon=True)

    def __enter__(self) -> Stranger:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def answer(status: str, body: str) -> bytes:
    return (f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


ANSWERS = {"nobody": None, "404": answer("404 Not Found", "no"),
           "another": answer("200 OK", "hello")}


@pytest.mark.parametrize("how", ANSWERS)
def test_a_name_that_fails(renewd: Renewd, ca: Pebble | Caddy, dns: ChallTestSrv,
                           how: str) -> None:
    """Said for that name, tried again later; another certificate doesn't notice."""
    bad = "bad.example.test"
    dns.set_a(bad, AWAY)
    issue(renewd, OTHER)
    renewd.add_certificate(bad, domains=[NAME, bad])

    def fails() -> None:
        renewd.reload()
        shown = renewd.wait_certificate(bad, failures=1, activity="waiting", timeout=60)
        error = shown["last_error"]
        assert error["stage"] == "authorize"
        assert error["type"].startswith("urn:ietf:params:acme:error:")
        assert error["detail"] and bad in json.dumps(error)
        assert shown["next_attempt"]
        assert shown["state"] == "new"
        renewd.ctl("renew", "--force", "--wait", OTHER)
        assert renewd.output().count("renewal failed") == 1

    if ANSWERS[how] is None:
        fails()
    else:
        with Stranger(ca.http_port, ANSWERS[how]):
            fails()
    dns.clear_a(bad)
    renewd.ctl("renew", "--wait", bad)
    assert renewd.leaf(bad).names == {NAME, bad}
    assert renewd.certificate(bad)["failures"] == 0


def test_a_crash_while_the_ca_validates(kind: Kind, renewd: Renewd, ca: Pebble | Caddy,
                                        dns: ChallTestSrv) -> None:
    """kill -9 at its worst moment: one more order at most, and no other account."""
    dns.set_a(NAME, AWAY)
    renewd.add_certificate(NAME)
    with Stranger(ca.http_port, None) as stranger:
        renewd.start()
        assert stranger.asked.wait(60)
        renewd.kill()
    dns.clear_a(NAME)
    renewd.start()
    wait_until(lambda: renewd.certificate(NAME)["state"] == "valid" or
               renewd.certificate(NAME)["failures"], "the order of before has ended", 60)
    if renewd.certificate(NAME)["failures"]:  # its validation was lost in the crash
        renewd.ctl("renew", "--wait", NAME)
    renewd.wait_state(NAME)
    assert count(ca, kind.new_account) == 1
    assert count(ca, kind.new_order) <= 2


# ---- what only some can ----


def test_another_account_key(kind: Kind, renewd: Renewd) -> None:
    issue(renewd)
    before = account(renewd)["thumbprint"]
    done = renewd.ctl("rollover", renewd.sections["defaults"]["ca"], check=False)
    if kind.rollover:
        assert done.returncode == 0
        assert account(renewd)["thumbprint"] != before
    else:
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "501" in done.stderr or "not implemented" in done.stderr
        assert account(renewd)["thumbprint"] == before
    renewd.restart()
    renewd.ctl("renew", "--force", "--wait", NAME)
    assert renewd.certificate(NAME)["failures"] == 0


def test_a_ca_that_forgets(renewd: Renewd, ca: Pebble | Caddy) -> None:
    """Its nonces and accounts are gone: registered again within the same attempt."""
    issue(renewd)
    before = account(renewd)["thumbprint"]
    if isinstance(ca, Caddy):
        ca.forget()
    else:
        ca.restart()
    renewd.ctl("renew", "--force", "--wait", NAME)
    assert renewd.certificate(NAME)["failures"] == 0
    assert account(renewd)["thumbprint"] == before
    assert kinds_of_events(renewd).count("account-registered") == 2


def test_what_it_refuses(kind: Kind, renewd: Renewd, ca: Pebble | Caddy) -> None:
    """A problem document, with or without a status of its own."""
    stage = "order"
    if isinstance(ca, Pebble):
        ca.options.blocked.append("refused.test")
        ca.restart()
        renewd.add_certificate(NAME, domains=["www.refused.test"])
    else:
        renewd.add_certificate(NAME, lifetime="1m")  # too short for it, as it finds late
        stage = "finalize"
    renewd.start()
    shown = renewd.wait_certificate(NAME, failures=1)
    assert shown["last_error"]["type"].startswith("urn:ietf:params:acme:error:")
    assert shown["last_error"]["detail"]
    assert shown["last_error"]["stage"] == stage
    assert count(ca, kind.new_order) == 1


@pytest.mark.parametrize("path", ["new_order", "nothing"])
def test_a_wrong_directory(kind: Kind, renewd: Renewd, ca: Pebble | Caddy, path: str) -> None:
    """A 405 without a body, an empty 200, a 404: one clear line, and one attempt."""
    where = kind.new_order if path == "new_order" else "/nothing"
    section = renewd.sections["defaults"]["ca"]
    url = "/".join(ca.directory.split("/", 3)[:3]) + where
    renewd.set(f"ca {section}", directory=url)
    renewd.add_certificate(NAME)
    renewd.start()
    shown = renewd.wait_certificate(NAME, failures=1)
    assert shown["last_error"]["stage"] == "directory"
    assert shown["last_error"]["detail"]
    assert renewd.output().count("renewal failed") == 1


def test_nonces_that_are_refused(kind: Kind, place: Place, renewd: Renewd,
                                 ca: Pebble | Caddy) -> None:
    if isinstance(ca, Caddy):
        pytest.skip("Caddy has no option that refuses nonces; Pebble has")
    ca.options.nonce_reject = 40
    ca.restart()
    names = [NAME, OTHER, "third.example.test"]
    for name in names:
        renewd.add_certificate(name)
    renewd.start()
    for name in names:
        assert renewd.wait_state(name)["failures"] == 0
    assert ca.front
    assert any(r.status == 400 for r in ca.front.requests(method="POST"))
    assert "renewal failed" not in renewd.output()
