"""What servers really serve: HAProxy takes certificates over its runtime API, without a
reload; and handshakes show whether a deployment has changed anything."""

from __future__ import annotations

import socket
import shutil
import threading

import pytest

from programs.authority import self_signed
from programs.haproxy import HAProxy, Unavailable
from programs.nginx import Nginx
from programs.place import Place
from programs.ports import free_port
from programs.program import wait_until
from programs.renewd import Renewd
from programs.tls import Leaf, served

NAME = "shop.example.test"


def frontend(port: int, *crt: object) -> str:
    words = " ".join(f"crt {path}" for path in crt)
    return f"""
frontend secure{port}
    mode http
    bind 127.0.0.1:{port} ssl {words}
    http-request return status 200
"""


def deployment(renewd: Renewd, name: str, target: str, state: str, text: str = "",
               patience: float = 40) -> dict:
    def row() -> dict | None:
        for it in renewd.certificate(name)["deployments"]:
            if it["target"] == target and it["state"] == state and text in it["detail"]:
                return it
        return None
    return wait_until(row, f"{name} is {state} at {target}: {text}", patience)


class Visitors:
    """New TLS connections, one after the other, until told to stop: what failed, and whose
    certificates were seen."""

    def __init__(self, port: int, name: str) -> None:
        self.port, self.name = port, name
        self.count = 0
        self.errors: list[Exception] = []
        self.seen: list[str] = []
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while not self.end.is_set():
            try:
                leaf = served(self.port, self.name).fingerprint
            except OSError as error:
                self.errors.append(error)
            else:
                if leaf not in self.seen:
                    self.seen.append(leaf)
            self.count += 1

    def __enter__(self) -> Visitors:
        self.thread.start()
        wait_until(lambda: self.count > 0, "somebody has visited")
        return self

    def __exit__(self, *_: object) -> None:
        self.end.set()
        self.thread.join()


def issued(renewd: Renewd, *names: str, **keys: object) -> None:
    for name in names:
        renewd.add_certificate(name, **keys)
    renewd.start()
    for name in names:
        renewd.wait_state(name)


VERSIONS = [pytest.param(False, id="installed"), pytest.param(True, id="newest")]


def start_haproxy(place: Place, config: str, global_lines: str = "",
                  newer: bool = False) -> HAProxy:
    try:
        haproxy = HAProxy(place, config, global_lines, newer)
    except Unavailable as why:
        pytest.skip(str(why))
    haproxy.start()
    return haproxy


@pytest.mark.parametrize("newer", VERSIONS)
@pytest.mark.parametrize("how", ["file", "directory", "crt-list", "master", "tcp"])
def test_hot_update(place: Place, renewd: Renewd, how: str, newer: bool) -> None:
    """A pair of certificates is replaced while visitors come, and no process changes."""
    issued(renewd, NAME, keys=["ecdsa-p256", "rsa-2048"])
    port, api = free_port(), free_port()
    crt = renewd.bundle(NAME, "haproxy.pem")
    flat = renewd.bundle_dir.parent / "haproxy"
    words = f"crt {crt}"
    if how == "directory":
        words = f"crt {flat}/"
    elif how == "crt-list":
        crt_list = place.path / "list"
        crt_list.write_text(f"{flat}/{NAME}.pem [alpn h2,http/1.1]\n")
        words = f"crt-list {crt_list}"
    haproxy = start_haproxy(place, frontend(port).replace("ssl ", f"ssl {words}"),
                            f"stats socket 127.0.0.1:{api} level admin", newer)
    sockets = {"master": haproxy.master_socket, "tcp": f"127.0.0.1:{api}"}
    renewd.set("deploy edge", type="haproxy", socket=sockets.get(how, haproxy.admin_socket))
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    deployment(renewd, NAME, "edge", "deployed")
    old = renewd.leaf(NAME).fingerprint
    before = haproxy.processes()
    with Visitors(port, NAME) as visitors:
        renewd.ctl("renew", "--force", "--wait", NAME)
        fresh = renewd.leaf(NAME).fingerprint
        wait_until(lambda: fresh in visitors.seen, "the new one is seen")
    assert not visitors.errors and visitors.seen == [old, fresh]
    assert haproxy.processes() == before
    for key in ("ecdsa", "rsa"):
        assert served(port, NAME, key).fingerprint == \
            renewd.leaf(NAME, f"cert.{key}.pem").fingerprint
    haproxy.restart()  # it reads what is on disk
    for key in ("ecdsa", "rsa"):
        assert served(port, NAME, key).fingerprint == \
            renewd.leaf(NAME, f"cert.{key}.pem").fingerprint
    key_lines = renewd.bundle(NAME, "privkey.pem").read_text().splitlines()
    assert key_lines[1] not in renewd.output()


