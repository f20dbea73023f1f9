"""Accounts from their registration to their end: contacts, a CA that forgets, external
bindings, another key, terms, deactivation. The CA is Pebble, old and new; what it never
says is said by the HAProxy in front of it."""

from __future__ import annotations

import base64
import json
import socket
import sqlite3
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from programs.front import Front
from programs.pebble import Pebble
from programs.place import Place
from programs.program import wait_until
from programs.renewd import Renewd

HMAC = base64.urlsafe_b64encode(bytes(range(64))).decode().rstrip("=")
OTHER = base64.urlsafe_b64encode(bytes(range(1, 65))).decode().rstrip("=")
ERROR = "urn:ietf:params:acme:error:"


@pytest.fixture(autouse=True)
def pebble_version(request: pytest.FixtureRequest) -> str:
    """The version that tests marked `both` are run with, told before `pebble` is made."""
    version = getattr(request, "param", "2.4.0")
    if version != "2.4.0":
        request.node.add_marker(pytest.mark.pebble(version=version))
    return version


both = pytest.mark.parametrize("pebble_version", ["2.4.0", "2.10"], indirect=True)


def front_of(pebble: Pebble) -> Front:
    assert pebble.front
    return pebble.front


def accounts(renewd: Renewd) -> list[dict]:
    return renewd.get("/v1/accounts")["accounts"]


def own(renewd: Renewd) -> dict:
    (account,) = [a for a in accounts(renewd) if a["id"] == a["ca"]]
    return account


def issue(renewd: Renewd, name: str = "www.example.test") -> dict:
    renewd.add_certificate(name)
    renewd.start()
    return renewd.wait_state(name)


def renew(renewd: Renewd, name: str = "www.example.test") -> None:
    renewd.ctl("renew", name, "--force", "--wait")


def kinds(renewd: Renewd) -> list[str]:
    lines = renewd.api("GET", "/v1/events").body.decode().splitlines()
    return [json.loads(line)["kind"] for line in lines]


def rows(renewd: Renewd, sql: str) -> list[tuple]:
    with sqlite3.connect(f"file:{renewd.state_dir}/renewd.db?mode=ro", uri=True) as db:
        return db.execute(sql).fetchall()


