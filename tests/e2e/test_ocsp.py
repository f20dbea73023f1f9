"""OCSP responses of a CA that has a responder: fetched in time, beside the bundle, served
by HAProxy; and what is done about a certificate that turns out to be revoked."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from programs.haproxy import HAProxy
from programs.nginx import Nginx
from programs.pebble import Pebble
from programs.place import Place
from programs.ports import free_port
from programs.program import wait_until
from programs.renewd import Renewd
from programs.responder import Responder
from test_served import start_haproxy

NAME = "shop.example.test"
PORT = free_port()
stapling = pytest.mark.pebble(ocsp_url=f"http://127.0.0.1:{PORT}")


def frontend(port: int, crt: object) -> str:
    return f"""
frontend secure
    mode http
    bind 127.0.0.1:{port} ssl crt {crt}
    http-request return status 200
"""


def serials(renewd: Renewd) -> dict[str, str]:
    return {c["key"].partition("-")[0]: c["serial"]
            for c in renewd.certificate(NAME)["certificates"]}


def row(renewd: Renewd, key: str = "ecdsa") -> dict:
    return next(c for c in renewd.certificate(NAME)["certificates"]
                if c["key"].startswith(key))


def staple(port: int, key: str, issuer: Path) -> dict[str, str]:
    """What a client is shown with the handshake; empty: nothing."""
    algorithms = "ECDSA+SHA256" if key == "ecdsa" else "RSA+SHA256:RSA-PSS+SHA256"
    text = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", NAME, "-status",
         "-sigalgs", algorithms, "-CAfile", issuer], input="", capture_output=True, text=True,
        check=False, timeout=20).stdout
    if "OCSP Response Status: successful" not in text:
        return {}
    # the first of each: those that follow are of the certificate that has signed it
    found = dict(reversed(re.findall(r"^ +(Cert Status|Serial Number|This Update): (.*)$", text,
                                     re.M)))
    return found | {"Serial Number": found["Serial Number"].lower()}


def good(renewd: Renewd, responder: Responder) -> None:
    """The responder knows all that was issued, and is asked again soon."""
    responder.set(**{serial: "good" for serial in serials(renewd).values()})


def ask_now(renewd: Renewd) -> None:
    """Whatever its delays are: by a look into the inventory while renewd is down."""
    renewd.stop()
    with sqlite3.connect(renewd.state_dir / "renewd.db") as db:
        db.execute("UPDATE ocsp SET ask_at = 1 WHERE ask_at > 0")
    db.close()
    renewd.start()


@stapling
@pytest.mark.parametrize("how", ["file", "directory", "bundle_path", "crt-store"])
def test_stapled(place: Place, renewd: Renewd, pebble: Pebble, how: str) -> None:
    """A pair, in a running HAProxy that was started without responses; refreshed in time,
    without a reload. (HAProxy serves none that ends within five minutes.)"""
    responder = Responder(place, pebble, PORT, minutes=60)
    responder.start()
    flat = renewd.bundle_dir.parent / "haproxy"
    copy = place.path / "copies"
    copy.mkdir()
    renewd.add_certificate(NAME, keys=["ecdsa-p256", "rsa-2048"])
    renewd.start()
    renewd.wait_state(NAME)
    crt = {"file": renewd.bundle(NAME, "haproxy.pem"), "directory": f"{flat}/",
           "bundle_path": copy / f"{NAME}.pem", "crt-store": "@web/ecdsa crt @web/rsa"}[how]
    if how == "bundle_path":
        for key in ("ecdsa", "rsa"):
            (copy / f"{NAME}.pem.{key}").write_bytes(
                renewd.bundle(NAME, f"haproxy.pem.{key}").read_bytes())
    port = free_port()
    store = f"""
crt-store web
    crt-base {renewd.bundle_dir}
    load crt "{NAME}/haproxy.pem.ecdsa" alias "ecdsa" ocsp-update off
    load crt "{NAME}/haproxy.pem.rsa" alias "rsa" ocsp-update off
