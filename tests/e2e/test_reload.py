"""Reading the configuration again: whole or not at all, and only what differs is done."""

from __future__ import annotations

import signal
from pathlib import Path

from programs.program import wait_until
from programs.renewd import Renewd

NOBODY = {"added": [], "changed": [], "removed": []}


def reload(renewd: Renewd) -> dict:
    renewd.write_config()
    reply = renewd.api("POST", "/v1/reload")
    assert reply.status == 200, reply.body
    return reply.json()


def test_names_what_changed(renewd: Renewd) -> None:
    for name in ("a.example.test", "b.example.test", "c.example.test"):
        renewd.add_certificate(name)
    renewd.start()
    before = {name: renewd.wait_state(name) for name in ("a.example.test", "b.example.test")}
    assert reload(renewd) == NOBODY
    renewd.add_certificate("b.example.test", domains=["b.example.test", "x.example.test"])
    del renewd.sections["certificate c.example.test"]
    renewd.add_certificate("d.example.test")
    assert reload(renewd) == {"added": ["d.example.test"], "changed": ["b.example.test"],
                              "removed": ["c.example.test"]}
    assert renewd.bundle("d.example.test").exists()  # a placeholder at least, at once
    changed = renewd.wait_certificate("b.example.test", state="valid", activity="idle",
                                      domains=["b.example.test", "x.example.test"])
    renewd.wait_state("d.example.test")
    assert changed["certificates"] != before["b.example.test"]["certificates"]
    same = renewd.certificate("a.example.test")
    assert same["certificates"] == before["a.example.test"]["certificates"]
    done = renewd.ctl("reload")
    assert done.stdout == ""


def test_a_bad_one_is_refused_with_all_errors(renewd: Renewd) -> None:
    renewd.add_certificate("a.example.test", enabled="no")
    renewd.start()
    renewd.add_certificate("a.example.test", domain="x", keys="dsa")
    renewd.add_certificate("new.example.test", enabled="no")
    renewd.write_config()
    reply = renewd.api("POST", "/v1/reload")
    assert reply.status == 422
    errors = reply.json()["errors"]
    assert {error["field"] for error in errors} == {"domain", "keys"}
    assert all(error["file"] == str(renewd.config_path) and error["line"] > 0
               for error in errors)
    assert renewd.api("GET", "/v1/certificates/new.example.test").status == 404
    done = renewd.ctl("reload", check=False)
    assert done.returncode == 1
    assert f"{renewd.config_path}:" in done.stderr and 'did you mean "domains"?' in done.stderr
    # nor is one that needs a restart
    renewd.add_certificate("a.example.test", domain=None, keys=None)
    renewd.set("renewd", state_dir=renewd.folder / "elsewhere")
    renewd.write_config()
    reply = renewd.api("POST", "/v1/reload")
    assert reply.status == 422 and "needs a restart" in reply.json()["errors"][0]["message"]
    assert renewd.api("GET", "/v1/certificates/new.example.test").status == 404


def test_removed_and_back(renewd: Renewd) -> None:
    """Files stay, and the same name back adopts what was issued."""
    renewd.add_certificate("a.example.test")
    renewd.start()
    before = renewd.wait_state("a.example.test")
    keys = renewd.sections.pop("certificate a.example.test")
    assert reload(renewd)["removed"] == ["a.example.test"]
    assert renewd.api("GET", "/v1/certificates/a.example.test").status == 404
    assert renewd.get("/v1/certificates")["certificates"] == []
    assert renewd.bundle("a.example.test").exists()
    renewd.restart()
    assert renewd.bundle("a.example.test").exists()
    renewd.sections["certificate a.example.test"] = keys
    assert reload(renewd)["added"] == ["a.example.test"]
    after = renewd.wait_state("a.example.test")
    assert after["certificates"] == before["certificates"]
    # and gone for good
    del renewd.sections["certificate a.example.test"]
    reload(renewd)
    renewd.ctl("remove", "a.example.test", "--purge")
    assert not renewd.bundle("a.example.test").exists()
    assert renewd.ctl("remove", "a.example.test", "--purge", check=False).returncode == 1


def test_a_broken_file_removes_nothing(renewd: Renewd) -> None:
    conf_d = renewd.folder / "conf.d"
    conf_d.mkdir()
    file = conf_d / "site.conf"
    file.write_text("[certificate a.example.test]\nenabled = no\n")
    renewd.start()
    file.write_text("[certificate a.example.test\n")
    assert renewd.ctl("reload", check=False).returncode == 1
    assert renewd.certificate("a.example.test")["origin"] == "config"
    file.unlink()
    assert renewd.certificate("a.example.test")["origin"] == "config"
    assert reload(renewd)["removed"] == ["a.example.test"]


def test_directories_and_sockets_move(renewd: Renewd) -> None:
    renewd.add_certificate("a.example.test")
    renewd.start()
    before = renewd.wait_state("a.example.test")
    old_socket, old_bundle = renewd.socket, renewd.bundle("a.example.test")
    renewd.bundle_dir = renewd.folder / "other" / "live"
    renewd.set("renewd", bundle_dir=renewd.bundle_dir)
    renewd.set("control", socket=renewd.folder / "other.sock")
    assert reload(renewd) == NOBODY
    renewd.socket = renewd.folder / "other.sock"
    assert renewd.certificate("a.example.test")["certificates"] == before["certificates"]
    wait_until(renewd.bundle("a.example.test").exists, "its files are there, too")
    assert renewd.leaf("a.example.test").serial == before["certificates"][0]["serial"]
    assert not old_socket.exists() and old_bundle.exists()
    # where one of them can't be had nothing changes
    (renewd.folder / "file").write_text("")
    renewd.set("renewd", bundle_dir=renewd.folder / "file" / "live")
    renewd.set("control", socket=old_socket)
    renewd.write_config()
    assert renewd.api("POST", "/v1/reload").status == 500
    assert not old_socket.exists() and renewd.certificate("a.example.test")
    renewd.set("renewd", bundle_dir=renewd.bundle_dir)
    Path(old_socket).write_text("not a socket")
    renewd.write_config()
    assert renewd.api("POST", "/v1/reload").status == 500
    assert Path(old_socket).read_text() == "not a socket"
    assert renewd.certificate("a.example.test")


def test_defaults_reach_all(renewd: Renewd) -> None:
    renewd.add_certificate("a.example.test")
    renewd.start()
    renewd.wait_state("a.example.test")
    renewd.set("defaults", keys="rsa-2048")
    assert reload(renewd) == NOBODY
    renewd.wait_certificate("a.example.test", timeout=60, state="valid", activity="idle")
    shown = renewd.certificate("a.example.test")
    assert [row["key"] for row in shown["certificates"]] == ["rsa-2048"]


def test_a_target_in_defaults_is_told(renewd: Renewd) -> None:
    renewd.add_certificate("a.example.test")
    renewd.start()
    renewd.wait_state("a.example.test")
    told = renewd.folder / "told"
    renewd.set("deploy hook", type="exec", command=f"/usr/bin/touch {told}")
    renewd.set("defaults", deploy="hook")
    assert reload(renewd) == NOBODY
    wait_until(told.exists, "the target is told")
    shown = renewd.wait_state("a.example.test")
    assert [row["state"] for row in shown["deployments"]] == ["deployed"]


def test_sighup_says_what(renewd: Renewd) -> None:
    renewd.start()
    renewd.add_certificate("a.example.test", enabled="no")
    renewd.write_config()
    renewd.signal(signal.SIGHUP)
    renewd.wait_log("configuration reloaded: 1 added, 0 changed, 0 removed")
