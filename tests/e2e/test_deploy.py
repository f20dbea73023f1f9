"""Servers take what was issued: HAProxy, nginx, signals and programs, and what is done
where they don't."""

from __future__ import annotations

import json
import os
import signal
import ssl
import stat
import subprocess
import sys
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
from programs.tls import Leaf, served


def frontend(port: int, certificate: Path) -> str:
    return f"""
frontend secure
    mode http
    bind 127.0.0.1:{port} ssl crt {certificate}
    http-request return status 200
"""


def trusted(port: int, name: str, root: Path, key: str = "") -> Leaf:
    """What is served once the chain verifies: for a moment after a reload the workers of
    before may still accept."""
    def verified() -> Leaf | None:
        try:
            return served(port, name, key, root=root)
        except ssl.SSLCertVerificationError:
            return None
    return wait_until(verified, f"{name} is served with a certificate of the CA")


def deployed(renewd: Renewd, name: str, target: str, timeout: float = 40) -> dict:
    def state() -> dict | None:
        for row in renewd.certificate(name)["deployments"]:
            if row["target"] == target and row["state"] == "deployed":
                return row
        return None
    return wait_until(state, f"{name} is deployed to {target}", timeout)


def placeholder(renewd: Renewd, pebble: Pebble, name: str, **keys: object) -> None:
    """Starts renewd where the CA refuses for now, so that only placeholders are there."""
    front = pebble.front
    assert front
    front.set_lines("http-request deny deny_status 500 if { path_beg /order-plz }")
    renewd.add_certificate(name, **keys)
    renewd.start()
    wait_until(lambda: renewd.bundle(name).exists(), "a placeholder is there")
    wait_until(lambda: renewd.certificate(name)["failures"] == 1, "the CA has refused")
    front.set_lines("")


@pytest.mark.parametrize("by", ["master_socket", "pidfile"])
def test_haproxy(place: Place, renewd: Renewd, pebble: Pebble, by: str) -> None:
    port = free_port()
    name = "shop.example.test"
    placeholder(renewd, pebble, name, keys=["ecdsa-p256", "rsa-2048"])
    haproxy = HAProxy(place, frontend(port, renewd.bundle(name, "haproxy.pem")))
    haproxy.start()
    assert served(port, name).fingerprint == renewd.leaf(name).fingerprint
    assert "placeholder" in served(port, name).certificate.issuer.rfc4514_string()
    path = haproxy.master_socket if by == "master_socket" else haproxy.pid_file
    renewd.set("deploy edge", type="haproxy", **{by: path})
    renewd.add_certificate(name, deploy="edge")
    renewd.restart()
    renewd.ctl("renew", "--wait", name)
    deployed(renewd, name, "edge")
    root = pebble.root_file()
    for key in ("ecdsa", "rsa"):
        assert trusted(port, name, root, key).fingerprint == \
            renewd.leaf(name, f"cert.{key}.pem").fingerprint


def test_flat_directory(place: Place, renewd: Renewd, pebble: Pebble) -> None:
    """crt DIR/ of HAProxy: one file a certificate, pairs found by their suffixes."""
    renewd.add_certificate("one.example.test")
    renewd.add_certificate("two.example.test", keys=["ecdsa-p256", "rsa-2048"])
    renewd.start()
    renewd.wait_state("one.example.test")
    renewd.wait_state("two.example.test")
    port = free_port()
    haproxy = HAProxy(place, frontend(port, renewd.bundle_dir.parent / "haproxy"))
    haproxy.start()
    root = pebble.root_file()
    assert served(port, "one.example.test", root=root).key == "ecdsa"
    assert served(port, "two.example.test", "rsa", root=root).key == "rsa"
    assert served(port, "two.example.test", "ecdsa", root=root).key == "ecdsa"


def test_nginx(place: Place, renewd: Renewd, pebble: Pebble) -> None:
    port = free_port()
    name = "web.example.test"
    placeholder(renewd, pebble, name)
    nginx = Nginx(place, f"""
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {renewd.bundle(name)};
        ssl_certificate_key {renewd.bundle(name, "privkey.pem")};
    }}""", [port])
    nginx.start()
    renewd.set("deploy web", type="nginx", pidfile=nginx.pid_file)
    renewd.add_certificate(name, deploy="web")
    renewd.restart()
    renewd.ctl("renew", "--wait", name)
    deployed(renewd, name, "web")
    assert trusted(port, name, pebble.root_file()).fingerprint == \
        renewd.leaf(name).fingerprint


