"""Revocation: what the CA has on record at the end, what becomes of the certificate, and
that no crash and no CA that is away loses a wish. Authorizations that nobody needs."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from programs.pebble import Pebble
from programs.place import Place
from programs.program import clean_environment, wait_until
from programs.renewd import Renewd, program

NAME = "www.example.test"
REVOKE = "/revoke-cert"
REASONS = {"unspecified": 0, "keyCompromise": 1, "superseded": 4, "cessationOfOperation": 5}


@pytest.fixture(params=["2.4.0", "2.10"])
def version(request: pytest.FixtureRequest) -> str:
    """Both Pebbles; to be asked for before the others."""
    request.node.add_marker(pytest.mark.pebble(version=request.param))
    return request.param


def revoked(pebble: Pebble, serial: str) -> bool:
    return pebble.certificate_status(serial)["Status"] == "Revoked"


def reason_of(pebble: Pebble, serial: str) -> int:
    status = pebble.certificate_status(serial)
    assert status["Status"] == "Revoked"
    return int(status.get("Reason") or 0)  # type: ignore[call-overload]


def serials(shown: dict) -> list[str]:
    return [row["serial"] for row in shown["certificates"]]


def issue(renewd: Renewd, *names: str, **keys: object) -> list[str]:
    """Starts with these certificates; the serial of each one's first."""
    for name in names:
        renewd.add_certificate(name, **keys)
    renewd.start()
    return [serials(renewd.wait_state(name, timeout=60))[0] for name in names]


def query(renewd: Renewd, sql: str) -> list[tuple]:
    with sqlite3.connect(f"file:{renewd.state_dir}/renewd.db?mode=ro", uri=True) as db:
        return db.execute(sql).fetchall()


def history(renewd: Renewd, name: str) -> list[dict]:
    reply = renewd.api("GET", f"/v1/certificates/{name}/history")
    return [json.loads(line) for line in reply.body.splitlines()]


def revoke(renewd: Renewd, name: str = NAME, **body: str):
    return renewd.api("POST", f"/v1/certificates/{name}/revoke", body, timeout=90)


# ---- each reason ----


@pytest.mark.parametrize("reason", ["unspecified", "cessationOfOperation"])
def test_revoked_and_parked(version: str, renewd: Renewd, pebble: Pebble, reason: str) -> None:
    (serial,) = issue(renewd, NAME)
    reply = revoke(renewd, reason=reason)
    assert reply.status == 200, reply.body
    shown = reply.json()
    assert reason_of(pebble, serial) == REASONS[reason]
    assert shown["state"] == "revoked"
    assert shown["health"] == "critical"
    assert shown["activity"] in ("parked", "deploying")
    assert shown["certificates"][0]["revoked_at"]
    assert "revocations" not in shown
    shown = renewd.wait_certificate(NAME, activity="parked", state="revoked")
    assert reason in shown["last_error"]["detail"]
    assert [e["kind"] for e in history(renewd, NAME)].count("revoked") == 1
    front = pebble.front
    assert front
    orders = front.count("/order-plz", "POST")
    # asked again: nothing is left to be done, and the CA isn't asked
    assert revoke(renewd, reason=reason).status == 200
    assert front.count(REVOKE) == 1
    # it stays so, also after a restart, until somebody wants another
    renewd.restart()
    renewd.wait_certificate(NAME, activity="parked", state="revoked")
    assert front.count("/order-plz", "POST") == orders
    renewd.ctl("renew", "--wait", NAME)
    shown = renewd.wait_state(NAME)
    assert serials(shown) != [serial]
    assert shown["health"] == "ok"
    assert not revoked(pebble, serials(shown)[0])


def write_key(path: Path) -> None:
    path.touch(mode=0o600)
    path.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def write_request(path: Path, name: str) -> None:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(name)]), False)
    path.write_bytes(request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
                     .public_bytes(Encoding.PEM))


