"""What goes wrong while renewd runs: said once, in one line that says what helps; nothing
is lost, and when the cause is gone it goes on by itself."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from needs import needs_root
from programs.haproxy import HAProxy
from programs.pebble import Pebble
from programs.place import Place
from programs.ports import free_port
from programs.program import PATIENCE, wait_until
from programs.renewd import Renewd

NAME = "www.example.test"
PATH = f"/v1/certificates/{NAME}"
# Retries come after a minute, give or take a fifth; nothing here hurries them.
BY_ITSELF = 110
# What is wrong here is looked at again much sooner.
MENDED = 60

# root without its right to pass by modes
ORDINARY = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"]

pytestmark = pytest.mark.timeout(240 * PATIENCE)


def lines(renewd: Renewd, text: str) -> list[str]:
    """What it has said with this in it, but for debug."""
    return [line for line in renewd.output().splitlines()
            if text in line and " debug: " not in line]


def try_again(renewd: Renewd, name: str = NAME) -> None:
    """An attempt more, without waiting for its time; whatever it comes to."""
    before = renewd.certificate(name)["failures"]
    renewd.ctl("renew", name)
    wait_until(lambda: renewd.certificate(name)["failures"] > before, "it has failed again")


# The CA.

def test_ca_unreachable(renewd: Renewd, pebble: Pebble) -> None:
    for name in (NAME, "b.example.test"):
        renewd.add_certificate(name)
    assert pebble.front
    pebble.front.stop()
    renewd.start()
    for name in (NAME, "b.example.test"):
        renewd.wait_certificate(name, failures=1)
    line, = lines(renewd, "the CA cannot be used")
    assert " error: " in line and ": Connection refused; " in line
    assert "what needs it is tried again by itself [ca=pebble]" in line
    shown = renewd.certificate(NAME)
    assert (shown["activity"], shown["last_error"]["stage"]) == ("waiting", "directory")
    assert shown["next_attempt"] and shown["next_attempt"] in renewd.output()
    try_again(renewd)
    assert len(lines(renewd, "the CA cannot be used")) == 1
    pebble.front.start()
    renewd.wait_state("b.example.test", timeout=BY_ITSELF)
    # a new outage is news again
    pebble.front.stop()
    renewd.ctl("renew", "--force", "b.example.test")
    renewd.wait_certificate("b.example.test", failures=1)
    assert len(lines(renewd, "Connection refused")) >= 2
    pebble.front.start()


@pytest.mark.parametrize("trust,what", [
    (None, "where this is a private CA, name the PEM file of its root as trust_file in its "
           "[ca] section"),
    ("/etc/ssl/certs/ca-certificates.crt",
     "its root is not in trust_file /etc/ssl/certs/ca-certificates.crt"),
    ("/nowhere.pem", "trust_file /nowhere.pem cannot be read, or holds no certificate in PEM"),
], ids=["system", "other", "missing"])
def test_ca_not_trusted(renewd: Renewd, pebble: Pebble, trust: str | None, what: str) -> None:
    renewd.set("ca pebble", trust_file=trust)
    renewd.add_certificate(NAME)
    renewd.start()
    renewd.wait_certificate(NAME, failures=1)
    line, = lines(renewd, "the CA cannot be used")
    assert what in line
    assert what in renewd.certificate(NAME)["last_error"]["detail"]
    try_again(renewd)
    assert len(lines(renewd, "the CA cannot be used")) == 1
    renewd.set("ca pebble", trust_file=pebble.trust_file)
    renewd.reload()
    renewd.ctl("renew", "--wait", NAME)


def test_terms_not_accepted(renewd: Renewd) -> None:
    """Nowhere without: a file is refused, and so is the control socket's."""
    renewd.set("ca other", directory="https://ca.example.test/dir", accept_terms="no")
    renewd.start()
    reply = renewd.api("PUT", PATH, {"ca": "other", "keys": "dsa"})
    assert reply.status == 422
    errors = {error["field"]: error["message"] for error in reply.json()["errors"]}
    assert set(errors) == {"ca", "keys"}
    assert errors["ca"] == ("[ca other] needs accept_terms = yes: renewd never agrees to a "
                            "CA's terms by itself")
    assert renewd.api("GET", PATH).status == 404


