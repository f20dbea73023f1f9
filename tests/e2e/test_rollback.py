"""Targets in order, in their hours, and back to the certificate of before: by hand, or where
a new one has broken the server."""

from __future__ import annotations

import datetime

import pytest

from programs.haproxy import HAProxy
from programs.load_ca import LoadCa
from programs.nginx import Nginx
from programs.place import Place
from programs.ports import free_port
from programs.program import wait_until
from programs.renewd import Renewd
from programs.tls import served
from test_deploy import hook
from test_served import deployment, frontend, issued, kinds, nginx_site

NAME = "shop.example.test"


def shut_window() -> str:
    """Hours of another day than this one and the next."""
    day = datetime.datetime.now() + datetime.timedelta(days=3)
    return f"{day:%a} 03:00-03:30"


def test_require(place: Place, renewd: Renewd) -> None:
    """Targets behind one that is required wait for it; --wait counts it."""
    good, told = place.path / "good", place.path / "told"
    first = hook(place, "first", f"test -e {good} || {{ echo not today; exit 3; }}")
    second = hook(place, "second", f"echo x >> {told}")
    renewd.set("deploy first", type="exec", command=first, require="yes")
    renewd.set("deploy second", type="exec", command=second)
    renewd.add_certificate(NAME, deploy=["first", "second"])
    renewd.start()
    deployment(renewd, NAME, "first", "failed", "not today")
    done = renewd.ctl("renew", "--force", "--wait", NAME, check=False)
    assert done.returncode == 1
    assert "deployment to first failed" in done.stderr and "warning" not in done.stderr
    assert not told.exists()
    rows = renewd.certificate(NAME)["deployments"]
    assert [(row["target"], row["required"]) for row in rows] == [("first", True)]
    assert renewd.certificate(NAME)["failures"] == 0
    # it isn't looked at all the time, but when the first target is tried again
    assert renewd.get("/v1/status")["next"]["why"] == "deploy"
    good.touch()
    renewd.ctl("deploy", NAME)
    deployment(renewd, NAME, "second", "deployed")
    assert told.read_text() == "x\n"
    # one that isn't required holds nobody, and is only warned of
    good.unlink()
    renewd.set("deploy first", require="no")
    renewd.reload()
    done = renewd.ctl("renew", "--force", "--wait", NAME)
    assert "warning: deployment to first failed" in done.stderr
    assert told.read_text() == "x\nx\n"


def test_window(place: Place, renewd: Renewd) -> None:
    """Nothing is told outside of its hours, but what is asked for by hand."""
    told = place.path / "told"
    renewd.set("deploy copy", type="exec", command=hook(place, "copy", f"echo x >> {told}"),
               deploy_window=shut_window())
    renewd.set("deploy other", type="exec", command=hook(place, "other", "true"))
    renewd.add_certificate(NAME, deploy=["copy", "other"])
    renewd.start()
    # it has none yet, so that doesn't wait
    deployment(renewd, NAME, "copy", "deployed")
    done = renewd.ctl("renew", "--force", "--wait", NAME)
    assert "warning: deployment to copy is still pending: waits for its deploy_window" in \
        done.stderr
    row = deployment(renewd, NAME, "copy", "pending", "waits for its deploy_window")
    deployment(renewd, NAME, "other", "deployed")
    shown = renewd.certificate(NAME)
    assert shown["health"] == "ok" and shown["activity"] == "idle"
    assert told.read_text() == "x\n"
    renewd.restart()  # it still waits
    assert deployment(renewd, NAME, "copy", "pending")["detail"] == row["detail"]
    assert told.read_text() == "x\n"
    renewd.ctl("deploy", NAME)
    deployment(renewd, NAME, "copy", "deployed")
    assert told.read_text() == "x\nx\n"
    # other hours are heeded at once
    renewd.ctl("renew", "--force", "--wait", NAME)
    deployment(renewd, NAME, "copy", "pending")
    renewd.set("deploy copy", deploy_window="00:00-24:00")
    renewd.reload()
    deployment(renewd, NAME, "copy", "deployed")
    assert told.read_text() == "x\nx\nx\n"


@pytest.mark.pebble(lifetime=60)
def test_window_is_passed_near_the_end(place: Place, renewd: Renewd) -> None:
    """A target whose certificate is near its end is told whatever the hour."""
    told = place.path / "told"
    renewd.set("deploy copy", type="exec", command=hook(place, "copy", f"echo x >> {told}"),
               deploy_window=shut_window())
    renewd.add_certificate(NAME, deploy="copy")
    renewd.start()
    deployment(renewd, NAME, "copy", "deployed")
    serial = renewd.leaf(NAME).serial
    deployment(renewd, NAME, "copy", "pending", "waits for its deploy_window")
    assert renewd.leaf(NAME).serial != serial and told.read_text() == "x\n"
    deployment(renewd, NAME, "copy", "deployed", patience=60)


