"""Certificates that come, change, rest and go over the control socket."""

from __future__ import annotations

import pytest

from programs.pebble import Pebble
from programs.program import wait_until
from programs.renewd import Reply, Renewd

NAME = "api.example.test"
PATH = f"/v1/certificates/{NAME}"


def fields(reply: Reply) -> dict[str, str]:
    assert reply.status == 422, reply.body
    assert reply.headers["Content-Type"] == "application/problem+json"
    return {error["field"]: error["message"] for error in reply.json()["errors"]}


def test_put_and_delete(renewd: Renewd) -> None:
    renewd.add_certificate("ini.example.test", enabled="no")
    renewd.start()
    reply = renewd.api("PUT", PATH, {"domains": [NAME, "x.example.test"], "reuse_key": True})
    assert reply.status == 201
    assert reply.json()["origin"] == "api" and reply.json()["name"] == NAME
    assert renewd.bundle(NAME).exists()  # a placeholder at least, at once
    first = renewd.wait_state(NAME)
    assert first["domains"] == [NAME, "x.example.test"]
    # the same again, otherwise written: nothing happens
    same = {"domains": f"{NAME}, x.example.test", "reuse_key": "yes"}
    assert renewd.api("PUT", PATH, same).status == 200
    assert renewd.certificate(NAME)["certificates"] == first["certificates"]
    reply = renewd.api("PUT", PATH, {"domains": [NAME]})
    assert reply.status == 200
    renewd.wait_certificate(NAME, domains=[NAME], state="valid", activity="idle")
    # it survives a restart and a reload
    renewd.restart()
    renewd.reload()
    assert renewd.certificate(NAME)["origin"] == "api"
    # the file's are the file's
    for method in ("PUT", "DELETE"):
        reply = renewd.api(method, "/v1/certificates/INI.example.test",
                           {} if method == "PUT" else None)
        assert reply.status == 409 and f"{renewd.config_path}:" in reply.json()["detail"]
    serial = renewd.leaf(NAME).serial
    reply = renewd.api("DELETE", PATH)
    assert (reply.status, reply.body) == (204, b"")
    assert renewd.api("GET", PATH).status == 404
    assert renewd.api("DELETE", PATH).status == 404
    assert renewd.leaf(NAME).serial == serial
    assert renewd.api("PUT", PATH, {}).status == 201
    assert renewd.leaf(NAME).serial == serial
    assert renewd.wait_state(NAME)["certificates"][0]["serial"] == serial
    assert renewd.api("DELETE", f"{PATH}?purge=1").status == 204
    assert not renewd.bundle(NAME).exists()
    assert renewd.api("DELETE", f"{PATH}?purge=1").status == 404


def test_delete_while_ordering(renewd: Renewd, pebble: Pebble) -> None:
    assert pebble.front
    pebble.front.set_lines("http-request deny deny_status 500 if { path_beg /finalize-order }")
    renewd.start()
    assert renewd.api("PUT", PATH, {}).status == 201
    assert renewd.api("DELETE", f"{PATH}?purge=1").status == 204
    assert not renewd.bundle(NAME).exists()
    pebble.front.set_lines("")
    assert renewd.api("PUT", PATH, {}).status == 201
    renewd.wait_state(NAME, timeout=60)


def test_what_is_wrong_is_said(renewd: Renewd) -> None:
    renewd.start()
    wrong = fields(renewd.api("PUT", PATH, {"domain": "x", "keys": ["dsa"], "ca": "nobody",
                                            "enabled": {"no": 1}, "profile": "a\nkeys = x"}))
    assert 'did you mean "domains"?' in wrong["domain"]
    assert "control characters" in wrong["profile"]
    assert "enabled" in wrong
    wrong = fields(renewd.api("PUT", PATH, {"keys": ["dsa"], "ca": "nobody"}))
    assert "dsa" in wrong["keys"] and "nobody" in wrong["ca"]
    assert "dns" in fields(renewd.api("PUT", PATH, {"domains": "*.example.test"}))["domains"]
    assert fields(renewd.api("PUT", "/v1/certificates/-bad", {"domains": NAME}))["name"]
    assert fields(renewd.api("DELETE", f"{PATH}?revoke=yes"))["revoke"]
    assert fields(renewd.api("DELETE", f"{PATH}?prune=1"))["prune"]
    assert renewd.api("PUT", PATH, b"{").status == 400
    assert renewd.api("PUT", PATH, b"[]").status == 400
    deep = b"[" * 10_000 + b"]" * 10_000
    reply = renewd.api("PUT", PATH, b'{"domains":' + deep + b"}")
    assert reply.status == 400 and "nested" in reply.json()["detail"]
    assert renewd.get("/v1/certificates")["certificates"] == []


def test_pause_survives_restarts(renewd: Renewd) -> None:
    renewd.add_certificate("a.example.test")
    renewd.start()
    before = renewd.wait_state("a.example.test")
    renewd.ctl("pause", "a.example.test")
    assert renewd.certificate("a.example.test")["activity"] == "paused"
    renewd.restart()
    assert renewd.certificate("a.example.test")["activity"] == "paused"
    reply = renewd.api("POST", "/v1/certificates/a.example.test/renew", {"force": True})
    assert reply.status == 409
    renewd.add_certificate("a.example.test", domains=["a.example.test", "b.example.test"])
    renewd.reload()
    renewd.wait_certificate("a.example.test", activity="paused", health="warning")
    assert renewd.certificate("a.example.test")["certificates"] == before["certificates"]
    reply = renewd.api("POST", "/v1/certificates/a.example.test/resume")
    assert reply.status == 200
    renewd.wait_certificate("a.example.test", state="valid", activity="idle",
                            domains=["a.example.test", "b.example.test"])
    assert renewd.leaf("a.example.test").names == {"a.example.test", "b.example.test"}


