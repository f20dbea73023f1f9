"""What somebody changes while renewd is at work counts, and is neither lost nor done twice."""

from __future__ import annotations

import signal
import sqlite3
import sys
import time
from pathlib import Path

import pytest

from programs.pebble import Pebble
from programs.place import Place
from programs.program import wait_until
from programs.renewd import Renewd


def reload(renewd: Renewd) -> None:
    seen = renewd.output().count("configuration reloaded")
    renewd.write_config()
    renewd.signal(signal.SIGHUP)
    wait_until(lambda: renewd.output().count("configuration reloaded") > seen, "it is reloaded")


def slow_hook(place: Place) -> Path:
    """A deployment that lasts until the file `go` is there."""
    path = place.path / "hook"
    path.write_text(f"#!{sys.executable}\nimport os, time\n"
                    f"while not os.path.exists({str(place.path / 'go')!r}):\n"
                    "    time.sleep(0.05)  # between two looks\n")
    path.chmod(0o755)
    return path


def test_reload_during_an_order(renewd: Renewd, pebble: Pebble) -> None:
    front = pebble.front
    assert front
    front.set_lines("http-request silent-drop if { path_beg /chalZ }")
    renewd.add_certificate("www.example.test")
    renewd.start()
    front.wait_count(1, "/authZ")
    renewd.add_certificate("www.example.test", domains=["www.example.test", "new.example.test"])
    reload(renewd)
    front.set_lines("")
    renewd.kill()  # the request that was dropped would be waited for
    renewd.start()
    wait_until(lambda: renewd.leaf("www.example.test").names ==
               {"www.example.test", "new.example.test"}, "it has the new names")


@pytest.mark.pebble(sleep=True)
def test_reload_while_the_ca_validates(renewd: Renewd) -> None:
    renewd.add_certificate("www.example.test")
    renewd.start()
    renewd.wait_certificate("www.example.test", activity="ordering")
    renewd.add_certificate("www.example.test", domains=["www.example.test", "new.example.test"])
    reload(renewd)
    wait_until(lambda: renewd.leaf("www.example.test").names ==
               {"www.example.test", "new.example.test"}, "it has the new names", 60)
    renewd.wait_state("www.example.test")


def test_force_during_a_deployment(place: Place, renewd: Renewd) -> None:
    """It is renewed after that, and --wait waits for it."""
    renewd.set("deploy copy", type="exec", command=slow_hook(place))
    renewd.add_certificate("www.example.test", deploy="copy")
    renewd.start()
    renewd.wait_certificate("www.example.test", state="valid", activity="deploying")
    serial = renewd.leaf("www.example.test").serial
    reply = renewd.api("POST", "/v1/certificates/www.example.test/renew", {"force": True})
    assert reply.status == 202
    (place.path / "go").touch()
    wait_until(lambda: renewd.leaf("www.example.test").serial != serial, "it is renewed")
    renewd.wait_state("www.example.test")
    with sqlite3.connect(f"file:{renewd.state_dir}/renewd.db?mode=ro", uri=True) as db:
        assert db.execute("SELECT count(*) FROM issued").fetchone()[0] == 2


def test_changes_reissue_what_differs(renewd: Renewd) -> None:
    renewd.add_certificate("a.example.test", keys=["ecdsa-p256", "rsa-2048"])
    renewd.add_certificate("b.example.test")
    renewd.start()
    renewd.wait_state("a.example.test")
    before = renewd.wait_state("b.example.test")
    rsa = renewd.leaf("a.example.test", "cert.rsa.pem").serial
    renewd.set("certificate a.example.test", keys=["ecdsa-p384", "rsa-2048"])
    reload(renewd)
    wait_until(lambda: renewd.leaf("a.example.test").certificate.public_key().key_size == 384,
               "the ECDSA key is another")
    shown = renewd.wait_state("a.example.test")
    assert renewd.leaf("a.example.test", "cert.rsa.pem").serial == rsa
    assert sorted(c["key"] for c in shown["certificates"]) == ["ecdsa-p384", "rsa-2048"]
    assert renewd.certificate("b.example.test") == before