def test_key_compromise(version: str, renewd: Renewd, pebble: Pebble) -> None:
    """Every certificate with that key, another key at once, and never that one again."""
    renewd.add_certificate(NAME, reuse_key=True)
    renewd.start()
    first = serials(renewd.wait_state(NAME))[0]
    key = renewd.bundle(NAME, "privkey.pem").read_bytes()
    renewd.ctl("renew", "--force", "--wait", NAME)
    second = serials(renewd.wait_state(NAME))[0]
    assert renewd.bundle(NAME, "privkey.pem").read_bytes() == key
    renewd.set(f"certificate {NAME}", reuse_key=None)
    renewd.reload()
    done = renewd.ctl("revoke", NAME, "--reason=keyCompromise", "--yes")
    assert done.stdout == f"{NAME}\trevoked\n"
    assert reason_of(pebble, first) == 1
    assert reason_of(pebble, second) == 1
    wait_until(lambda: renewd.bundle(NAME, "privkey.pem").read_bytes() != key, "another key")
    shown = renewd.wait_state(NAME)
    assert shown["health"] == "ok"
    assert not revoked(pebble, serials(shown)[0])
    assert query(renewd, "SELECT count(DISTINCT spki), count(*) FROM issued") == [(2, 3)]
    assert "issued (ecdsa-p256, key-compromise)" in renewd.output()


def test_a_key_that_two_share(version: str, renewd: Renewd, pebble: Pebble) -> None:
    """Both are revoked, whichever of them was named, and each gets a key of its own."""
    names = (NAME, "other.example.test")
    issue(renewd, *names, reuse_key=True)
    renewd.stop()
    with sqlite3.connect(renewd.state_dir / "renewd.db") as db:  # what is used again
        db.execute("UPDATE issued SET (key, spki) = (SELECT key, spki FROM issued"
                   " ORDER BY id LIMIT 1)")
    renewd.start()
    # the one whose old certificate has another key now can't be written before it is renewed
    renewd.ctl("renew", "--force", "--wait", *names, check=False)

    def keys_now() -> set[bytes]:
        return {renewd.bundle(name, "privkey.pem").read_bytes() for name in names}
    wait_until(lambda: len(keys_now()) == 1, "both have that key", 90)
    keys = keys_now()
    old = [serials(renewd.wait_state(name))[0] for name in names]
    for name in names:
        renewd.set(f"certificate {name}", reuse_key=None)
    renewd.reload()
    assert revoke(renewd, reason="keyCompromise").status == 200
    assert [reason_of(pebble, serial) for serial in old] == [1, 1]
    for name, serial in zip(names, old):
        wait_until(lambda name=name, serial=serial:
                   serials(renewd.wait_state(name)) != [serial], "it has another")
        keys.add(renewd.bundle(name, "privkey.pem").read_bytes())
    assert len(keys) == 3
    assert "key-compromised" in [e["kind"] for e in history(renewd, names[1])]


def test_key_compromise_of_an_own_key(version: str, place: Place, renewd: Renewd,
                                      pebble: Pebble) -> None:
    path = place.path / "own.pem"
    write_key(path)
    (serial,) = issue(renewd, NAME, key_file=str(path))
    assert revoke(renewd, reason="keyCompromise").status == 200
    assert reason_of(pebble, serial) == 1
    shown = renewd.wait_certificate(NAME, activity="parked", state="revoked")
    assert "key_file" in shown["last_error"]["detail"]
    write_key(path)
    renewd.reload()
    wait_until(lambda: serials(renewd.wait_state(NAME)) != [serial], "it has another")


def test_key_compromise_where_the_key_has_to_stay(version: str, renewd: Renewd,
                                                  pebble: Pebble) -> None:
    (serial,) = issue(renewd, NAME, reuse_key=True)
    assert revoke(renewd, reason="keyCompromise").status == 200
    assert reason_of(pebble, serial) == 1
    shown = renewd.wait_certificate(NAME, activity="parked", state="revoked")
    assert "reuse_key" in shown["last_error"]["detail"]
    assert shown["renew_reason"] == "key-compromise"
    assert shown["health"] == "critical"
    # asked for once more, it is still the same key
    renewd.api("POST", f"/v1/certificates/{NAME}/renew", {"force": True})
    wait_until(lambda: renewd.certificate(NAME)["failures"] == 2, "it is refused again")
    assert len(query(renewd, "SELECT id FROM issued")) == 1
    renewd.set(f"certificate {NAME}", reuse_key=False)
    renewd.reload()
    shown = renewd.wait_state(NAME)
    assert serials(shown) != [serial]
    assert query(renewd, "SELECT count(DISTINCT spki) FROM issued") == [(2,)]