def test_show_served(place: Place, renewd: Renewd) -> None:
    """What processes have loaded, also what nobody here knows; and who can't be asked."""
    issued(renewd, NAME, keys=["ecdsa-p256", "rsa-2048"])
    stranger = self_signed(place.path, ["stranger.example.test"])
    mixed = place.path / "mixed.pem"
    mixed.write_text(stranger.cert.read_text() + stranger.key.read_text())
    port = free_port()
    haproxy = HAProxy(place, frontend(port, renewd.bundle(NAME, "haproxy.pem"), mixed))
    haproxy.start()
    renewd.set("deploy edge", type="haproxy", socket=[haproxy.admin_socket, haproxy.master_socket,
                                                      place.path / "nothing.sock"])
    renewd.set("deploy copies", type="directory", cert_path=place.path / "copy.pem")
    renewd.add_certificate(NAME, deploy="copies")
    renewd.reload()
    deployment(renewd, NAME, "copies", "deployed")
    shown = {row["key"].partition("-")[0]: row["serial"]
             for row in renewd.certificate(NAME)["certificates"]}
    done = renewd.ctl("show", "--served")
    assert "nothing.sock: No such file or directory" in done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(rows) == 6 and {row[6] for row in rows} == \
        {haproxy.admin_socket, haproxy.master_socket}
    assert sorted((row[0], row[3], row[5]) for row in rows[:3]) == sorted([
        ("current", shown["ecdsa"], NAME), ("current", shown["rsa"], NAME),
        ("unknown", Leaf.of_file(mixed).serial, "-")])
    renewd.ctl("renew", "--force", "--wait", NAME)
    rows = [line.split("\t") for line in renewd.ctl("show", "--served").stdout.splitlines()]
    assert [row[0] for row in rows[:3]].count("old") == 2
    row = deployment(renewd, NAME, "copies", "deployed")
    assert (row["type"], row["where"], row["check"]) == \
        ("directory", str(place.path / "copy.pem"), "files")
    assert len(row["serials"]) == 2
    line = next(line for line in renewd.ctl("show", NAME).stdout.splitlines()
                if line.startswith("deployment\tcopies\tdeployed"))
    assert line.endswith(f"\tdirectory\t{place.path}/copy.pem\tfiles")
    assert renewd.ctl("show", check=False).returncode == 2
    assert renewd.ctl("show", NAME, "--served", check=False).returncode == 2


def test_two_processes(place: Place, renewd: Renewd) -> None:
    issued(renewd, NAME)
    ports = [free_port(), free_port()]
    both = [HAProxy(place, frontend(port, renewd.bundle(NAME, "haproxy.pem")))
            for port in ports]
    for haproxy in both:
        haproxy.start()
    before = [haproxy.processes() for haproxy in both]
    renewd.set("deploy edge", type="haproxy",
               socket=[haproxy.admin_socket for haproxy in both])
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    renewd.ctl("renew", "--force", "--wait", NAME)
    deployment(renewd, NAME, "edge", "deployed")
    for port in ports:
        assert served(port, NAME).fingerprint == renewd.leaf(NAME).fingerprint
    assert [haproxy.processes() for haproxy in both] == before


