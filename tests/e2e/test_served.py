"""What servers really serve: HAProxy takes certificates over its runtime API, without a
reload; and handshakes show whether a deployment has changed anything."""

from __future__ import annotations

import socket
import shutil
import threading
import time

import pytest

from needs import or_skip
from programs.authority import self_signed
from programs.haproxy import HAProxy
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
    with or_skip():
        haproxy = HAProxy(place, config, global_lines, newer)
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


@pytest.mark.parametrize("newer", VERSIONS)
@pytest.mark.parametrize("whose", ["stranger's", "ours"])
def test_refused(place: Place, renewd: Renewd, whose: str, newer: bool) -> None:
    """Somebody's transaction is pending, and takes what is meant for ours, or is in its
    way: HAProxy's words are passed on, nothing is committed, and the attempt after it has
    gone succeeds. That of a bundle of ours was left over, and is in nobody's way."""
    other = "other.example.test"
    issued(renewd, NAME, other)
    port = free_port()
    pending = renewd.bundle(other, "haproxy.pem")
    if whose != "ours":
        pending = place.path / "theirs.pem"
        pending.write_bytes(renewd.bundle(other, "haproxy.pem").read_bytes())
    haproxy = start_haproxy(place, frontend(port, pending, renewd.bundle(NAME, "haproxy.pem")),
                            newer=newer)
    untouched = renewd.leaf(other).fingerprint
    assert "created" in haproxy.ask(f"set ssl cert {pending} <<\n{pending.read_text()}")
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket)
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    if whose == "ours":
        before = renewd.leaf(NAME).fingerprint
        renewd.ctl("renew", "--force", NAME)
        wait_until(lambda: before != served(port, NAME).fingerprint, "it is renewed", 40)
    else:
        renewd.ctl("renew", "--force", NAME)
        row = deployment(renewd, NAME, "edge", "failed", "transaction is about" if newer else
                         "Transaction updated for certificate")
        assert f'"set ssl cert {renewd.bundle(NAME, "haproxy.pem")}"' in row["detail"]
        assert served(port, other).fingerprint == untouched
        assert (f"*{pending}" in haproxy.ask("show ssl cert")) == newer
        haproxy.ask(f"abort ssl cert {pending}")
    deployment(renewd, NAME, "edge", "deployed")
    assert "*" not in haproxy.ask("show ssl cert")
    assert ("deployment failed" in renewd.output()) == (whose != "ours")
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


@pytest.mark.parametrize("how", ["watched", "by signal"])
def test_reload_that_changes_nothing(place: Place, renewd: Renewd, how: str) -> None:
    """Somebody has broken nginx's configuration: it stays with the old certificate. Its
    workers show that, and its error log says why; where nobody watches them, only a
    handshake shows it. Mended, it is served by the next attempt."""
    issued(renewd, NAME)
    port = free_port()
    site = nginx_site(port, renewd.bundle(NAME), renewd.bundle(NAME, "privkey.pem"))
    nginx = Nginx(place, site, [port])
    nginx.start()
    kind = {"type": "nginx"} if how == "watched" else {"type": "signal", "process": "nginx"}
    renewd.set("deploy web", pidfile=nginx.pid_file, verify=f"127.0.0.1:{port}", **kind)
    renewd.sections["deploy web"] = kind | renewd.sections["deploy web"]  # type comes first
    renewd.add_certificate(NAME, deploy="web")
    renewd.reload()
    deployment(renewd, NAME, "web", "served")
    old = renewd.leaf(NAME)
    whole = nginx.config_path.read_text()
    nginx.config_path.write_text(whole + "nonsense;\n")
    renewd.ctl("renew", "--force", NAME)
    row = deployment(renewd, NAME, "web", "failed", patience=100)
    if how == "watched":
        assert row["detail"].startswith("nginx goes on as it was: ")
        assert '"nonsense"' in row["detail"] and str(nginx.config_path) in row["detail"]
    else:
        assert old.serial in row["detail"] and f"127.0.0.1:{port}" in row["detail"]
        assert "not-served" in kinds(renewd, NAME)
    assert served(port, NAME).fingerprint == old.fingerprint
    shown = renewd.certificate(NAME)
    assert (shown["state"], shown["health"], shown["failures"]) == ("valid", "warning", 0)
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


def test_copies_are_repaired(place: Place, renewd: Renewd) -> None:
    """What bundle_path has is looked at as bundle_dir is: at a start, too."""
    issued(renewd, NAME)
    certs = place.path / "certs"
    certs.mkdir()
    haproxy = HAProxy(place, frontend(free_port(), renewd.bundle(NAME, "haproxy.pem")))
    haproxy.start()
    renewd.set("deploy edge", type="haproxy", master_socket=haproxy.master_socket,
               bundle_path=certs / "{name}.pem")
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    deployment(renewd, NAME, "edge", "deployed")
    copy = certs / f"{NAME}.pem"
    whole = copy.read_bytes()
    for damage in (copy.unlink, lambda: copy.write_bytes(whole[:100]),
                   lambda: copy.chmod(0o644)):
        damage()
        renewd.restart()
        wait_until(lambda: copy.exists() and copy.read_bytes() == whole and
                   copy.stat().st_mode & 0o777 == 0o640, "the copy is whole", 10)
    assert renewd.output().count("its copy at bundle_path was missing or damaged") == 3
    assert haproxy.processes().reloads == 1  # it has that already