def hook(place: Place, name: str, text: str) -> Path:
    path = place.path / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_exec(place: Place, renewd: Renewd) -> None:
    seen = place.path / "seen"
    script = hook(place, "hook", f'env | sort > {seen}; echo "arguments: $*"; '
                                 f'cat "$RENEWD_BUNDLE_DIR/privkey.pem" >/dev/null; '
                                 f'cat >{seen}.json; test -e "$RENEWED_LINEAGE/cert.pem"')
    renewd.set("deploy copy", type="exec", command=f'{script} "one word" two')
    renewd.add_certificate("www.example.test", domains=["www.example.test", "b.example.test"],
                           deploy="copy")
    renewd.start()
    deployed(renewd, "www.example.test", "copy")
    environment = dict(line.split("=", 1) for line in seen.read_text().splitlines())
    assert environment["RENEWD_CERTIFICATE"] == "www.example.test"
    assert environment["RENEWD_DOMAINS"] == "www.example.test b.example.test"
    assert environment["RENEWD_BUNDLE_DIR"] == str(renewd.bundle_dir / "www.example.test")
    assert environment["RENEWD_TARGET"] == "copy"
    assert environment["RENEWD_SERIAL"] == renewd.leaf("www.example.test").serial
    assert environment["RENEWED_LINEAGE"] == environment["RENEWD_BUNDLE_DIR"]
    assert environment["RENEWED_DOMAINS"] == environment["RENEWD_DOMAINS"]
    told, shown = json.loads(Path(f"{seen}.json").read_text()), \
        renewd.certificate("www.example.test")
    for key in ("name", "domains", "ca", "state", "certificates", "not_after"):
        assert told[key] == shown[key]
    assert told["target"] == "copy" and told["bundle_dir"] == environment["RENEWD_BUNDLE_DIR"]
    assert sorted(told["files"]) == sorted(
        path.name for path in (renewd.bundle_dir / "www.example.test").iterdir())
    assert told["files"]["fullchain.pem"] == str(renewd.bundle("www.example.test"))
    assert "PRIVATE" not in Path(f"{seen}.json").read_text()
    renewd.wait_log("arguments: one word two")
    text = renewd.bundle("www.example.test", "privkey.pem").read_text()
    assert text.splitlines()[1] not in renewd.output()


def test_exec_troubles(place: Place, renewd: Renewd) -> None:
    """A hook that hangs goes with its children, one that floods is stopped, and the last
    lines of one that fails are told."""
    pid = place.path / "pid"
    hooks = {"hangs": f"trap '' TERM; sleep 300 & echo $! >{pid}; echo waiting; wait",
             "floods": "while :; do yes; done",
             "fails": "for i in 1 2 3 4 5; do echo line $i; done; exit 9"}
    for name, text in hooks.items():
        renewd.set(f"deploy {name}", type="exec", command=hook(place, name, text),
                   timeout="2s" if name == "hangs" else "1m")
        renewd.add_certificate(f"{name}.example.test", deploy=name)
    renewd.start()

    def detail(name: str) -> str:
        def failed() -> str | None:
            rows = renewd.certificate(f"{name}.example.test")["deployments"]
            return rows[0]["detail"] if rows and rows[0]["state"] == "failed" else None
        return wait_until(failed, f"{name} has failed")
    assert detail("hangs").endswith("was killed at its deadline: waiting")
    assert "was killed, as it wrote more than 16 MiB: y / y" in detail("floods")
    assert detail("fails").endswith("ended with exit status 9: line 3 / line 4 / line 5")
    child = Path(f"/proc/{pid.read_text().strip()}/cmdline")
    wait_until(lambda: not child.exists() or child.read_bytes() == b"", "its child is gone")
    assert len(renewd.output()) < 2_000_000
    assert "and more, which isn't logged" in renewd.output()


def test_failed_deploy_is_retried_and_orders_nothing(place: Place, renewd: Renewd,
                                                     pebble: Pebble) -> None:
    good = place.path / "good"
    script = hook(place, "hook", f"test -e {good} || {{ echo not today; exit 3; }}")
    renewd.set("deploy copy", type="exec", command=script)
    renewd.add_certificate("www.example.test", deploy="copy")
    renewd.start()

    def failed() -> dict | None:
        rows = renewd.certificate("www.example.test")["deployments"]
        return rows[0] if rows and rows[0]["state"] == "failed" else None
    row = wait_until(failed, "the deployment has failed")
    assert "not today" in row["detail"] and "3" in row["detail"]
    shown = renewd.certificate("www.example.test")
    assert (shown["state"], shown["failures"], shown["health"]) == ("valid", 0, "warning")
    following = renewd.get("/v1/status")["next"]
    assert (following["name"], following["why"]) == ("www.example.test", "deploy")
    health = renewd.ctl("health", "www.example.test", check=False)
    assert health.returncode == 1 and health.stdout.startswith("WARNING: www.example.test, ")
    assert "deployment to copy failed" in health.stdout and "not today" in health.stdout
    assert len(health.stdout.splitlines()) == 1
    health = renewd.ctl("--json", "health", "www.example.test", check=False)
    assert health.returncode == 1 and json.loads(health.stdout)["health"] == "warning"
    renewd.kill()  # also over a crash
    good.touch()
    renewd.start()
    deployed(renewd, "www.example.test", "copy")
    front = pebble.front
    assert front and front.count("/order-plz", "POST") == 1
    assert renewd.certificate("www.example.test")["health"] == "ok"