def test_a_key_that_is_elsewhere(version: str, place: Place, renewd: Renewd,
                                 pebble: Pebble) -> None:
    """Only the account can sign: where it can't now, it is waited for."""
    assert pebble.front
    path = place.path / "own.csr"
    write_request(path, NAME)
    (serial,) = issue(renewd, NAME, csr_file=str(path), placeholder=False)
    stop = json.dumps({"type": "urn:ietf:params:acme:error:userActionRequired",
                       "detail": "terms have changed"})
    pebble.front.set_lines(
        "http-request return status 403 content-type application/problem+json "
        f"string '{stop}' hdr Replay-Nonce bm9uY2U if {{ path_beg /order-plz }}")
    renewd.ctl("add", "other.example.test")
    renewd.wait_certificate("other.example.test", activity="parked")
    reply = revoke(renewd, reason="cessationOfOperation")
    assert reply.status == 502
    assert "terms of service" in reply.body.decode()
    assert not revoked(pebble, serial)
    assert len(query(renewd, "SELECT * FROM revocations")) == 1
    pebble.front.set_lines("")
    renewd.reload()
    assert revoke(renewd, reason="cessationOfOperation").status == 200
    assert reason_of(pebble, serial) == 5
    # and where it will never be
    write_request(path, NAME)
    renewd.ctl("renew", "--wait", NAME)
    renewd.ctl("deactivate", "pebble")
    reply = revoke(renewd)
    assert reply.status == 502
    assert "its key is not here" in reply.body.decode()
    assert query(renewd, "SELECT * FROM revocations") == []


def test_superseded(version: str, place: Place, renewd: Renewd, pebble: Pebble) -> None:
    """The old one is revoked only when the new one is deployed."""
    go = place.path / "go"
    hook = place.path / "hook"
    hook.write_text(f"#!/bin/sh\nwhile ! [ -e {go} ]; do sleep 0.05; done\n")
    hook.chmod(0o755)
    go.touch()
    renewd.set("deploy copy", type="exec", command=hook)
    (old,) = issue(renewd, NAME, deploy="copy")
    go.unlink()
    words = [str(program("renewctl")), "-s", str(renewd.socket), "revoke", NAME,
             "--reason=superseded"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True) as asking:
        shown = renewd.wait_certificate(NAME, activity="deploying")
        (new,) = serials(shown)
        assert new != old
        assert not revoked(pebble, old)
        assert shown["revocations"][0]["reason"] == "superseded"
        assert shown["revocations"][0]["serial"] == old
        go.touch()
        out, _ = asking.communicate(timeout=60)
        assert (asking.returncode, out) == (0, f"{NAME}\trevoked\n")
    assert reason_of(pebble, old) == 4
    assert not revoked(pebble, new)
    shown = renewd.wait_state(NAME)
    assert shown["health"] == "ok"
    assert "revocations" not in shown


def test_superseded_but_nothing_comes(version: str, renewd: Renewd, pebble: Pebble) -> None:
    """The CA gives no other: the old one stays good, and the answer says why."""
    (old,) = issue(renewd, NAME)
    front = pebble.front
    assert front
    front.set_lines("http-request deny deny_status 500 if { path_beg /order-plz }")
    reply = revoke(renewd, reason="superseded")
    assert reply.status in (502, 504), reply.body
    assert "not replaced" in reply.json()["detail"]
    assert reply.json()["next_attempt"]
    assert not revoked(pebble, old)
    front.set_lines("")
    renewd.ctl("renew", "--wait", NAME)
    wait_until(lambda: revoked(pebble, old), "the old one is revoked")
    renewd.wait_state(NAME)