def test_a_ca_that_left_the_file(renewd: Renewd, pebble: Pebble) -> None:
    """What was added by the control socket stays, and is said to need it; once."""
    renewd.add_ca("second", pebble)
    renewd.start()
    assert renewd.api("PUT", PATH, {"ca": "second"}).status == 201
    serial = renewd.wait_state(NAME)["certificates"][0]["serial"]
    keys = renewd.sections.pop("ca second")
    renewd.reload()
    renewd.reload()
    renewd.restart()
    line, = lines(renewd, "cannot be renewed by this configuration")
    assert 'refers to an unknown CA "second"' in line and f"certificate={NAME}" in line
    assert renewd.certificate(NAME)["last_error"]["stage"] == "configuration"
    assert renewd.leaf(NAME).serial == serial
    renewd.sections["ca second"] = keys
    renewd.reload()
    shown = renewd.wait_certificate(NAME, failures=0, last_error=None, activity="idle")
    assert shown["certificates"][0]["serial"] == serial
    renewd.ctl("renew", "--force", "--wait", NAME)


# The port of http-01.

def test_port_taken(renewd: Renewd, pebble: Pebble) -> None:
    """It starts; orders wait, say why, and go on when the port is free."""
    port = renewd.http_port
    address = f"127.0.0.1:{port}"
    held = "no address of [http-01] can be listened on"
    renewd.set("http-01", listen=[address])
    renewd.add_certificate(NAME)
    with socket.create_server(("127.0.0.1", port)):
        renewd.start()
        renewd.wait_certificate(NAME, activity="waiting")
        shown = wait_until(lambda: renewd.certificate(NAME)["last_error"], "it says why")
        assert (shown["stage"], shown["class"]) == ("self-test", "later")
        assert shown["detail"] == f"{held}; it goes on when that is mended"
        assert renewd.certificate(NAME)["failures"] == 0
        assert renewd.get("/v1/status")["self_test"]["detail"] == held
        assert held in renewd.ctl("status").stdout
        health = renewd.ctl("health", check=False)
        assert (health.returncode, health.stdout) == (
            1, f"WARNING: 0 critical, 0 warning, 1 ok, orders wait: {held}\n")
        assert pebble.front and pebble.front.count("/order-plz") == 0
    line, = lines(renewd, f"cannot listen on {address}")
    assert " critical: " in line and "Address already in use; trying again each minute" in line
    renewd.wait_state(NAME, timeout=MENDED)
    assert renewd.certificate(NAME)["last_error"] is None
    assert renewd.get("/v1/status")["self_test"] is None
    assert renewd.ctl("health").stdout == "OK: 0 critical, 0 warning, 1 ok\n"
    assert not lines(renewd, "no order is begun")
    assert len(lines(renewd, f"cannot listen on {address}")) == 1
    assert len(lines(renewd, f"listening on {address} at last")) == 1
    assert pebble.front and pebble.front.count("/order-plz", "POST") == 1


# The inventory.

def on_small_disk(renewd: Renewd, size: str,
                  place: Path | None = None) -> Callable[[str], Path]:
    """Its state_dir, or another of its folders, on a disk of its own, seen by this process
    alone; the way to it."""
    folder = place or renewd.state_dir
    folder.mkdir()
    renewd.wrapper = ["unshare", "-m", "sh", "-c",
                      f"mount -t tmpfs -o size={size},mode=0755 none {folder} && "
                      "exec \"$@\"", "sh", *renewd.wrapper]
    return lambda file: Path(f"/proc/{renewd.pid}/root{folder}/{file}")


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as out, pytest.raises(OSError, match="No space left"):
        while True:
            out.write(b"x" * 4096)


@needs_root
def test_disk_full(renewd: Renewd, pebble: Pebble) -> None:
    on_disk = on_small_disk(renewd, "4m")
    renewd.add_certificate(NAME)
    renewd.start()
    before = renewd.wait_state(NAME)["certificates"][0]["serial"]
    fill(on_disk("ballast"))
    for _ in range(3):
        reply = renewd.api("PUT", "/v1/certificates/more.example.test",
                           {"domains": [f"n{n}.example.test" for n in range(100)]})
        assert reply.status == 500
        assert reply.json()["detail"] == \
            "the inventory cannot be written: there is no room left on its disk"
        renewd.api("POST", f"{PATH}/renew", {"force": True})
    # by whichever comes first: a commit that fails, or the self-test
    line, = lines(renewd, " critical: ")
    assert ("there is no room left on its disk; nothing is begun until it can, trying again "
            "each minute") in line or "less than 1 MiB of room is left on its disk" in line
    # what is there is served and shown all the while
    assert renewd.leaf(NAME).serial == before
    assert renewd.certificate(NAME)["certificates"][0]["serial"] == before
    assert renewd.api("GET", "/healthz").status == 200
    on_disk("ballast").unlink()
    wait_until(lambda: renewd.get("/v1/status")["self_test"] is None, "there is room", 30)
    renewd.ctl("renew", "--force", "--wait", NAME)
    after = renewd.wait_state(NAME)
    assert after["certificates"][0]["serial"] != before and after["failures"] == 0
    assert renewd.api("PUT", "/v1/certificates/more.example.test", {}).status == 201
    renewd.wait_state("more.example.test")
    assert len(lines(renewd, " critical: ")) == 1