def test_reloads_are_collected(place: Place, renewd: Renewd) -> None:
    """Ten certificates that come together: one signal, not ten."""
    count = place.path / "count"
    count.write_text("")
    program = f"""
import os, pathlib, signal
def note(*_):
    with open({str(count)!r}, "a") as out:
        out.write("x")
signal.signal(signal.SIGHUP, note)
pathlib.Path({str(place.path / "pid")!r}).write_text(str(os.getpid()))
while True:
    signal.pause()
"""
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        wait_until(lambda: (place.path / "pid").exists() and
                   (place.path / "pid").read_text().strip(), "the server has its pidfile")
        renewd.set("deploy other", type="signal", pidfile=place.path / "pid",
                   process=os.path.realpath(sys.executable), signal="HUP")
        for number in range(10):
            renewd.add_certificate(f"c{number}.example.test", deploy="other")
        renewd.start()
        for number in range(10):
            deployed(renewd, f"c{number}.example.test", "other")
        wait_until(lambda: count.read_text() != "", "the signal has come")
        assert count.read_text().count("x") <= 2
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_no_signal_to_strangers(place: Place, renewd: Renewd) -> None:
    """A pidfile that names another program: nothing is sent, and it is said."""
    stranger = subprocess.Popen(["sleep", "300"])
    try:
        pidfile = place.path / "pid"
        pidfile.write_text(f"{stranger.pid}\n")
        renewd.set("deploy web", type="nginx", pidfile=pidfile)
        renewd.add_certificate("www.example.test", deploy="web")
        renewd.start()
        renewd.wait_log("deployment failed")
        row = renewd.certificate("www.example.test")["deployments"][0]
        assert row["state"] == "failed" and str(pidfile) in row["detail"]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_files_are_repaired(renewd: Renewd) -> None:
    renewd.add_certificate("www.example.test", bundle_mode="0600")
    renewd.start()
    renewd.wait_state("www.example.test")
    fingerprint = renewd.leaf("www.example.test").fingerprint
    renewd.stop()
    renewd.bundle("www.example.test", "fullchain.pem").write_text("nonsense")
    renewd.bundle("www.example.test", "privkey.pem").unlink()
    renewd.start()
    assert renewd.leaf("www.example.test").fingerprint == fingerprint
    mode = renewd.bundle("www.example.test", "privkey.pem").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert "missing or damaged" in renewd.output()
    (renewd.bundle_dir / "www.example.test").unlink()
    renewd.restart()
    assert renewd.leaf("www.example.test").fingerprint == fingerprint


def test_renewal_changes_key_unless_told(renewd: Renewd) -> None:
    renewd.add_certificate("new.example.test")
    renewd.add_certificate("same.example.test", reuse_key="yes")
    renewd.start()
    keys = {}
    for name in ("new.example.test", "same.example.test"):
        renewd.wait_state(name)
        keys[name] = renewd.bundle(name, "privkey.pem").read_bytes()
        serial = renewd.leaf(name).serial
        renewd.ctl("renew", "--force", "--wait", name)
        assert renewd.leaf(name).serial != serial
    assert renewd.bundle("new.example.test", "privkey.pem").read_bytes() != \
        keys["new.example.test"]
    assert renewd.bundle("same.example.test", "privkey.pem").read_bytes() == \
        keys["same.example.test"]


@pytest.mark.pebble(lifetime=40)
def test_renews_by_itself(renewd: Renewd) -> None:
    """A certificate of 40 seconds is replaced at half of its life, again and again."""
    renewd.add_certificate("www.example.test")
    renewd.start()
    renewd.wait_state("www.example.test")
    serials = {renewd.leaf("www.example.test").serial}
    end = time.monotonic() + 50
    while time.monotonic() < end:
        leaf = renewd.leaf("www.example.test").certificate
        serials.add(renewd.leaf("www.example.test").serial)
        assert leaf.not_valid_after.timestamp() > 0
        assert renewd.certificate("www.example.test")["state"] == "valid"
        time.sleep(0.5)  # looks on, over the time that is watched
    assert len(serials) >= 3