def test_unknown_is_added(place: Place, renewd: Renewd) -> None:
    """A directory takes what it hasn't known, without a reload; its next start agrees."""
    other = "new.example.test"
    issued(renewd, NAME)
    port = free_port()
    haproxy = HAProxy(place, frontend(port, f"{renewd.bundle_dir.parent}/haproxy/"))
    haproxy.start()
    before = haproxy.processes()
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket)
    renewd.add_certificate(other, deploy="edge", keys=["ecdsa-p256", "rsa-2048"])
    renewd.reload()
    deployment(renewd, other, "edge", "deployed")
    assert haproxy.processes() == before

    def check() -> None:
        assert served(port, NAME).fingerprint == renewd.leaf(NAME).fingerprint
        for key in ("ecdsa", "rsa"):
            assert served(port, other, key).fingerprint == \
                renewd.leaf(other, f"cert.{key}.pem").fingerprint
    check()
    haproxy.restart()
    check()


def test_unknown_is_reloaded(place: Place, renewd: Renewd) -> None:
    """Where nothing can be added, HAProxy reloads as it is allowed to; or it is said."""
    other = "new.example.test"
    issued(renewd, NAME, other)
    port = free_port()
    haproxy = HAProxy(place, frontend(port, renewd.bundle(NAME, "haproxy.pem")))
    haproxy.start()
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket)
    renewd.add_certificate(NAME, deploy="edge")
    renewd.add_certificate(other, deploy="edge")
    renewd.reload()
    row = deployment(renewd, other, "edge", "failed", "knows neither")
    assert str(renewd.bundle(other, "haproxy.pem")) in row["detail"]
    deployment(renewd, NAME, "edge", "deployed")  # in the same run
    haproxy.configure(frontend(port, renewd.bundle(NAME, "haproxy.pem"),
                               renewd.bundle(other, "haproxy.pem")))
    renewd.set("deploy edge", master_socket=haproxy.master_socket)
    renewd.reload()
    renewd.ctl("deploy", other)
    deployment(renewd, other, "edge", "deployed")
    assert haproxy.processes().reloads == 1
    assert served(port, other).fingerprint == renewd.leaf(other).fingerprint


def test_refused(place: Place, renewd: Renewd) -> None:
    """Somebody's transaction is pending, and takes what is meant for ours: HAProxy's words
    are passed on, nothing is committed, and the next attempt succeeds."""
    other = "other.example.test"
    issued(renewd, NAME, other)
    port = free_port()
    haproxy = HAProxy(place, frontend(port, renewd.bundle(other, "haproxy.pem"),
                                      renewd.bundle(NAME, "haproxy.pem")))
    haproxy.start()
    pending = renewd.bundle(other, "haproxy.pem")
    untouched = renewd.leaf(other).fingerprint
    assert "created" in haproxy.ask(f"set ssl cert {pending} <<\n{pending.read_text()}")
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket)
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    renewd.ctl("renew", "--force", NAME)
    row = deployment(renewd, NAME, "edge", "failed", "Transaction updated for certificate")
    assert f'"set ssl cert {renewd.bundle(NAME, "haproxy.pem")}"' in row["detail"]
    assert served(port, other).fingerprint == untouched
    deployment(renewd, NAME, "edge", "deployed")
    assert served(port, other).fingerprint == untouched
    assert served(port, NAME).fingerprint == renewd.leaf(NAME).fingerprint