def test_one_of_two_keys(version: str, renewd: Renewd, pebble: Pebble) -> None:
    issue(renewd, NAME, keys=["ecdsa-p256", "rsa-2048"])
    rows = {c["key"]: c["serial"] for c in renewd.certificate(NAME)["certificates"]}
    assert revoke(renewd, reason="superseded", key="rsa").status == 200
    assert revoked(pebble, rows["rsa-2048"])
    assert not revoked(pebble, rows["ecdsa-p256"])
    shown = renewd.wait_state(NAME)
    now = {c["key"]: c["serial"] for c in shown["certificates"]}
    assert now["ecdsa-p256"] == rows["ecdsa-p256"]
    assert now["rsa-2048"] != rows["rsa-2048"]


# ---- who signs ----


def test_by_the_certificates_key(version: str, renewd: Renewd, pebble: Pebble) -> None:
    """Its CA's section has another name now, so another account."""
    (serial,) = issue(renewd, NAME)
    del renewd.sections["ca pebble"]
    renewd.add_ca("other", pebble)
    renewd.set("defaults", ca="other")
    renewd.set(f"certificate {NAME}", enabled=False)
    renewd.reload()
    front = pebble.front
    assert front
    accounts = front.count("/sign-me-up", "POST")
    assert revoke(renewd, reason="cessationOfOperation").status == 200
    assert reason_of(pebble, serial) == 5
    assert front.count("/sign-me-up", "POST") == accounts, "no account is needed"


def test_an_account_that_cannot_be_used(version: str, renewd: Renewd, pebble: Pebble) -> None:
    """It isn't the one that ordered: the certificate's key is good enough."""
    (serial,) = issue(renewd, NAME)
    renewd.stop()
    with sqlite3.connect(renewd.state_dir / "renewd.db") as db:
        db.execute("UPDATE issued SET account = 0")
    renewd.start()
    assert revoke(renewd).status == 200
    assert revoked(pebble, serial)


# ---- crashes, and CAs that are away ----


def test_told_twice(version: str, renewd: Renewd, pebble: Pebble) -> None:
    """The CA's answer is lost, and so are we: it says "alreadyRevoked", which is done."""
    (serial,) = issue(renewd, NAME)
    front = pebble.front
    assert front
    front.set_lines(f"http-request set-var(txn.revoke) bool(true) if {{ path_beg {REVOKE} }}\n"
                    "    http-response deny deny_status 503 if { var(txn.revoke) -m bool }")
    reply = revoke(renewd)
    assert reply.status in (502, 504), reply.body
    assert "not revoked yet" in reply.json()["detail"]
    assert reply.json()["next_attempt"]
    assert revoked(pebble, serial), "the CA has done it"
    shown = renewd.certificate(NAME)
    assert shown["state"] == "valid"
    assert shown["revocations"][0]["next_attempt"]
    renewd.kill()
    front.set_lines("")
    renewd.start()
    renewd.wait_certificate(NAME, state="revoked", activity="parked", timeout=60)
    assert any(r.status == 400 for r in front.requests(REVOKE)), "alreadyRevoked"