""" if how == "crt-store" else ""
    haproxy = start_haproxy(place, store + frontend(port, crt), newer=bool(store))
    before = haproxy.processes()
    assert staple(port, "ecdsa", responder.issuer) == {}
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket)
    if how == "bundle_path":
        renewd.set("deploy edge", bundle_path=copy / "{name}.pem")
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    good(renewd, responder)
    ask_now(renewd)
    first = {}
    for key in ("ecdsa", "rsa"):
        wait_until(lambda k=key: staple(port, k, responder.issuer).get("Serial Number") ==
                   serials(renewd)[k], f"the {key} certificate is stapled", 40)
        first[key] = staple(port, key, responder.issuer)
        assert first[key]["Cert Status"] == "good"
        assert row(renewd, key)["ocsp"] == "good" and row(renewd, key)["ocsp_next_update"]
        file = renewd.bundle(NAME, f"haproxy.pem.{key}.ocsp")
        assert (flat / f"{NAME}.pem.{key}.ocsp").read_bytes() == file.read_bytes()
        assert how != "bundle_path" or (copy / f"{NAME}.pem.{key}.ocsp").read_bytes() == \
            file.read_bytes()
        checked = subprocess.run(
            ["openssl", "ocsp", "-respin", file, "-issuer", responder.issuer, "-serial",
             f"0x{serials(renewd)[key]}", "-CAfile", responder.issuer, "-partial_chain"],
            capture_output=True, text=True, check=False)
        assert ": good" in checked.stdout, checked
    assert responder.requests == 2
    ask_now(renewd)
    for key in ("ecdsa", "rsa"):
        wait_until(lambda k=key: staple(port, k, responder.issuer).get("This Update") !=
                   first[k]["This Update"], f"the {key} response is another", 40)
    assert haproxy.processes() == before
    assert responder.requests == 4
    renewd.stop()
    with sqlite3.connect(renewd.state_dir / "renewd.db") as db:
        for this, until, at in db.execute("SELECT this_update, next_update, ask_at FROM ocsp"):
            assert this + (until - this) * 0.4 < at <= this + (until - this) / 2
    db.close()
    renewd.start()
    if how == "directory":  # its next start takes what is on disk
        haproxy.restart()
        assert staple(port, "rsa", responder.issuer)["Cert Status"] == "good"


def reload_now(renewd: Renewd, written: int = 0) -> None:
    """What servers have loaded nears its end, says the inventory; and the response beside
    the files was written so many seconds earlier."""
    renewd.stop()
    with sqlite3.connect(renewd.state_dir / "renewd.db") as db:
        db.execute("UPDATE ocsp SET reload_at = 1, written_at = written_at - ?", (written,))
    db.close()
    renewd.start()


def reload_at(renewd: Renewd) -> int:
    with sqlite3.connect(f"file:{renewd.state_dir}/renewd.db?mode=ro", uri=True) as db:
        found = db.execute("SELECT reload_at FROM ocsp").fetchone()[0]
    db.close()
    return int(found)


@stapling
@pytest.mark.parametrize("how", ["haproxy", "nginx", "not wanted"])
def test_stapled_by_reload(place: Place, renewd: Renewd, pebble: Pebble, how: str) -> None:
    """A server that reads responses only when it is reloaded: not for each, but before
    what it has loaded ends. nginx only for a certificate that has to have one."""
    responder = Responder(place, pebble, PORT, minutes=60)
    responder.start()
    port = free_port()
    file = renewd.bundle(NAME, "haproxy.pem.ocsp")
    keys = {"must_staple": "yes"} if how == "nginx" else {}
    renewd.add_certificate(NAME, **keys)
    renewd.start()
    renewd.wait_state(NAME)
    good(renewd, responder)
    ask_now(renewd)
    wait_until(file.exists, "the response is there")
    if how == "haproxy":
        server = HAProxy(place, frontend(port, renewd.bundle(NAME, "haproxy.pem")))
        renewd.set("deploy edge", type="haproxy", master_socket=server.master_socket)
    else:
        server = Nginx(place, f"""server {{
            listen 127.0.0.1:{port} ssl;
            ssl_certificate {renewd.bundle(NAME, "fullchain.pem")};
            ssl_certificate_key {renewd.bundle(NAME, "privkey.pem")};
            ssl_stapling on;
            ssl_stapling_file {file}; }}""", [port])
        renewd.set("deploy edge", type="nginx", pidfile=server.pid_file)
    server.start()

    def reloads() -> int:
        if isinstance(server, HAProxy):
            return server.processes().reloads
        return server.output().count("(SIGHUP) received")

    def deployed() -> bool:
        return [d["state"] for d in renewd.certificate(NAME)["deployments"]] == ["deployed"]
    renewd.add_certificate(NAME, deploy="edge", **keys)
    renewd.reload()
    wait_until(deployed, "it is told", 30)
    first, before, old = staple(port, "ecdsa", responder.issuer), reloads(), file.read_bytes()
    assert first["Cert Status"] == "good" and before == 1
    ask_now(renewd)
    wait_until(lambda: file.read_bytes() != old, "another response is there")
    assert reload_at(renewd) > time.time() + 500  # what it has is good for long
    assert staple(port, "ecdsa", responder.issuer) == first
    reload_now(renewd)
    wait_until(lambda: reload_at(renewd) == 0, "that was heeded")
    if how == "not wanted":
        time.sleep(6)  # what is told is told after 5 s of quiet
        assert reloads() == before and staple(port, "ecdsa", responder.issuer) == first
        return
    wait_until(lambda: staple(port, "ecdsa", responder.issuer).get("This Update") not in
               (None, first["This Update"]), "it is served", 40)
    wait_until(deployed, "it is told anew", 30)
    assert reloads() == before + 1
    reload_now(renewd, 600)  # that one was read: no other reload
    wait_until(lambda: reload_at(renewd) == 0, "that was heeded")
    time.sleep(6)  # as above
    assert reloads() == before + 1


@stapling
def test_renewed(place: Place, renewd: Renewd, pebble: Pebble) -> None:
    """A renewal never has the response of the certificate before; a removal takes all."""
    responder = Responder(place, pebble, PORT)
    responder.start()
    renewd.add_certificate(NAME)
    renewd.start()
    renewd.wait_state(NAME)
    file = renewd.bundle(NAME, "haproxy.pem.ocsp")
    link = renewd.bundle_dir.parent / "haproxy" / f"{NAME}.pem.ocsp"
    good(renewd, responder)
    ask_now(renewd)
    wait_until(link.exists, "the response is there")
    file.write_bytes(b"nonsense")
    renewd.restart()
    renewd.wait_state(NAME)
    old = serials(renewd)
    renewd.ctl("renew", "--force", "--wait", NAME)
    assert serials(renewd) != old
    assert not file.exists() and not link.is_symlink()  # the responder knows nothing yet
    good(renewd, responder)
    ask_now(renewd)
    wait_until(link.exists, "the new one is there")
    renewd.sections.pop(f"certificate {NAME}")
    renewd.add_certificate("other.example.test")  # a configuration of none is fine, too
    renewd.reload()
    renewd.ctl("remove", NAME, "--purge")
    assert not list(link.parent.glob(f"{NAME}*"))


@stapling
@pytest.mark.parametrize("reason", ["superseded", "keyCompromise"])
def test_found_revoked(place: Place, renewd: Renewd, pebble: Pebble, reason: str) -> None:
    """Replaced at once; a compromised key is never used again, whoever else has it."""
    responder = Responder(place, pebble, PORT)
    responder.start()
    renewd.add_certificate(NAME)
    renewd.start()
    renewd.wait_state(NAME)
    old, key = serials(renewd), renewd.bundle(NAME, "privkey.pem").read_text()
    responder.set(**{old["ecdsa"]: reason})
    ask_now(renewd)
    wait_until(lambda: serials(renewd) != old, "it is replaced")
    renewd.wait_state(NAME)
    assert renewd.bundle(NAME, "privkey.pem").read_text() != key
    kinds = [line.split("\t")[1:] for line in
             renewd.ctl("history", NAME).stdout.splitlines()]
    assert any("found-revoked" in fields for fields in kinds)
    renewd.wait_log(f"it was revoked ({reason}, says its CA's OCSP responder)")
    renewd.stop()
    with sqlite3.connect(renewd.state_dir / "renewd.db") as db:
        assert db.execute("SELECT count(*) FROM compromised_keys").fetchone()[0] == \
            (reason == "keyCompromise")
    db.close()
    renewd.start()


@stapling
def test_strangers_responder(place: Place, renewd: Renewd, pebble: Pebble) -> None:
    """What another has signed is nothing, and the responder isn't asked again soon."""
    responder = Responder(place, pebble, PORT)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", responder.key, "-out",
                    responder.signer, "-subj", "/CN=stranger"], check=True, capture_output=True)
    responder.start()
    renewd.add_certificate(NAME)
    renewd.start()
    renewd.wait_state(NAME)
    good(renewd, responder)
    ask_now(renewd)
    wait_until(lambda: responder.requests == 1, "it was asked again")
    time.sleep(3)  # what would follow at once would have come
    assert responder.requests == 1
    assert "ocsp" not in row(renewd)
    assert not renewd.bundle(NAME, "haproxy.pem.ocsp").exists()
    renewd.stop()
    with sqlite3.connect(renewd.state_dir / "renewd.db") as db:
        problem, failures, at = db.execute(
            "SELECT problem, failures, ask_at FROM ocsp").fetchone()
    db.close()
    assert problem == "its answer isn't signed by the certificate's issuer"
    assert failures == 2 and at > time.time() + 200
    renewd.start()


def test_no_responder_costs_nothing(renewd: Renewd) -> None:
    renewd.add_certificate(NAME)
    renewd.start()
    renewd.wait_state(NAME)

    def gone() -> bool:
        with sqlite3.connect(f"file:{renewd.state_dir}/renewd.db?mode=ro", uri=True) as db:
            count = db.execute("SELECT count(*) FROM ocsp").fetchone()[0]
        db.close()
        return count == 0
    wait_until(gone, "there is no row any more")
    assert "ocsp" not in row(renewd)