def key_file(place: Place, name: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Path:
    path = place.path / name
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def problem(kind: str, status: int, detail: str, path: str, more: str = "") -> str:
    """Lines of the front: this answer to requests there."""
    body = json.dumps({"type": ERROR + kind, "detail": detail} | json.loads(more or "{}"))
    return (f"http-request return status {status} content-type application/problem+json "
            f"string '{body}' hdr Replay-Nonce bm9uY2U if {{ path_beg {path} }}")


# ---- contacts ------------------------------------------------------------------

@both
def test_contacts(renewd: Renewd, pebble: Pebble) -> None:
    """A change is sent once, without an order; what is the same isn't."""
    issue(renewd)
    front = front_of(pebble)
    assert own(renewd)["contacts"] == ["mailto:ops@example.net"]
    assert front.count("/my-account", "POST") == 0
    renewd.set("ca pebble", contact=["mailto:new@example.net", "mailto:ops@example.net"])
    renewd.reload()
    wait_until(lambda: own(renewd)["contacts"] ==
               ["mailto:new@example.net", "mailto:ops@example.net"], "they are sent")
    assert "contacts-changed" in kinds(renewd)
    sent = front.wait_count(1, "/my-account", "POST")
    renewd.reload()
    renewd.restart()
    renew(renewd)
    assert front.count("/my-account", "POST") == sent == 1
    assert front.count("/sign-me-up") == 1


def test_contacts_that_are_refused(renewd: Renewd, pebble: Pebble) -> None:
    """Said once, and neither orders nor the CA suffer from it."""
    issue(renewd)
    front = front_of(pebble)
    front.set_lines(problem("invalidContact", 400, "no such mailbox", "/my-account"))
    renewd.set("ca pebble", contact="mailto:bad@example.net")
    renewd.reload()
    renewd.wait_log("the CA does not take the contacts: no such mailbox")
    renew(renewd)
    renew(renewd)
    assert front.count("/my-account", "POST") == 1
    assert own(renewd)["contacts"] == ["mailto:ops@example.net"]
    # later, where it is the CA that can't
    front.set_lines(problem("serverInternal", 500, "try later", "/my-account"))
    renewd.set("ca pebble", contact="mailto:good@example.net")
    renewd.reload()
    renewd.wait_log("the contacts could not be changed at the CA: try later; next attempt at")
    renew(renewd)
    assert front.count("/my-account", "POST") == 2


# ---- a CA that forgets ----------------------------------------------------------

@both
def test_a_ca_that_was_reset(renewd: Renewd, pebble: Pebble) -> None:
    """Registered again with the same key, within the same attempt."""
    issue(renewd)
    before = own(renewd)
    pebble.restart()
    renewd.set("ca pebble", trust_file=pebble.trust_file)
    renew(renewd)
    after = own(renewd)
    assert after["thumbprint"] == before["thumbprint"]
    assert len(accounts(renewd)) == 1
    shown = renewd.certificate("www.example.test")
    assert shown["failures"] == 0
    assert "renewal failed" not in renewd.output()
    assert kinds(renewd).count("account-forgotten") == 1
    assert kinds(renewd).count("account-registered") == 2
    renewd.wait_log("the CA does not know the account any more")


def test_many_orders_at_a_ca_that_was_reset(renewd: Renewd, pebble: Pebble) -> None:
    """All of them notice; one registration does for all."""
    names = [f"n{i}.example.test" for i in range(8)]
    for name in names:
        renewd.add_certificate(name)
    renewd.start()
    for name in names:
        renewd.wait_state(name)
    pebble.restart()
    renewd.ctl("renew", *names, "--force", "--wait")
    assert kinds(renewd).count("account-forgotten") == 1
    assert all(renewd.certificate(name)["failures"] == 0 for name in names)


@pytest.mark.pebble(eab_keys={"kid-1": HMAC})
def test_a_reset_ca_with_binding(place: Place, renewd: Renewd, pebble: Pebble) -> None:
    file = place.path / "hmac"
    file.write_text(HMAC + "\n")
    renewd.set("ca pebble", eab_kid="kid-1", eab_hmac_key_file=file)
    issue(renewd)
    pebble.restart()
    renew(renewd)
    assert renewd.certificate("www.example.test")["failures"] == 0


def test_an_order_in_flight_at_a_ca_that_was_reset(renewd: Renewd, pebble: Pebble) -> None:
    """Its order is gone with the account: a new one is made in the same attempt."""
    front = front_of(pebble)
    front.set_lines("http-request deny deny_status 503 if { path_beg /chalZ }")
    renewd.add_certificate("www.example.test")
    renewd.start()
    renewd.wait_certificate("www.example.test", activity="waiting")
    front.set_lines("")
    pebble.restart()
    renewd.ctl("renew", "www.example.test", "--wait")
    assert renewd.certificate("www.example.test")["state"] == "valid"


def test_an_account_that_the_ca_has_deactivated(renewd: Renewd, pebble: Pebble) -> None:
    """Said clearly, asked once; the remedy that is named works."""
    for name in ("a.example.test", "b.example.test"):
        renewd.add_certificate(name)
    renewd.start()
    for name in ("a.example.test", "b.example.test"):
        renewd.wait_state(name)
    front = front_of(pebble)
    deactivate_behind_its_back(renewd, pebble)
    asked = front.count("/order-plz", "POST")
    done = renewd.ctl("renew", "a.example.test", "--force", "--wait", check=False)
    assert done.returncode == 1
    assert "the CA refuses the account" in done.stderr
    assert "renewctl deactivate pebble" in done.stderr
    shown = renewd.wait_certificate("a.example.test", activity="parked", state="valid")
    assert shown["last_error"]["class"] == "give-up"
    assert front.count("/order-plz", "POST") == asked + 1
    renewd.ctl("deactivate", "pebble")
    renewd.ctl("reload")
    wait_until(lambda: renewd.certificate("a.example.test")["activity"] == "idle", "it goes on")
    renew(renewd, "b.example.test")
    assert len(accounts(renewd)) == 2
    assert sorted(a["state"] for a in accounts(renewd)) == ["deactivated", "valid"]


def deactivate_behind_its_back(renewd: Renewd, pebble: Pebble) -> None:
    """As the CA, or somebody who has the key: renewd doesn't hear of it."""
    copy = renewd.folder / "copy"
    copy.mkdir()
    renewd.stop()
    for file in renewd.state_dir.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    renewd.start()
    renewd.ctl("deactivate", "pebble")
    renewd.stop()
    for file in copy.iterdir():
        (renewd.state_dir / file.name).write_bytes(file.read_bytes())
    for file in renewd.state_dir.iterdir():
        if not (copy / file.name).exists():
            file.unlink()
    renewd.start()


# ---- external account binding ---------------------------------------------------

@pytest.mark.pebble(eab_keys={"kid-1": HMAC})
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@both
def test_binding(place: Place, renewd: Renewd, alg: str) -> None:
    file = place.path / "hmac"
    file.write_text(HMAC + "==\n")
    renewd.set("ca pebble", eab_kid="kid-1", eab_hmac_key_file=file, eab_alg=alg)
    renewd.add_certificate("www.example.test")
    renewd.start()
    renewd.wait_state("www.example.test")
    assert HMAC not in renewd.output()


@pytest.mark.pebble(eab_keys={"kid-1": HMAC})
@pytest.mark.parametrize(("kid", "key", "says"), [
    ("kid-2", HMAC, 'the CA refuses to register the account with eab_kid "kid-2"'),
    ("kid-1", OTHER, 'the CA refuses to register the account with eab_kid "kid-1"'),
    ("kid-1", "not base64url!", "cannot be used: it is not base64url"),
    ("kid-1", "ab+/" * 10, "cannot be used: it is base64, not base64url"),
    ("kid-1", "", "cannot be used: it is empty"),
    ("kid-1", "QUJD", "cannot be used: it is too short to be a whole key"),
])
def test_binding_that_is_wrong(place: Place, renewd: Renewd, pebble: Pebble, kid: str,
                               key: str, says: str) -> None:
    file = place.path / "hmac"
    file.write_text(key)
    renewd.set("ca pebble", eab_kid=kid, eab_hmac_key_file=file)
    renewd.add_certificate("www.example.test")
    renewd.add_certificate("two.example.test")
    renewd.start()
    shown = renewd.wait_certificate("www.example.test", activity="parked")
    renewd.wait_certificate("two.example.test", activity="parked")
    assert says in shown["last_error"]["detail"]
    if len(key) > 4:
        assert key not in renewd.output()
    assert renewd.output().count("no certificate is asked of this CA any more") == 1
    assert front_of(pebble).count("/sign-me-up", "POST") <= 1
    # put right, and read again
    file.write_text(HMAC)
    renewd.set("ca pebble", eab_kid="kid-1")
    renewd.reload()
    renewd.wait_state("www.example.test")
    renewd.wait_state("two.example.test")


@pytest.mark.pebble(eab_keys={"kid-1": HMAC})
def test_binding_that_is_missing(renewd: Renewd) -> None:
    renewd.add_certificate("www.example.test")
    renewd.start()
    shown = renewd.wait_certificate("www.example.test", activity="parked")
    assert "eab_kid" in shown["last_error"]["detail"]


def test_known_cas_that_need_a_binding(renewd: Renewd) -> None:
    renewd.set("ca zerossl", accept_terms="yes")
    renewd.add_certificate("www.example.test", ca="zerossl")
    done = renewd.run("--check", "-c", renewd.write_config())
    assert done.returncode == 78
    line = renewd.config_text().splitlines().index("[ca zerossl]") + 1
    assert f"{renewd.config_path}:{line}: [ca zerossl] needs eab_kid" in done.stderr


# ---- another key -----------------------------------------------------------------

@both
def test_rollover(renewd: Renewd, pebble: Pebble) -> None:
    issue(renewd)
    before = own(renewd)
    done = renewd.ctl("rollover", "pebble")
    after = own(renewd)
    assert done.stdout == f"pebble\t{after['thumbprint']}\n"
    assert after["thumbprint"] != before["thumbprint"]
    assert after["url"] == before["url"]
    assert rows(renewd, "SELECT thumbprint FROM account_keys") == [(before["thumbprint"],)]
    assert "account-key-changed" in kinds(renewd)
    renew(renewd)
    renewd.restart()
    renew(renewd)
    assert front_of(pebble).count("/sign-me-up") == 1
    assert own(renewd) == after
    # the old key is of no use to anybody
    assert renewd.api("POST", f"/v1/accounts/pebble/{before['thumbprint']}/rollover").status == 404


def test_rollover_types_and_names(renewd: Renewd) -> None:
    """The new key is of the type that is configured; an ID may hold a slash."""
    issue(renewd)
    renewd.set("ca pebble", account_key="rsa-2048")
    renewd.reload()
    reply = renewd.api("POST", f"/v1/accounts/pebble/{own(renewd)['thumbprint']}/rollover")
    assert reply.status == 200
    assert reply.json()["id"] == "pebble"
    (key,) = rows(renewd, "SELECT length(key) FROM accounts")
    assert key[0] > 1000, "it is an RSA key"
    quoted = f"/v1/accounts/PEBBLE%2F{own(renewd)['thumbprint']}/rollover"
    assert renewd.api("POST", quoted).status == 200
    renew(renewd)
    assert renewd.api("POST", "/v1/accounts/nobody/rollover").status == 404
    assert renewd.api("POST", "/v1/accounts//rollover").status == 404
    assert renewd.api("GET", "/v1/accounts/pebble/rollover").status == 405
    done = renewd.ctl("rollover", "nobody", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("renewctl: nobody: there is no such account")


@pytest.mark.pebble(sleep=True)
def test_rollover_waits_for_orders(renewd: Renewd) -> None:
    """None of them fails for it, and those that come meanwhile wait."""
    issue(renewd)
    names = [f"n{i}.example.test" for i in range(4)]
    for name in names[:2]:
        renewd.add_certificate(name)
    renewd.reload()
    renewd.wait_certificate(names[0], activity="ordering")
    for name in names[2:]:
        renewd.add_certificate(name)
    renewd.reload()
    before = own(renewd)
    renewd.ctl("rollover", "pebble")
    assert own(renewd)["thumbprint"] != before["thumbprint"]
    for name in names:
        assert renewd.wait_state(name, timeout=60)["failures"] == 0
    assert "renewal failed" not in renewd.output()


def test_rollover_with_an_order_that_goes_on_later(renewd: Renewd, pebble: Pebble) -> None:
    """Challenges of before are answered by the new key."""
    front = front_of(pebble)
    front.set_lines("http-request deny deny_status 503 if { path_beg /chalZ }")
    renewd.add_certificate("www.example.test")
    renewd.start()
    renewd.wait_certificate("www.example.test", activity="waiting")
    before = own(renewd)["thumbprint"]
    renewd.ctl("rollover", "pebble")
    ((challenges,),) = rows(renewd, "SELECT challenges FROM orders")
    assert before not in challenges
    assert own(renewd)["thumbprint"] in challenges
    front.set_lines("")
    renewd.ctl("renew", "--wait", "www.example.test")
    assert front.count("/order-plz", "POST") == 1, "the order of before is gone on with"


@pytest.mark.parametrize(("lines", "status", "says"), [
    (problem("malformed", 409, "that key is taken", "/rollover"), 409, "that key is taken"),
    ("http-request return status 501 if { path_beg /rollover }", 502, "HTTP 501"),
    (problem("malformed", 400, "no", "/rollover"), 502, "no"),
])
def test_rollover_that_is_refused(renewd: Renewd, pebble: Pebble, lines: str, status: int,
                                  says: str) -> None:
    issue(renewd)
    before = own(renewd)
    front = front_of(pebble)
    front.set_lines(lines)
    reply = renewd.api("POST", "/v1/accounts/pebble/rollover")
    assert reply.status == status
    assert says in reply.json()["detail"]
    assert own(renewd) == before
    assert rows(renewd, "SELECT next_key FROM accounts") == [(None,)]
    assert "rollover-failed" in kinds(renewd)
    renew(renewd)
    front.set_lines("")
    renewd.ctl("rollover", "pebble")
    renew(renewd)


def test_rollover_whose_answer_is_lost(renewd: Renewd, pebble: Pebble) -> None:
    """The CA is asked which key it has."""
    issue(renewd)
    before = own(renewd)
    front_of(pebble).set_lines("http-request set-var(txn.path) path\n"
                               "    http-response return status 500 if "
                               "{ var(txn.path) -m beg /rollover }")
    renewd.ctl("rollover", "pebble")
    assert own(renewd)["thumbprint"] != before["thumbprint"]
    front_of(pebble).set_lines("")
    renew(renewd)


def held(path: str) -> str:
    """Lines of the front: requests there are taken, and not answered."""
    return f"timeout tarpit 60s\n    http-request tarpit if {{ path_beg {path} }}"


# Where it is killed, as the lines of the front have it, and what it sends last.
STEPS = {
    "the CA has not heard of it": (held("/rollover"), "/rollover-account-key"),
    "the CA has done it": ("http-request set-var(txn.path) path\n    http-response return "
                           "status 500 if { var(txn.path) -m beg /rollover }\n    "
                           + held("/sign-me-up"), "/sign-me-up"),
    "the CA has refused it": ("http-request deny deny_status 500 if { path_beg /rollover }\n    "
                              + held("/sign-me-up"), "/sign-me-up"),
}


@pytest.mark.parametrize("step", list(STEPS))
@both
def test_rollover_killed(renewd: Renewd, pebble: Pebble, step: str) -> None:
    issue(renewd)
    before = own(renewd)
    front = front_of(pebble)
    lines, last = STEPS[step]
    front.set_lines(lines)
    sent = f"POST {pebble.url}{last}"
    seen = renewd.output().count(sent)
    ask_for_rollover(renewd)
    wait_until(lambda: renewd.output().count(sent) > seen, f"it sends to {last}")
    assert rows(renewd, "SELECT next_key IS NOT NULL FROM accounts") == [(1,)]
    renewd.kill()
    front.set_lines("")
    renewd.start()
    renew(renewd)
    wait_until(lambda: rows(renewd, "SELECT next_key FROM accounts") == [(None,)],
               "one of the keys counts")
    assert own(renewd)["thumbprint"] != before["thumbprint"]
    assert own(renewd)["url"] == before["url"]
    assert len(accounts(renewd)) == 1
    renewd.restart()
    renew(renewd)
    assert "renewal failed" not in renewd.output()


def ask_for_rollover(renewd: Renewd) -> None:
    """Without waiting for the answer."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.connect(str(renewd.socket))
    link.sendall(b"POST /v1/accounts/pebble/rollover HTTP/1.1\r\nHost: renewd\r\n"
                 b"Content-Length: 0\r\n\r\n")
    renewd.wait_log("another key of the account asked for")
    link.close()


@pytest.mark.timeout(240)
def test_rollover_killed_at_random(renewd: Renewd) -> None:
    """At any moment: there is always one key, the one that the CA knows."""
    issue(renewd)
    for number in range(12):
        ask_for_rollover(renewd)
        time.sleep(number * 0.004)  # each time a little later in the course of it
        renewd.kill()
        renewd.start()
        renew(renewd)
        assert len(accounts(renewd)) == 1
        wait_until(lambda: rows(renewd, "SELECT next_key FROM accounts") == [(None,)],
                   "one of the keys counts")
    assert "renewal failed" not in renewd.output()


def test_rollover_of_ones_own_key(place: Place, renewd: Renewd) -> None:
    """renewd makes no key where one is brought: it takes the one that is there."""
    file = key_file(place, "account.pem", ec.generate_private_key(ec.SECP256R1()))
    renewd.set("ca pebble", account_key=f"file:{file}")
    issue(renewd)
    before = own(renewd)
    done = renewd.ctl("rollover", "pebble", check=False)
    assert done.returncode == 1
    assert "put another into it and ask again" in done.stderr
    key_file(place, "account.pem", ec.generate_private_key(ec.SECP384R1()))
    renewd.ctl("rollover", "pebble")
    after = own(renewd)
    assert after["thumbprint"] != before["thumbprint"]
    assert after["url"] == before["url"]
    renewd.restart()
    renew(renewd)
    assert own(renewd) == after


# ---- a key of one's own --------------------------------------------------------

def test_a_key_file_that_cannot_be_used(place: Place, renewd: Renewd) -> None:
    cases = {
        key_file(place, "weak.pem", rsa.generate_private_key(65537, 1024)):
            "it must be ECDSA P-256 or P-384, or RSA with 2048 to 4096 bits",
        key_file(place, "p521.pem", ec.generate_private_key(ec.SECP521R1())):
            "it must be ECDSA P-256 or P-384, or RSA with 2048 to 4096 bits",
        place.path / "none.pem": "cannot be read: No such file or directory",
        renewd.config_path: "there is no private key in it that can be read",
    }
    renewd.add_certificate("www.example.test", enabled="no")
    renewd.start()
    for number, (file, says) in enumerate(cases.items()):
        renewd.set("ca pebble", account_key=f"file:{file}")
        renewd.add_certificate(f"n{number}.example.test")
        renewd.reload()
        name = f"n{number}.example.test"
        wait_until(lambda name=name: renewd.certificate(name)["last_error"], "it has failed")
        detail = renewd.certificate(name)["last_error"]["detail"]
        assert f"account_key {file}" in detail
        assert says in detail


def test_a_key_is_not_shared(place: Place, renewd: Renewd, pebble: Pebble) -> None:
    one = ec.generate_private_key(ec.SECP256R1())
    first, second = key_file(place, "1.pem", one), key_file(place, "2.pem", one)
    renewd.set("ca pebble", account_key=f"file:{first}")
    issue(renewd)
    renewd.set("ca other", directory=f"{pebble.url}/dir?other", trust_file=pebble.trust_file,
               accept_terms="yes", account_key=f"file:{second}")
    renewd.add_certificate("two.example.test", ca="other")
    renewd.reload()
    shown = renewd.wait_certificate("two.example.test", activity="parked")
    assert "each CA needs a key of its own" in shown["last_error"]["detail"]
    assert "at the CA pebble" in shown["last_error"]["detail"]


# ---- the end ---------------------------------------------------------------------

@both
def test_deactivate(renewd: Renewd, pebble: Pebble) -> None:
    issue(renewd)
    before = own(renewd)
    done = renewd.ctl("deactivate", "pebble")
    assert done.stdout == f"pebble/{before['thumbprint']}\t{before['thumbprint']}\n"
    (gone,) = accounts(renewd)
    assert gone["id"] == f"pebble/{before['thumbprint']}"
    assert gone["state"] == "deactivated"
    assert gone["deactivated_at"]
    renewd.wait_log("the account is deactivated and not used again")
    renewd.restart()
    assert renewd.ctl("deactivate", "pebble", check=False).returncode == 1
    again = renewd.ctl("deactivate", f"pebble/{before['thumbprint']}", check=False)
    assert again.returncode == 1
    assert "it is deactivated" in again.stderr
    renew(renewd)
    after = own(renewd)
    assert after["thumbprint"] != before["thumbprint"]
    assert after["url"] != before["url"]
    assert renewd.certificate("www.example.test")["failures"] == 0
    assert front_of(pebble).count("/sign-me-up") == 2


def test_deactivate_an_account_of_before(renewd: Renewd, pebble: Pebble, place: Place) -> None:
    """One that isn't its CA's own any more, whose CA isn't even configured."""
    old = key_file(place, "old.pem", ec.generate_private_key(ec.SECP256R1()))
    renewd.set("ca old", directory=pebble.directory, trust_file=pebble.trust_file,
               accept_terms="yes", account_key=f"file:{old}")
    renewd.add_certificate("old.example.test", ca="old")
    issue(renewd)
    renewd.wait_state("old.example.test")
    renewd.sections.pop("certificate old.example.test")
    new = key_file(place, "new.pem", ec.generate_private_key(ec.SECP256R1()))
    renewd.set("ca old", account_key=f"file:{new}")
    renewd.reload()
    (account,) = [a for a in accounts(renewd) if a["ca"] == "old"]
    renewd.ctl("rollover", f"old/{account['thumbprint']}")
    (account,) = [a for a in accounts(renewd) if a["ca"] == "old"]
    done = renewd.ctl("deactivate", f"old/{account['thumbprint']}")
    assert done.stdout.startswith(f"old/{account['thumbprint']}\t")
    assert own(renewd)["ca"] == "pebble"
    renew(renewd)


def test_deactivate_killed(renewd: Renewd, pebble: Pebble) -> None:
    """What was asked for is done after the start, and the account isn't used before."""
    issue(renewd)
    before = own(renewd)
    front = front_of(pebble)
    front.set_lines(held("/my-account"))
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.connect(str(renewd.socket))
    link.sendall(b"POST /v1/accounts/pebble/deactivate HTTP/1.1\r\nHost: renewd\r\n"
                 b"Content-Length: 0\r\n\r\n")
    renewd.wait_log(f"POST {before['url']}")
    renewd.kill()
    link.close()
    front.set_lines("")
    renewd.start()
    wait_until(lambda: [a["state"] for a in accounts(renewd)] == ["deactivated"], "it is ended")
    renew(renewd)
    assert own(renewd)["thumbprint"] != before["thumbprint"]


# ---- terms -------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["userActionRequired", "agreementRequired"])
def test_new_terms(renewd: Renewd, pebble: Pebble, kind: str) -> None:
    """The CA stops for all, said once, with where to go; after that it goes on."""
    names = [f"n{i}.example.test" for i in range(3)]
    issue(renewd)
    front = front_of(pebble)
    front.set_lines(problem(kind, 403, "Terms of service have changed", "/order-plz",
                            '{"instance": "https://ca.example/agree?id=7"}'))
    for name in names:
        renewd.add_certificate(name)
    asked = front.count("/order-plz", "POST")
    renewd.reload()
    for name in names:
        shown = renewd.wait_certificate(name, activity="parked")
        assert shown["last_error"]["type"] == ERROR + kind
        assert "https://ca.example/agree?id=7" in shown["last_error"]["detail"]
        assert "renewctl reload" in shown["last_error"]["detail"]
    late = "late.example.test"
    renewd.add_certificate(late)
    renewd.ctl("add", "late.example.test")
    renewd.wait_certificate(late, activity="parked")
    output = renewd.output()
    assert output.count("no certificate is asked of this CA any more") == 1
    assert front.count("/order-plz", "POST") <= asked + len(names)
    cas = {ca["name"]: ca for ca in renewd.get("/v1/status")["cas"]}
    assert "https://ca.example/agree?id=7" in cas["pebble"]["last_error"]
    # agreed to, there
    front.set_lines("")
    renewd.reload()
    for name in [*names, late]:
        renewd.wait_state(name)


def test_new_terms_by_link_and_renew(renewd: Renewd, pebble: Pebble) -> None:
    """The URL may come in a Link; one that is asked for is a try, and others follow it."""
    front = front_of(pebble)
    body = json.dumps({"type": ERROR + "userActionRequired", "detail": "agree first"})
    front.set_lines("http-request return status 403 content-type application/problem+json "
                    f"string '{body}' hdr Replay-Nonce bm9uY2U hdr Link "
                    "'<https://ca.example/terms/2>;rel=\"terms-of-service\"' "
                    "if { path_beg /order-plz }")
    renewd.add_certificate("www.example.test")
    renewd.add_certificate("two.example.test")
    renewd.start()
    shown = renewd.wait_certificate("www.example.test", activity="parked")
    renewd.wait_certificate("two.example.test", activity="parked")
    assert "https://ca.example/terms/2" in shown["last_error"]["detail"]
    front.set_lines("")
    renewd.ctl("renew", "www.example.test", "--wait")
    renewd.wait_state("two.example.test")


def test_new_terms_with_another_ca(renewd: Renewd, pebble: Pebble) -> None:
    front = front_of(pebble)
    renewd.set("ca other", directory=f"https://127.0.0.1:{pebble.port}/dir",
               trust_file=pebble.trust_file, accept_terms="yes")
    front.set_lines(problem("userActionRequired", 403, "agree", "/order-plz"))
    for name in ("a.example.test", "b.example.test"):
        renewd.add_certificate(name, ca=["pebble", "other"])
    renewd.set("renewd", max_orders=1)  # Pebble without its front
    renewd.start()
    for name in ("a.example.test", "b.example.test"):
        assert renewd.wait_state(name)["ca"] == "other"
    assert front.count("/order-plz", "POST") == 1