def test_key_that_does_not_match(place: Place, renewd: Renewd) -> None:
    """Somebody has put another key into the bundle: HAProxy never gets it."""
    issued(renewd, NAME, "other.example.test")
    port = free_port()
    bundle = renewd.bundle(NAME, "haproxy.pem")
    haproxy = HAProxy(place, frontend(port, bundle))
    haproxy.start()
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket,
               verify=f"127.0.0.1:{port}")
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    deployment(renewd, NAME, "edge", "served")
    whole = bundle.read_bytes()
    bundle.write_bytes(renewd.bundle(NAME).read_bytes() +
                       renewd.bundle("other.example.test", "privkey.pem").read_bytes())
    renewd.ctl("deploy", NAME)
    wait_until(lambda: bundle.read_bytes() == whole, "it is mended")
    deployment(renewd, NAME, "edge", "served")
    assert served(port, NAME).fingerprint == renewd.leaf(NAME).fingerprint


@pytest.mark.pebble(lifetime=40)
def test_failed_verify_stops_no_renewal(renewd: Renewd) -> None:
    """Nothing is ever seen served there; it is renewed all the same, each time once."""
    renewd.set("deploy copy", type="exec", command="/bin/true",
               verify=f"127.0.0.1:{free_port()}")
    renewd.add_certificate(NAME, deploy="copy")
    renewd.start()
    deployment(renewd, NAME, "copy", "failed", "refused", patience=100)
    serials = {renewd.leaf(NAME).serial}

    def seen() -> bool:
        serials.add(renewd.leaf(NAME).serial)
        return len(serials) == 3
    wait_until(seen, "it was renewed twice more", 100)
    shown = renewd.certificate(NAME)
    assert (shown["state"], shown["failures"]) == ("valid", 0)


def test_hook_that_hangs_and_floods(place: Place, renewd: Renewd) -> None:
    """It is ended with all that it has started; what it says fills neither log nor memory,
    and nobody else waits for it."""
    script = place.path / "flood"
    script.write_text("#!/bin/sh\nyes 'so much to say' &\nsleep 600 &\nwait\n")
    script.chmod(0o755)
    renewd.set("deploy copy", type="exec", command=script, timeout="2s")
    renewd.set("deploy other", type="exec", command="/bin/true")
    renewd.add_certificate(NAME, deploy=["copy", "other"])
    renewd.add_certificate("b.example.test", deploy="other")
    renewd.start()
    deployment(renewd, "b.example.test", "other", "deployed")
    row = deployment(renewd, NAME, "copy", "failed")
    # by whichever limit it reaches first
    assert "was killed at its deadline" in row["detail"] or \
        "was killed, as it wrote more than 16 MiB" in row["detail"]
    deployment(renewd, NAME, "other", "deployed")
    assert renewd.output().count(" says: so much to say") <= 1001
    assert renewd.output().count("(and more, which isn't logged)") >= 1


def test_target_removed_while_deploying(place: Place, renewd: Renewd) -> None:
    """What has begun is ended; then nothing of the target is left."""
    go, done = place.path / "go", place.path / "done"
    script = place.path / "slow"
    script.write_text(f"#!/bin/sh\ntouch {go}\nwhile test -e {go}; do sleep 0.1; done\n"
                      f"touch {done}\n")
    script.chmod(0o755)
    renewd.set("deploy slow", type="exec", command=script)
    renewd.add_certificate(NAME, deploy="slow")
    renewd.start()
    wait_until(go.exists, "the program runs")
    del renewd.sections["deploy slow"]
    renewd.add_certificate(NAME, deploy=None)
    renewd.reload()
    assert renewd.certificate(NAME)["activity"] == "deploying"
    go.unlink()
    wait_until(done.exists, "it ends")
    wait_until(lambda: renewd.certificate(NAME)["deployments"] == [], "it is gone")
    renewd.wait_state(NAME)


def test_killed_while_deploying(place: Place, renewd: Renewd) -> None:
    """At any moment of a deployment and of what is looked at after it: the next start goes
    on, the newest is served, and no order was made twice."""
    issued(renewd, NAME)
    port = free_port()
    haproxy = HAProxy(place, frontend(port, renewd.bundle(NAME, "haproxy.pem")))
    haproxy.start()
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket, roll_back="yes",
               verify=f"127.0.0.1:{port}")
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    deployment(renewd, NAME, "edge", "served")
    for verb in (("renew", "--force"), ("rollback",), ("deploy",)):
        for pause in (0.05, 0.3, 5.02, 5.1, 6.1):
            before = renewd.leaf(NAME).fingerprint
            if verb != ("rollback",) or "rolled_back" not in renewd.certificate(NAME):
                renewd.ctl(*verb, NAME)
            time.sleep(pause)  # the moment at which it is killed
            renewd.kill()
            renewd.start()
            if verb[0] == "renew":
                wait_until(lambda before=before: renewd.leaf(NAME).fingerprint != before,
                           "it is renewed", 60)
            renewd.wait_state(NAME, timeout=60)
            deployment(renewd, NAME, "edge", "served", patience=60)
            wait_until(lambda: served(port, NAME).fingerprint ==
                       renewd.leaf(NAME).fingerprint, "the newest is served", 60)


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