@needs_root
def test_disk_full_during_an_order(renewd: Renewd, pebble: Pebble) -> None:
    """What the CA answers can't be kept: it goes on when there is room, by itself."""
    front = pebble.front
    assert front
    on_disk = on_small_disk(renewd, "4m")
    renewd.add_certificate(NAME)
    renewd.start()
    before = renewd.wait_state(NAME)["certificates"][0]["serial"]
    pebble.signal(signal.SIGSTOP)
    renewd.ctl("renew", "--force", NAME)
    wait_until(lambda: renewd.output().count("/order-plz [ca=pebble]") == 2, "it has asked")
    fill(on_disk("ballast"))
    pebble.signal(signal.SIGCONT)
    renewd.wait_log("the inventory cannot be written")
    on_disk("ballast").unlink()

    def renewed() -> bool:
        return renewd.certificate(NAME)["certificates"][0]["serial"] != before
    wait_until(renewed, "it is renewed", BY_ITSELF)
    assert renewd.wait_state(NAME)["failures"] == 0
    assert len(lines(renewd, "the inventory cannot be written")) == 1
    assert front.count("/order-plz", "POST") <= 3  # one was lost with its answer


def test_locked(renewd: Renewd) -> None:
    """sqlite3(1) in somebody's hands: nothing is begun for a while, and nothing lost."""
    renewd.add_certificate(NAME)
    renewd.start()
    renewd.wait_state(NAME)
    with closing(sqlite3.connect(renewd.state_dir / "renewd.db")) as db:
        db.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            reply = renewd.api("POST", f"{PATH}/renew", {"force": True})
            assert reply.status == 500
            assert reply.json()["detail"] == \
                "the inventory cannot be written: another program has locked it"
        assert renewd.certificate(NAME)["state"] == "valid"
        db.rollback()
    line, = lines(renewd, "the inventory cannot be written")
    assert "another program has locked it" in line
    renewd.ctl("renew", "--force", "--wait", NAME)


def test_damaged(renewd: Renewd) -> None:
    """A page that can't be read, while it runs: said once; what is elsewhere works on."""
    renewd.add_certificate(NAME)
    renewd.start()
    renewd.wait_state(NAME)
    path = renewd.state_dir / "renewd.db"
    with closing(sqlite3.connect(path)) as db:
        page, = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'history'").fetchone()
        size, = db.execute("PRAGMA page_size").fetchone()
        db.execute("UPDATE certificates SET paused = 0")  # has renewd forget what it has read
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b", buffering=0) as file:
        good = os.pread(file.fileno(), size, (page - 1) * size)
        os.pwrite(file.fileno(), b"\x5a" * size, (page - 1) * size)
        for _ in range(3):
            renewd.api("GET", f"{PATH}/history")
        renewd.wait_log("it is damaged")
        assert renewd.certificate(NAME)["state"] == "valid"
        line, = lines(renewd, "it is damaged")
        assert " critical: the inventory, renewd.db, cannot be read: it is damaged; " in line
        # as it says
        renewd.stop()
        os.pwrite(file.fileno(), good, (page - 1) * size)
    renewd.start()
    assert renewd.api("GET", f"{PATH}/history").body.count(b"\n") > 1
    renewd.ctl("renew", "--force", "--wait", NAME)


# The files for web servers.

def waits(renewd: Renewd, pebble: Pebble, why: str) -> None:
    """No CA is asked, all say why, and it was said once."""
    shown = renewd.wait_certificate(NAME, activity="waiting")
    wait_until(lambda: renewd.certificate(NAME)["last_error"], "it says why")
    shown = renewd.certificate(NAME)
    assert (shown["failures"], shown["last_error"]["stage"]) == (0, "self-test")
    assert why in shown["last_error"]["detail"]
    assert why in renewd.get("/v1/status")["self_test"]["detail"]
    assert renewd.get("/v1/status")["cas"][0]["limits"]["waiting_for"] == "self-test"
    assert why in renewd.ctl("health", check=False).stdout
    renewd.ctl("renew", NAME)
    renewd.wait_certificate(NAME, activity="waiting")
    line, = lines(renewd, "no order is begun")
    assert " critical: " in line and why in line and "; looked at again each 10 seconds" in line
    assert pebble.front and pebble.front.count("/order-plz") == 0