def test_a_renewal_is_seen_at_once(renewd: Renewd) -> None:
    """What was asked for is told as asked for, also before anything has begun."""
    renewd.start()
    new = renewd.api("PUT", PATH, {})
    assert new.status == 201
    assert new.json()["renew_reason"] == "new" and new.json()["renew_at"]
    assert new.json()["activity"] == "ordering"
    planned = renewd.wait_state(NAME)
    assert planned["renew_reason"] == "lifetime"
    asked = renewd.api("POST", f"{PATH}/renew", {"force": True})
    assert asked.status == 202
    assert asked.json()["renew_reason"] == "forced"
    assert asked.json()["activity"] == "ordering"
    assert asked.json()["renew_at"] < planned["renew_at"]
    renewed = renewd.wait_state(NAME)  # so idle means that it is done
    assert renewed["certificates"] != planned["certificates"]
    assert renewed["renew_reason"] == "lifetime"
    changed = renewd.api("PUT", PATH, {"keys": "ecdsa-p384"})
    assert changed.json()["renew_reason"] == "changed"
    assert renewd.wait_state(NAME)["certificates"][0]["key"] == "ecdsa-p384"


def test_deploy_again(renewd: Renewd) -> None:
    told = renewd.folder / "told"
    renewd.set("deploy hook", type="exec",
               command=f'/bin/sh -c "echo $RENEWD_CERTIFICATE >> {told}"')
    renewd.add_certificate("a.example.test", deploy="hook")
    renewd.add_certificate("b.example.test")
    renewd.start()
    for name in ("a.example.test", "b.example.test"):
        renewd.wait_state(name)
    # of the placeholder, too, where the CA takes its time
    wait_until(lambda: [d["state"] for d in renewd.certificate("a.example.test")["deployments"]]
               == ["deployed"], "it is told")
    count = len(told.read_text().splitlines())
    assert renewd.api("POST", "/v1/certificates/b.example.test/deploy").status == 409
    reply = renewd.api("POST", "/v1/certificates/a.example.test/deploy")
    assert reply.status == 202
    wait_until(lambda: len(told.read_text().splitlines()) == count + 1, "it is told again")
    renewd.wait_state("a.example.test")
    renewd.ctl("deploy", "a.example.test")


def test_renewctl_adds_and_removes(renewd: Renewd) -> None:
    renewd.start()
    done = renewd.ctl("add", NAME, NAME, "x.example.test", "--keys=rsa-2048", "--wait")
    name, state, _ = done.stdout.strip().split("\t")
    assert (name, state) == (NAME, "valid")
    shown = renewd.certificate(NAME)
    assert shown["certificates"][0]["key"] == "rsa-2048"
    assert shown["domains"] == [NAME, "x.example.test"]
    again = renewd.ctl("add", NAME, NAME, "x.example.test", "--keys=rsa-2048", "--wait")
    assert (again.stdout, again.stderr) == (done.stdout, "")  # as it is to be
    done = renewd.ctl("add", NAME, "--ca=nobody", check=False)
    assert done.returncode == 1 and "nobody" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert renewd.ctl("remove", NAME).stdout == f"{NAME}\tremoved\n"
    assert renewd.ctl("remove", NAME, "--force", check=False).returncode == 2


@pytest.mark.parametrize("size", [2 * 1024 * 1024, 100_000_000])
def test_large_bodies(renewd: Renewd, size: int) -> None:
    renewd.start()
    try:
        reply = renewd.api("PUT", PATH, b'{"domains":"' + b"a" * size + b'"}')
        assert reply.status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # it had answered, and hung up
    assert renewd.get("/v1/status")["pid"] == renewd.pid


def names(renewd: Renewd, query: str) -> list[str]:
    return [c["name"] for c in renewd.get(f"/v1/certificates?{query}")["certificates"]]


def test_filters(renewd: Renewd) -> None:
    renewd.add_certificate("valid.example.test", domains=["valid.example.test", "Aux.Example.Test"])
    for number in range(450):
        renewd.add_certificate(f"new{number:03}.example.test", enabled="no")
    renewd.start()
    renewd.wait_state("valid.example.test")
    assert names(renewd, "state=valid") == ["valid.example.test"]
    assert len(names(renewd, "state=new")) == 450
    assert names(renewd, "state=expired") == []
    assert names(renewd, "q=AUX.example") == ["valid.example.test"]
    assert names(renewd, "q=new44&limit=3") == [f"new44{n}.example.test" for n in range(3)]
    assert names(renewd, "health=ok") == ["valid.example.test"]
    assert names(renewd, "ca=nobody") == []
    assert len(names(renewd, "ca=Pebble")) == 451
    assert names(renewd, "expires_within=1h") == []
    assert names(renewd, "expires_within=9999w") == ["valid.example.test"]
    # pages end where nothing more matches
    page = renewd.get("/v1/certificates?q=new44&limit=10")
    assert len(page["certificates"]) == 10 and page["next"] is None
    page = renewd.get("/v1/certificates?state=new&limit=440")
    assert page["next"] == "new439.example.test"
    page = renewd.get(f"/v1/certificates?state=new&limit=440&after={page['next']}")
    assert len(page["certificates"]) == 10 and page["next"] is None
    for query in ("state=good", "health=1", "expires_within=1/3", "expires_within=x", "limit=0",
                  "sort=name"):
        assert fields(renewd.api("GET", f"/v1/certificates?{query}")), query