def test_bundle_path(place: Place, renewd: Renewd) -> None:
    """HAProxy's own directory: bundles are written there under the names that it knows,
    also when one kind of key becomes two."""
    issued(renewd, NAME)
    certs = place.path / "certs"
    certs.mkdir()
    renewd.set("deploy edge", type="haproxy", master_socket=place.path / "none",
               bundle_path=certs / "{name}.pem")
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    deployment(renewd, NAME, "edge", "failed", "there is no master socket")
    bundle = certs / f"{NAME}.pem"
    assert bundle.read_bytes() == renewd.bundle(NAME, "haproxy.pem").read_bytes()
    assert bundle.stat().st_mode == renewd.bundle(NAME, "haproxy.pem").stat().st_mode
    port = free_port()
    haproxy = HAProxy(place, frontend(port, f"{certs}/"))
    haproxy.start()
    before = haproxy.processes()
    renewd.set("deploy edge", socket=haproxy.admin_socket, master_socket=None)
    renewd.reload()
    renewd.ctl("renew", "--force", "--wait", NAME)
    deployment(renewd, NAME, "edge", "deployed")
    assert served(port, NAME).fingerprint == renewd.leaf(NAME).fingerprint
    assert haproxy.processes() == before
    renewd.add_certificate(NAME, keys=["ecdsa-p256", "rsa-2048"])
    renewd.reload()
    rsa = certs / f"{NAME}.pem.rsa"
    wait_until(rsa.exists, "a second kind of key is there", 60)
    deployment(renewd, NAME, "edge", "deployed")
    assert sorted(path.name for path in certs.iterdir()) == \
        [f"{NAME}.pem.ecdsa", f"{NAME}.pem.rsa"]
    haproxy.restart()
    for key in ("ecdsa", "rsa"):
        assert served(port, NAME, key).fingerprint == \
            renewd.leaf(NAME, f"cert.{key}.pem").fingerprint


@pytest.mark.parametrize("how", ["missing", "mute"])
def test_no_socket(place: Place, renewd: Renewd, how: str) -> None:
    path = place.path / "nobody"
    text = "No such file or directory"
    issued(renewd, NAME)
    with socket.socket(socket.AF_UNIX) as mute:
        if how == "mute":
            mute.bind(str(path))
            mute.listen(8)
            text = "it doesn't answer"
        renewd.set("deploy edge", type="haproxy", socket=path)
        renewd.add_certificate(NAME, deploy="edge")
        renewd.reload()
        row = deployment(renewd, NAME, "edge", "failed", text)
    assert str(path) in row["detail"]
    assert renewd.certificate(NAME)["state"] == "valid"


def nginx_site(port: int, certificate: object, key: object) -> str:
    return f"""
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
    }}"""


def kinds(renewd: Renewd, name: str) -> list[str]:
    lines = renewd.ctl("--json", "history", name).stdout
    return [kind for kind in ("deployed", "served", "not-served", "deploy-failed")
            if f'"kind":"{kind}"' in lines]


def test_verified(place: Place, renewd: Renewd) -> None:
    """A pair is seen at two addresses after each deployment, by SNI and kind of key."""
    issued(renewd, NAME, keys=["ecdsa-p256", "rsa-2048"])
    ports = [free_port(), free_port()]
    haproxy = HAProxy(place, "".join(
        frontend(port, renewd.bundle(NAME, "haproxy.pem")) for port in ports))
    haproxy.start()
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket,
               verify=[f"127.0.0.1:{port}" for port in ports])
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    renewd.add_certificate("unseen.example.test", domains=NAME)
    renewd.reload()
    assert "none of its targets" in renewd.ctl(
        "verify", "unseen.example.test", check=False).stderr
    row = deployment(renewd, NAME, "edge", "served")
    assert row["verified_at"] >= row["deployed_at"] and row["detail"] == ""
    renewd.wait_state("unseen.example.test")
    assert renewd.get("/v1/status")["next"]["why"] == "verify"
    renewd.ctl("renew", "--force", "--wait", NAME)
    row = deployment(renewd, NAME, "edge", "served")

    def later() -> bool:  # times have seconds
        assert renewd.ctl("verify", NAME).returncode == 0
        return deployment(renewd, NAME, "edge", "served")["verified_at"] > row["verified_at"]
    wait_until(later, "it is looked at again", pause=0.2)
    for port in ports:
        assert served(port, NAME).fingerprint == renewd.leaf(NAME).fingerprint
    assert kinds(renewd, NAME) == ["deployed", "served"]
    shown = renewd.ctl("show", NAME).stdout
    assert "served" in shown