def test_rollback_by_hand(place: Place, renewd: Renewd) -> None:
    """There and back: HAProxy serves the certificate of before, over a restart of renewd and
    a crash, until somebody deploys or it is renewed."""
    issued(renewd, NAME, keys=["ecdsa-p256", "rsa-2048"])
    port = free_port()
    haproxy = HAProxy(place, frontend(port, renewd.bundle(NAME, "haproxy.pem")))
    haproxy.start()
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket,
               verify=f"127.0.0.1:{port}", deploy_window=shut_window())
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    deployment(renewd, NAME, "edge", "served")
    refused = renewd.ctl("rollback", NAME, check=False)
    assert refused.returncode == 1 and "no certificate before" in refused.stderr
    old = renewd.leaf(NAME).fingerprint
    renewd.ctl("renew", "--force", NAME)
    wait_until(lambda: renewd.leaf(NAME).fingerprint != old, "it is renewed", 30)
    renewd.ctl("deploy", NAME)
    deployment(renewd, NAME, "edge", "served")
    fresh = renewd.leaf(NAME).fingerprint

    def old_is_served() -> None:
        wait_until(lambda: served(port, NAME, "ecdsa").fingerprint == old, "the old one", 40)
        assert renewd.leaf(NAME).fingerprint == old
        deployment(renewd, NAME, "edge", "served")
    assert renewd.api("POST", f"/v1/certificates/{NAME}/rollback").status == 202
    old_is_served()
    shown = renewd.certificate(NAME)
    assert shown["rolled_back"]["target"] is None and shown["health"] == "warning"
    assert shown["certificates"][0]["fingerprint_sha256"] == fresh
    assert f'renewd_certificate_rolled_back{{name="{NAME}"}} 1' in renewd.ctl("metrics").stdout
    assert "rolled_back\t" in renewd.ctl("show", NAME).stdout
    again = renewd.ctl("rollback", NAME, check=False)
    assert again.returncode == 1 and "already" in again.stderr
    orders = len([line for line in renewd.ctl("--json", "history", NAME).stdout.splitlines()
                  if '"kind":"issued"' in line])
    renewd.kill()
    renewd.start()
    old_is_served()
    renewd.bundle(NAME).unlink()  # repaired as what it is to be
    renewd.restart()
    old_is_served()
    renewd.ctl("deploy", NAME)
    wait_until(lambda: served(port, NAME, "ecdsa").fingerprint == fresh, "the new one", 40)
    assert "rolled_back" not in renewd.certificate(NAME)
    deployment(renewd, NAME, "edge", "served")
    assert orders == len([line for line in renewd.ctl("--json", "history", NAME)
                          .stdout.splitlines() if '"kind":"issued"' in line])
    # a renewal ends it, too
    renewd.ctl("rollback", NAME)
    old_is_served()
    renewd.ctl("renew", "--force", NAME)
    wait_until(lambda: renewd.leaf(NAME).fingerprint not in (old, fresh), "another", 30)
    assert "rolled_back" not in renewd.certificate(NAME)


@pytest.mark.pebble(lifetime=40)
def test_no_rollback_to_what_is_over(renewd: Renewd) -> None:
    issued(renewd, NAME)
    first = renewd.leaf(NAME)
    renewd.ctl("renew", "--force", "--wait", NAME)
    renewd.ctl("rollback", NAME)
    wait_until(lambda: renewd.leaf(NAME).fingerprint == first.fingerprint, "the old one")
    # it ends by itself, before the old one does
    wait_until(lambda: renewd.leaf(NAME).fingerprint != first.fingerprint, "a newer one", 60)
    end = first.certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)
    assert datetime.datetime.now(datetime.timezone.utc) < end