def test_a_new_target_is_told_at_once(place: Place, renewd: Renewd) -> None:
    """Also where [defaults] say so; one that is gone isn't heard of any more."""
    (place.path / "go").touch()
    renewd.set("deploy one", type="exec", command="/bin/false")
    renewd.set("deploy two", type="exec", command=slow_hook(place))
    renewd.set("defaults", deploy="one")
    renewd.add_certificate("www.example.test")
    renewd.start()

    def rows() -> dict[str, str]:
        found = renewd.certificate("www.example.test")["deployments"]
        return {row["target"]: row["state"] for row in found}
    wait_until(lambda: rows() == {"one": "failed"}, "the first target fails")
    renewd.set("defaults", deploy="two")
    reload(renewd)
    wait_until(lambda: rows() == {"two": "deployed"}, "the second is told, the first gone")
    assert renewd.certificate("www.example.test")["health"] == "ok"


def test_a_placeholder_that_cannot_be_written(renewd: Renewd) -> None:
    """A group that isn't there: said by its name, and the certificate is had all the same."""
    renewd.add_certificate("www.example.test", bundle_group="no-such-group")
    renewd.start()
    renewd.wait_log('there is no group "no-such-group"')
    shown = renewd.wait_certificate("www.example.test", state="valid", activity="waiting")
    assert shown["failures"] == 1
    assert shown["last_error"]["stage"] == "bundle"
    assert "no-such-group" in shown["last_error"]["detail"]
    renewd.set("certificate www.example.test", bundle_group=None)
    reload(renewd)
    renewd.wait_state("www.example.test")
    assert renewd.leaf("www.example.test").names == {"www.example.test"}
    assert renewd.certificate("www.example.test")["failures"] == 0


def test_files_that_vanish_are_written_again(renewd: Renewd) -> None:
    renewd.add_certificate("www.example.test")
    renewd.start()
    renewd.wait_state("www.example.test")
    key = renewd.bundle("www.example.test", "privkey.pem")
    content = key.read_bytes()
    key.unlink()
    renewd.ctl("renew", "www.example.test")
    wait_until(key.exists, "the key is there again")
    assert key.read_bytes() == content


def test_another_kind_of_key(renewd: Renewd, pebble: Pebble) -> None:
    """While the new key's certificate can't be had, what is served stays as it is."""
    front = pebble.front
    assert front
    renewd.add_certificate("www.example.test")
    renewd.start()
    renewd.wait_state("www.example.test")
    fingerprint = renewd.leaf("www.example.test").fingerprint
    front.set_lines("http-request deny deny_status 500 if { path_beg /order-plz }")
    renewd.set("certificate www.example.test", keys="rsa-2048")
    reload(renewd)
    renewd.wait_certificate("www.example.test", failures=1, activity="waiting")
    assert renewd.leaf("www.example.test").fingerprint == fingerprint
    front.set_lines("")
    renewd.ctl("renew", "--wait", "www.example.test")
    assert renewd.leaf("www.example.test").key == "rsa"


def test_a_failed_change_that_is_taken_back(renewd: Renewd, pebble: Pebble) -> None:
    """No failure of before keeps it from being looked at."""
    front = pebble.front
    assert front
    renewd.add_certificate("www.example.test")
    renewd.start()
    renewd.wait_state("www.example.test")
    front.set_lines("http-request deny deny_status 500 if { path_beg /order-plz }")
    renewd.set("certificate www.example.test", domains=["www.example.test", "typo.example.test"])
    reload(renewd)
    renewd.wait_certificate("www.example.test", failures=1, activity="waiting")
    renewd.set("certificate www.example.test", domains="www.example.test")
    reload(renewd)
    shown = renewd.wait_certificate("www.example.test", failures=0, activity="idle")
    assert shown["last_error"] is None
    assert shown["renew_at"] > shown["certificates"][0]["not_before"]
    assert shown["renew_reason"] == "lifetime"
    with sqlite3.connect(f"file:{renewd.state_dir}/renewd.db?mode=ro", uri=True) as db:
        assert db.execute("SELECT next_at > 0 FROM certificates").fetchone() == (1,)


@pytest.mark.pebble(lifetime=2)
def test_certificates_that_are_old_when_new(renewd: Renewd, pebble: Pebble) -> None:
    """A CA, or a clock, that makes each certificate due at once: it isn't hammered."""
    front = pebble.front
    assert front
    renewd.add_certificate("www.example.test")
    renewd.start()
    front.wait_count(1, "/certZ")
    begin = time.monotonic()
    while time.monotonic() < begin + 8:
        renewd.certificate("www.example.test")
        time.sleep(0.2)  # asks on, over the time that is watched
    # renewed at half of its life, a second, and no faster than that
    assert front.count("/order-plz", "POST") <= 9