@needs_root
def test_bundle_dir_shut(renewd: Renewd, pebble: Pebble) -> None:
    """What could not be written is not ordered."""
    renewd.wrapper = ORDINARY + renewd.wrapper
    renewd.start()
    renewd.bundle_dir.chmod(0o555)
    wait_until(lambda: renewd.get("/v1/status")["self_test"], "it has seen that")
    renewd.add_certificate(NAME)
    renewd.reload()
    waits(renewd, pebble, f"bundle_dir {renewd.bundle_dir}: Permission denied")
    line, = lines(renewd, "cannot write its placeholder")
    assert f"bundle_dir: Permission denied; trying again each minute [certificate={NAME}]" in line
    renewd.bundle_dir.chmod(0o755)
    renewd.wait_state(NAME, timeout=MENDED)
    assert renewd.certificate(NAME)["last_error"] is None
    assert renewd.leaf(NAME).serial == renewd.certificate(NAME)["certificates"][0]["serial"]
    assert len(lines(renewd, "no order is begun")) == 1
    assert len(lines(renewd, "orders are begun again")) == 1


@needs_root
def test_bundle_dir_shut_during_an_order(renewd: Renewd, pebble: Pebble) -> None:
    """What was issued is kept, and written when that is possible."""
    renewd.wrapper = ORDINARY + renewd.wrapper
    renewd.add_certificate(NAME, placeholder="no")
    pebble.signal(signal.SIGSTOP)
    renewd.start()
    renewd.wait_log("GET ")
    renewd.bundle_dir.chmod(0o555)
    pebble.signal(signal.SIGCONT)
    shown = renewd.wait_certificate(NAME, state="valid", failures=1)
    line, = lines(renewd, "cannot write its files")
    assert f"bundle_dir: Permission denied; trying again each minute [certificate={NAME}]" in line
    assert shown["last_error"]["detail"] == "cannot write its files: bundle_dir: Permission denied"
    renewd.ctl("renew", NAME)
    renewd.wait_certificate(NAME, activity="waiting")
    renewd.bundle_dir.chmod(0o755)
    wait_until(lambda: renewd.bundle(NAME).exists(), "the files are written", BY_ITSELF)
    assert renewd.leaf(NAME).serial == shown["certificates"][0]["serial"]
    assert renewd.wait_state(NAME)["last_error"] is None
    assert len(lines(renewd, "cannot write its files")) == 1


@needs_root
@pytest.mark.parametrize("where", ["state", "live"])
def test_disk_nearly_full(renewd: Renewd, pebble: Pebble, where: str) -> None:
    """No room for what a CA gives: it isn't asked."""
    place = {"state": renewd.state_dir, "live": renewd.bundle_dir}[where]
    on_disk = on_small_disk(renewd, "4m", place)
    renewd.start()
    with on_disk("ballast").open("wb") as ballast:
        left = os.statvfs(on_disk("."))
        ballast.write(b"x" * (left.f_bavail * left.f_frsize - 500_000))
    wait_until(lambda: renewd.get("/v1/status")["self_test"], "it has seen that")
    renewd.add_certificate(NAME)
    renewd.reload()
    key = "state_dir" if where == "state" else "bundle_dir"
    waits(renewd, pebble, f"{key} {place}: less than 1 MiB of room is left on its disk")
    on_disk("ballast").unlink()
    renewd.wait_state(NAME, timeout=MENDED)
    assert not lines(renewd, "cannot be written")