def test_reload_that_changes_nothing(place: Place, renewd: Renewd) -> None:
    """Somebody has broken nginx's configuration: it stays with the old certificate, and
    only a handshake shows it. Mended, it is served by the next attempt."""
    issued(renewd, NAME)
    port = free_port()
    site = nginx_site(port, renewd.bundle(NAME), renewd.bundle(NAME, "privkey.pem"))
    nginx = Nginx(place, site, [port])
    nginx.start()
    renewd.set("deploy web", type="nginx", pidfile=nginx.pid_file,
               verify=f"127.0.0.1:{port}")
    renewd.add_certificate(NAME, deploy="web")
    renewd.reload()
    deployment(renewd, NAME, "web", "served")
    old = renewd.leaf(NAME)
    whole = nginx.config_path.read_text()
    nginx.config_path.write_text(whole + "nonsense;\n")
    renewd.ctl("renew", "--force", NAME)
    row = deployment(renewd, NAME, "web", "failed", patience=100)
    assert old.serial in row["detail"] and f"127.0.0.1:{port}" in row["detail"]
    assert served(port, NAME).fingerprint == old.fingerprint
    shown = renewd.certificate(NAME)
    assert (shown["state"], shown["health"], shown["failures"]) == ("valid", "warning", 0)
    assert "not-served" in kinds(renewd, NAME)
    nginx.config_path.write_text(whole)
    renewd.ctl("deploy", NAME)
    deployment(renewd, NAME, "web", "served")
    assert served(port, NAME).fingerprint == renewd.leaf(NAME).fingerprint


def test_changed_by_somebody(place: Place, renewd: Renewd) -> None:
    """Nothing was deployed, but another certificate is there: said, and deployed again."""
    issued(renewd, NAME)
    crt = renewd.bundle(NAME, "haproxy.pem")
    before = crt.read_text()
    renewd.ctl("renew", "--force", "--wait", NAME)
    port = free_port()
    haproxy = HAProxy(place, frontend(port, crt))
    haproxy.start()
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket,
               verify=f"127.0.0.1:{port}", verify_interval="1s")
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    deployment(renewd, NAME, "edge", "served")
    haproxy.ask(f"set ssl cert {crt} <<\n{before}")
    assert "Success" in haproxy.ask(f"commit ssl cert {crt}")
    assert served(port, NAME).fingerprint != renewd.leaf(NAME).fingerprint
    renewd.wait_log("another certificate is there")
    wait_until(lambda: served(port, NAME).fingerprint == renewd.leaf(NAME).fingerprint,
               "it is deployed again", 40)
    deployment(renewd, NAME, "edge", "served")


def test_older_file(place: Place, renewd: Renewd) -> None:
    """A listener that reads a copy which nobody renews."""
    issued(renewd, NAME)
    copy = place.path / "copy.pem"
    shutil.copy(renewd.bundle(NAME, "haproxy.pem"), copy)
    old = renewd.leaf(NAME)
    port = free_port()
    haproxy = HAProxy(place, frontend(port, copy))
    haproxy.start()
    renewd.set("deploy edge", type="haproxy", master_socket=haproxy.master_socket,
               verify=f"127.0.0.1:{port}")
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    deployment(renewd, NAME, "edge", "served")
    renewd.ctl("renew", "--force", NAME)
    row = deployment(renewd, NAME, "edge", "failed", patience=100)
    assert old.serial in row["detail"]
    assert haproxy.processes().reloads == 3  # the first, the new one, and once more


def test_dead_port_and_removed_target(place: Place, renewd: Renewd) -> None:
    """Nobody listens there; and the target goes from the configuration while renewd
    looks."""
    issued(renewd, NAME)
    port = free_port()
    renewd.set("deploy copy", type="exec", command="/bin/true", verify=f"127.0.0.1:{port}")
    renewd.add_certificate(NAME, deploy="copy")
    renewd.reload()
    row = deployment(renewd, NAME, "copy", "failed", patience=100)
    assert f"127.0.0.1:{port}" in row["detail"] and "refused" in row["detail"]
    renewd.ctl("deploy", NAME)
    deployment(renewd, NAME, "copy", "deployed")  # and is looked at
    del renewd.sections["deploy copy"]
    renewd.add_certificate(NAME, deploy=None)
    renewd.reload()
    wait_until(lambda: renewd.certificate(NAME)["deployments"] == [], "it is gone", 60)
    renewd.wait_state(NAME)