def test_rollback_of_what_breaks(place: Place, renewd: Renewd) -> None:
    """nginx takes an RSA certificate that none of its clients can talk to: the ECDSA one of
    before comes back, and what is mended is deployed by hand."""
    issued(renewd, NAME)
    port = free_port()
    site = nginx_site(port, renewd.bundle(NAME), renewd.bundle(NAME, "privkey.pem"))
    narrow = "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;"
    nginx = Nginx(place, site.replace("ssl_certificate ", narrow + " ssl_certificate "), [port])
    nginx.start()
    renewd.set("deploy web", type="nginx", pidfile=nginx.pid_file, roll_back="yes",
               verify=f"127.0.0.1:{port}")
    renewd.add_certificate(NAME, deploy="web")
    renewd.reload()
    deployment(renewd, NAME, "web", "served")
    old = renewd.leaf(NAME)
    renewd.add_certificate(NAME, deploy="web", keys="rsa-2048")
    renewd.reload()
    wait_until(lambda: renewd.certificate(NAME).get("rolled_back"), "it went back", 120)
    deployment(renewd, NAME, "web", "served", patience=60)
    assert served(port, NAME).fingerprint == old.fingerprint == renewd.leaf(NAME).fingerprint
    shown = renewd.certificate(NAME)
    assert shown["rolled_back"]["target"] == "web" and shown["health"] == "critical"
    assert "no TLS handshake" in shown["rolled_back"]["detail"]
    assert (shown["state"], shown["failures"]) == ("valid", 0)
    assert shown["certificates"][0]["key"] == "rsa-2048"
    health = renewd.ctl("health", NAME, check=False)
    assert health.returncode == 2 and "rolled back, as it broke web" in health.stdout
    assert "rolled-back" in renewd.ctl("history", NAME).stdout
    assert 'renewd_rollbacks_total{target="web",result="rolled-back"} 1' in \
        renewd.ctl("metrics").stdout
    nginx.configure(site)
    nginx.reload()
    renewd.ctl("deploy", NAME)
    deployment(renewd, NAME, "web", "served", patience=60)
    wait_until(lambda: served(port, NAME).key == "rsa", "the new one is served")
    assert renewd.certificate(NAME)["health"] == "ok"


class Strict(HAProxy):
    """Where OpenSSL wants keys of 128 bits of security: RSA-2048 has less."""

    def environment(self) -> dict[str, str]:
        config = self.folder / "openssl.cnf"
        config.write_text("openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\n"
                          "system_default = default\n[default]\n"
                          "CipherString = DEFAULT:@SECLEVEL=3\n")
        return super().environment() | {"OPENSSL_CONF": str(config)}


def test_rollback_of_what_is_refused(place: Place) -> None:
    """HAProxy refuses a key that is too small for it: it goes on with the old one, and what
    its next start would read is put back. (Pebble's own keys are as small.)"""
    ca = LoadCa(place, free_port())
    ca.start()
    renewd = Renewd(place, http_port=ca.http_port)
    renewd.add_ca("load", ca)
    issued(renewd, NAME, ca="load")
    port = free_port()
    haproxy = Strict(place, frontend(port, renewd.bundle(NAME, "haproxy.pem")))
    haproxy.start()
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket, roll_back="yes",
               verify=f"127.0.0.1:{port}")
    renewd.add_certificate(NAME, ca="load", deploy="edge")
    renewd.reload()
    deployment(renewd, NAME, "edge", "served")
    old = renewd.leaf(NAME)
    renewd.add_certificate(NAME, ca="load", deploy="edge", keys="rsa-2048")
    renewd.reload()
    wait_until(lambda: renewd.certificate(NAME).get("rolled_back"), "it went back", 60)
    deployment(renewd, NAME, "edge", "served", patience=60)
    assert "commit ssl cert" in renewd.certificate(NAME)["rolled_back"]["detail"]
    assert renewd.leaf(NAME).fingerprint == old.fingerprint
    haproxy.restart()
    assert served(port, NAME).fingerprint == old.fingerprint


def test_rollback_that_does_not_help(place: Place, renewd: Renewd) -> None:
    """The server has gone for another reason: the new certificate comes back, and is served
    when the server is there again."""
    issued(renewd, NAME)
    port = free_port()
    haproxy = HAProxy(place, frontend(port, renewd.bundle(NAME, "haproxy.pem")))
    haproxy.start()
    renewd.set("deploy edge", type="haproxy", socket=haproxy.admin_socket, roll_back="yes",
               verify=f"127.0.0.1:{port}")
    renewd.add_certificate(NAME, deploy="edge")
    renewd.reload()
    deployment(renewd, NAME, "edge", "served")
    old = renewd.leaf(NAME)
    haproxy.stop()
    renewd.ctl("renew", "--force", NAME)
    wait_until(lambda: "rollback-failed" in renewd.ctl("history", NAME).stdout,
               "it came back", 60)
    wait_until(lambda: renewd.leaf(NAME).fingerprint != old.fingerprint, "the new one")
    assert "rolled_back" not in renewd.certificate(NAME)
    # it is told anew first, for which it waits a little
    wait_until(lambda: renewd.certificate(NAME)["health"] == "warning", "it fails again", 60)
    deployment(renewd, NAME, "edge", "failed")
    haproxy.start()
    renewd.ctl("deploy", NAME)
    deployment(renewd, NAME, "edge", "served")
    assert served(port, NAME).fingerprint == renewd.leaf(NAME).fingerprint
    assert kinds(renewd, NAME)