@needs_root
def test_damaged_at_start(renewd: Renewd, pebble: Pebble) -> None:
    """An inventory with a damaged page: it is shown what can be, and no CA is asked."""
    renewd.add_certificate(NAME)
    renewd.start()
    renewd.wait_state(NAME)
    renewd.stop()
    assert pebble.front
    orders = pebble.front.count("/order-plz")
    path = renewd.state_dir / "renewd.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page, = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'account_keys'").fetchone()
        size, = db.execute("PRAGMA page_size").fetchone()
    good = path.read_bytes()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\x5a" * size)
    renewd.start()
    assert renewd.certificate(NAME)["state"] == "valid"
    renewd.api("POST", f"{PATH}/renew", {"force": True})
    renewd.wait_certificate(NAME, activity="waiting")
    wait_until(lambda: renewd.get("/v1/status")["self_test"], "the self-test says it")
    assert "it is damaged" in renewd.get("/v1/status")["self_test"]["detail"]
    line, = lines(renewd, "it is damaged")
    assert pebble.front.count("/order-plz") == orders
    renewd.stop()
    path.write_bytes(good)
    renewd.start()
    renewd.ctl("renew", "--force", "--wait", NAME)


def test_bundle_group_missing(renewd: Renewd) -> None:
    renewd.set("renewd", bundle_group="nobodys")
    renewd.add_certificate(NAME)
    renewd.start()
    renewd.wait_log("cannot write its files")
    line, = lines(renewd, "cannot write its files")
    assert 'there is no group "nobodys" (bundle_group); trying again each minute' in line
    renewd.set("renewd", bundle_group=None)
    renewd.reload()
    wait_until(lambda: renewd.bundle(NAME).exists(), "the files are written")


# Servers.

def frontend(renewd: Renewd) -> str:
    bundle = renewd.bundle(NAME, "haproxy.pem")
    return ("frontend secure\n    mode http\n"
            f"    bind 127.0.0.1:{free_port()} ssl crt {bundle}\n"
            "    http-request return status 200\n")


def failed(renewd: Renewd) -> dict:
    def row() -> dict | None:
        rows = renewd.certificate(NAME)["deployments"]
        return rows[0] if rows and rows[0]["state"] == "failed" else None
    return wait_until(row, "the deployment has failed", 60)


def deployed(renewd: Renewd) -> None:
    wait_until(lambda: renewd.certificate(NAME)["deployments"][0]["state"] == "deployed",
               "it is deployed", BY_ITSELF)


def test_haproxy_gone(place: Place, renewd: Renewd) -> None:
    """It is told when it is back; the certificate was issued all the same."""
    haproxy = HAProxy(place, frontend(renewd))
    renewd.set("deploy edge", type="haproxy", master_socket=haproxy.master_socket)
    renewd.add_certificate(NAME, deploy="edge")
    renewd.start()
    row = failed(renewd)
    assert row["detail"] == (f"there is no master socket {haproxy.master_socket}: is HAProxy "
                             "running with -W and -S?")
    line, = lines(renewd, "deployment failed")
    assert row["detail"] in line and "; next attempt at 2" in line and NAME in line
    haproxy.start()
    deployed(renewd)
    assert len(lines(renewd, "deployment failed")) == 1


@needs_root
def test_master_socket_not_permitted(place: Place, renewd: Renewd) -> None:
    renewd.wrapper = ORDINARY + renewd.wrapper
    renewd.add_certificate(NAME)
    renewd.start()
    renewd.wait_state(NAME)
    haproxy = HAProxy(place, frontend(renewd))
    haproxy.start()
    os.chmod(haproxy.master_socket, 0o600)
    os.chown(haproxy.master_socket, 65534, 65534)
    renewd.set("deploy edge", type="haproxy", master_socket=haproxy.master_socket)
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    detail = failed(renewd)["detail"]
    assert f"user root may not open {haproxy.master_socket}, which belongs to user nobody" in detail
    assert f'start HAProxy with "-S {haproxy.master_socket},mode,660,group,GROUP" and put ' \
        "user root into that group, or name its systemd unit as unit" in detail
    os.chown(haproxy.master_socket, 0, 0)
    deployed(renewd)
    assert len(lines(renewd, "deployment failed")) == 1


def test_stale_pidfile(place: Place, renewd: Renewd) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    pidfile = place.path / "pid"
    pidfile.write_text(f"{ended.pid}\n")
    renewd.set("deploy web", type="signal", pidfile=pidfile, process="sleep", signal="CONT")
    renewd.add_certificate(NAME, deploy="web")
    renewd.start()
    assert failed(renewd)["detail"] == (
        f"can't send SIGCONT to sleep by pidfile {pidfile}: the process that it names is gone; "
        "is the server running?")
    server = subprocess.Popen(["sleep", "300"])
    try:
        pidfile.write_text(f"{server.pid}\n")
        deployed(renewd)
        assert len(lines(renewd, "deployment failed")) == 1
    finally:
        server.kill()
        server.wait()