@pytest.mark.parametrize("reason", ["unspecified", "keyCompromise", "superseded"])
def test_killed_while_the_ca_is_asked(renewd: Renewd, pebble: Pebble, reason: str) -> None:
    (serial,) = issue(renewd, NAME)
    front = pebble.front
    assert front
    front.set_lines(f"http-request silent-drop if {{ path_beg {REVOKE} }}")
    words = [str(program("renewctl")), "-s", str(renewd.socket), "revoke", NAME,
             f"--reason={reason}"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as asking:
        renewd.wait_log(REVOKE)  # the front does not log what it drops
        renewd.kill()
        assert asking.wait(60) != 0
    front.set_lines("")
    renewd.start()
    wait_until(lambda: revoked(pebble, serial), "it is revoked after the crash", 60)
    assert reason_of(pebble, serial) == REASONS[reason]
    if reason == "unspecified":
        renewd.wait_certificate(NAME, state="revoked", activity="parked")
    else:
        wait_until(lambda: serials(renewd.wait_state(NAME)) != [serial], "there is another")


@pytest.mark.timeout(400)  # an order that was killed may rest for a minute
def test_killed_at_once(renewd: Renewd, pebble: Pebble) -> None:
    """Between being told and telling, and after: whatever was answered, all ends well."""
    names = [f"{i}.example.test" for i in range(6)]
    found = issue(renewd, *names)
    for i, name in enumerate(names):
        words = [str(program("renewctl")), "-s", str(renewd.socket), "revoke", name,
                 "--reason=keyCompromise"]
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as asking:
            time.sleep(0.004 * i)  # each is hit at another moment
            renewd.kill()
            asking.wait(60)
        renewd.start()
    for name, serial in zip(names, found):
        asked = query(renewd, "SELECT 1 FROM history WHERE kind = 'revocation-asked'"
                              f" AND certificate = '{name}'")
        if asked:
            wait_until(lambda serial=serial: revoked(pebble, serial), "it is revoked", 60)
        else:
            assert revoke(renewd, name, reason="keyCompromise").status == 200
        wait_until(lambda name=name, serial=serial:
                   serials(renewd.wait_state(name, timeout=90)) != [serial],
                   "there is another, perhaps after a minute's delay", 90)
    assert query(renewd, "SELECT count(*) FROM compromised_keys") == [(6,)]
    assert query(renewd, "SELECT count(DISTINCT spki) FROM issued WHERE current") == [(6,)]


def test_a_ca_that_is_down(version: str, renewd: Renewd, pebble: Pebble) -> None:
    (serial,) = issue(renewd, NAME)
    front = pebble.front
    assert front
    front.stop()
    done = renewd.ctl("revoke", NAME, "--reason=unspecified", check=False)
    assert done.returncode == 1
    assert "not revoked yet" in done.stderr and "next attempt" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    page = renewd.ctl("show", NAME).stdout
    (line,) = [row for row in page.splitlines() if row.startswith("to_be_revoked\t")]
    assert line.split("\t")[1:4] == ["unspecified", "ecdsa-p256", serial]
    assert line.split("\t")[5] != "-"
    shown = renewd.certificate(NAME)
    assert shown["state"] == "valid"
    assert shown["activity"] == "parked"
    assert revoke(renewd).status == 504
    front.start()
    renewd.wait_certificate(NAME, state="revoked", activity="parked", timeout=60)
    assert reason_of(pebble, serial) == 0
    assert renewd.output().count("error: not revoked yet") == 1, "said once"


def test_a_ca_that_refuses(renewd: Renewd, pebble: Pebble) -> None:
    """Its words, no other attempt, and the certificate goes on as before."""
    (serial,) = issue(renewd, NAME)
    front = pebble.front
    assert front
    problem = '{\\"type\\":\\"urn:ietf:params:acme:error:unauthorized\\",\\"detail\\":\\"Go away\\"}'
    front.set_lines("http-request return status 403 content-type application/problem+json"
                    f" string \"{problem}\" if {{ path_beg {REVOKE} }}")
    reply = revoke(renewd)
    assert reply.status == 502
    assert reply.json()["type"] == "urn:ietf:params:acme:error:unauthorized"
    assert "Go away" in reply.json()["detail"]
    assert "not tried again" in reply.json()["detail"]
    assert front.count(REVOKE) == 2, "by the account's key, and by the certificate's"
    shown = renewd.wait_state(NAME)
    assert serials(shown) == [serial]
    assert "revocations" not in shown
    assert shown["last_error"] is None


# ---- removal ----


def add(renewd: Renewd, name: str, *domains: str) -> str:
    renewd.ctl("add", name, *domains, "--wait")
    return serials(renewd.wait_state(name))[0]


@pytest.mark.parametrize("purge", [False, True])
def test_removed_when_revoked(version: str, renewd: Renewd, pebble: Pebble,
                              purge: bool) -> None:
    renewd.start()
    serial = add(renewd, NAME)
    renewd.ctl("remove", NAME, "--revoke", *(["--purge"] if purge else []))
    assert reason_of(pebble, serial) == 5
    assert renewd.api("GET", f"/v1/certificates/{NAME}").status == 404
    assert renewd.bundle(NAME).exists() != purge
    # again: of one that was removed nothing is left to be done
    again = renewd.ctl("remove", NAME, "--revoke", check=False)
    assert again.returncode == (1 if purge else 0)
    # the name is free for another
    assert add(renewd, NAME) != serial


def test_removal_with_a_ca_that_is_down(renewd: Renewd, pebble: Pebble) -> None:
    """Said, not half done: it is removed when it is revoked, also after a crash."""
    renewd.start()
    serial = add(renewd, NAME)
    front = pebble.front
    assert front
    front.stop()
    done = renewd.ctl("remove", NAME, "--revoke", check=False)
    assert done.returncode == 1
    assert "not revoked yet" in done.stderr and "removed after that" in done.stderr
    assert renewd.certificate(NAME)["activity"] == "parked"
    purged = renewd.ctl("remove", NAME, "--purge", check=False)
    assert purged.returncode == 1
    assert "still to be revoked" in purged.stderr
    renewd.kill()
    renewd.start()
    renewd.certificate(NAME)
    front.start()
    wait_until(lambda: renewd.api("GET", f"/v1/certificates/{NAME}").status == 404,
               "it is removed", 60)
    assert reason_of(pebble, serial) == 5


def test_removal_that_somebody_takes_back(renewd: Renewd, pebble: Pebble) -> None:
    renewd.start()
    serial = add(renewd, NAME)
    front = pebble.front
    assert front
    front.stop()
    renewd.ctl("remove", NAME, "--revoke", check=False)
    front.start()
    renewd.ctl("renew", NAME, "--force")
    wait_until(lambda: revoked(pebble, serial), "the old one is revoked", 60)
    shown = renewd.wait_state(NAME)
    assert serials(shown) != [serial]


def test_a_removed_one_is_revoked(renewd: Renewd, pebble: Pebble) -> None:
    (serial,) = issue(renewd, NAME)
    del renewd.sections[f"certificate {NAME}"]
    renewd.reload()
    assert revoke(renewd, reason="superseded").status == 409
    assert revoke(renewd, reason="keyCompromise").status == 200
    assert reason_of(pebble, serial) == 1
    assert renewd.api("GET", f"/v1/certificates/{NAME}").status == 404


# ---- asking ----


def test_bad_requests(renewd: Renewd) -> None:
    renewd.start()
    assert revoke(renewd, "none.example.test").status == 404
    renewd.ctl("add", NAME, "--ca=pebble")
    renewd.wait_state(NAME)
    for body in ({"reason": "removeFromCRL"}, {"reason": "7"}, {"key": "dsa"}, {"force": "1"}):
        assert revoke(renewd, **body).status == 422, body
    assert renewd.ctl("revoke", NAME, "--reason=x", check=False).returncode == 2
    renewd.ctl("pause", NAME)
    assert revoke(renewd, reason="superseded").status == 409
    assert "revocations" not in renewd.certificate(NAME)


def test_asks_on_a_terminal(renewd: Renewd, pebble: Pebble) -> None:
    (serial,) = issue(renewd, NAME)
    words = [str(program("renewctl")), "-s", str(renewd.socket), "revoke", NAME]
    for answer, status in ((b"\n", 1), (b"no\n", 1), (b"y\n", 0)):
        assert not revoked(pebble, serial)
        ours, theirs = pty.openpty()
        with subprocess.Popen(words, stdin=theirs, stdout=subprocess.PIPE, env=clean_environment(),
                              stderr=subprocess.PIPE, text=True) as asking:
            os.write(ours, answer)
            _, said = asking.communicate(timeout=60)
        os.close(ours)
        os.close(theirs)
        assert asking.returncode == status
        assert "cannot be taken back" in said
    assert revoked(pebble, serial)


# ---- authorizations ----


def deactivated(pebble: Pebble) -> int:
    """How many authorizations the CA was told to deactivate, and did."""
    front = pebble.front
    assert front
    return sum(r.status == 200 for r in front.requests("/authZ", "POST"))


def kept(renewd: Renewd) -> set[str]:
    return {name for (name,) in query(renewd, "SELECT identifier FROM authorizations")}


def validations(renewd: Renewd, since: int) -> int:
    """How often the CA has looked, after so many characters of the output."""
    return renewd.output()[since:].count("chalZ")


@pytest.fixture
def reusing(request: pytest.FixtureRequest, version: str) -> None:
    request.node.add_marker(pytest.mark.pebble(version=version, authz_reuse=100))


def test_dropped_names_are_given_back(version: str, reusing: None, renewd: Renewd,
                                      pebble: Pebble) -> None:
    both = [NAME, "old.example.test"]
    renewd.add_certificate(NAME, domains=both)
    renewd.start()
    renewd.wait_state(NAME)
    assert kept(renewd) == set(both)
    # a second certificate has the name, too: it stays
    renewd.add_certificate("second", domains=["old.example.test"])
    renewd.reload()
    renewd.wait_state("second")
    renewd.set(f"certificate {NAME}", domains=[NAME])
    renewd.reload()
    wait_until(lambda: renewd.leaf(NAME).names == {NAME}, "it has one name")
    renewd.wait_state(NAME)
    time.sleep(0.5)  # in which nothing may be deactivated
    assert "authorization deactivated" not in renewd.output()
    assert kept(renewd) == set(both)
    # now nobody has it any more
    renewd.set("certificate second", domains=["second.example.test"])
    renewd.reload()
    renewd.wait_log("authorization deactivated: nobody here needs old.example.test")
    wait_until(lambda: kept(renewd) == {NAME, "second.example.test"}, "it is forgotten")
    # the CA has forgotten that name, and knows the other one
    for domain, asked in ((NAME, 0), ("old.example.test", 1)):
        renewd.wait_state("second")
        seen = len(renewd.output())
        renewd.add_certificate(f"third.{domain}", domains=[domain])
        renewd.reload()
        renewd.wait_state(f"third.{domain}")
        assert validations(renewd, seen) == asked, domain


def test_a_purged_name_is_given_back(version: str, reusing: None, renewd: Renewd,
                                     pebble: Pebble) -> None:
    renewd.start()
    add(renewd, "gone", "gone.example.test")
    renewd.ctl("remove", "gone")
    time.sleep(0.5)  # it may come back: nothing is deactivated
    assert kept(renewd) == {"gone.example.test"}
    renewd.ctl("remove", "gone", "--purge")
    renewd.wait_log("authorization deactivated: nobody here needs gone.example.test")
    wait_until(lambda: kept(renewd) == set(), "it is forgotten")
    seen = len(renewd.output())
    add(renewd, "gone", "gone.example.test")
    assert validations(renewd, seen) == 1, "the name is validated anew"


def test_a_ca_that_cannot_deactivate(renewd: Renewd, pebble: Pebble) -> None:
    """It is asked once, and then left in peace."""
    renewd.start()
    add(renewd, "gone", "a.example.test", "b.example.test", "c.example.test")
    front = pebble.front
    assert front
    front.set_lines("http-request return status 400 if { path_beg /authZ }")
    before = front.count("/authZ")
    renewd.ctl("remove", "gone", "--purge")
    wait_until(lambda: kept(renewd) == set(), "they are forgotten")
    assert front.count("/authZ") == before + 1


def test_deactivation_is_tried_again(renewd: Renewd, pebble: Pebble) -> None:
    renewd.start()
    add(renewd, "gone", "gone.example.test")
    front = pebble.front
    assert front
    front.set_lines("http-request return status 500 if { path_beg /authZ }")
    renewd.ctl("remove", "gone", "--purge")
    wait_until(lambda: query(renewd, "SELECT failures FROM authorizations") == [(1,)],
               "it has failed once")
    front.set_lines("")
    renewd.stop()
    with sqlite3.connect(renewd.state_dir / "renewd.db") as db:
        db.execute("UPDATE authorizations SET next_attempt = 1")  # its time has come
    renewd.start()
    renewd.wait_log("authorization deactivated: nobody here needs gone.example.test")
