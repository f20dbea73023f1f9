"""The control socket and renewctl, against the real daemon."""

from __future__ import annotations

import json
import signal
import stat

from programs.pebble import Pebble
from programs.program import wait_until
from programs.renewd import Renewd


def test_status_list_show(renewd: Renewd) -> None:
    renewd.add_certificate("b.example.test", domains=["b.example.test", "x.example.test"])
    renewd.add_certificate("a.example.test", enabled="no")
    renewd.start()
    shown = renewd.wait_state("b.example.test")
    assert stat.S_IMODE(renewd.socket.stat().st_mode) in (0o600, 0o660)

    rows = [line.split("\t") for line in renewd.ctl("list").stdout.splitlines()]
    assert [row[0] for row in rows] == ["a.example.test", "b.example.test"]
    assert rows[1] == ["b.example.test", "valid", "ok", "idle", "pebble", shown["not_after"],
                       shown["renew_at"], "b.example.test,x.example.test"]
    assert rows[0][:5] == ["a.example.test", "new", "warning", "paused", "pebble"]
    assert rows[0][5] == "-"

    assert json.loads(renewd.ctl("--json", "show", "b.example.test").stdout) == \
        renewd.certificate("b.example.test")
    status = renewd.get("/v1/status")
    assert status["pid"] == renewd.pid
    assert status["counts"]["state"]["valid"] == 1
    assert status["counts"]["state"]["new"] == 1
    assert status["counts"]["activity"]["paused"] == 1
    assert [ca["name"] for ca in status["cas"] if ca["directory"].endswith("/dir")] == ["pebble"]
    assert "b.example.test" in renewd.ctl("show", "b.example.test").stdout
    renewd.ctl("status")


def test_pages(renewd: Renewd) -> None:
    names = [f"c{number:03}.example.test" for number in range(25)]
    for name in names:
        renewd.add_certificate(name, enabled="no")
    renewd.start()
    whole = renewd.get("/v1/certificates")
    assert [c["name"] for c in whole["certificates"]] == names and whole["next"] is None
    seen, after = [], ""
    while True:
        page = renewd.get(f"/v1/certificates?limit=10{after}")
        seen += [c["name"] for c in page["certificates"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == names


def test_renew(renewd: Renewd) -> None:
    renewd.add_certificate("www.example.test")
    renewd.start()
    renewd.wait_state("www.example.test")
    reply = renewd.api("POST", "/v1/certificates/www.example.test/renew")
    assert (reply.status, reply.json()) == (200, {"started": False, "reason": "not-due"})
    serial = renewd.leaf("www.example.test").serial
    reply = renewd.api("POST", "/v1/certificates/WWW.example.test/renew", {"force": True})
    assert reply.status == 202 and reply.json()["name"] == "www.example.test"
    wait_until(lambda: renewd.leaf("www.example.test").serial != serial, "it is renewed")
    done = renewd.ctl("renew", "www.example.test", "--force", "--wait")
    name, state, not_after = done.stdout.strip().split("\t")
    assert (name, state) == ("www.example.test", "valid")
    assert not_after == renewd.wait_state("www.example.test")["not_after"]


def test_renew_that_fails(renewd: Renewd, pebble: Pebble) -> None:
    front = pebble.front
    assert front
    front.set_lines("http-request deny deny_status 500 if { path_beg /order-plz }")
    renewd.add_certificate("www.example.test")
    renewd.start()
    done = renewd.ctl("renew", "--wait", "www.example.test", check=False)
    assert done.returncode == 1
    assert "500" in done.stderr and "next attempt" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_retry_after_is_not_passed(renewd: Renewd, pebble: Pebble) -> None:
    """What the CA has said about waiting holds for administrators, too."""
    front = pebble.front
    assert front
    front.set_lines('http-request return status 429 content-type application/problem+json '
                    'hdr Retry-After 3600 string '
                    '"{\\"type\\":\\"urn:ietf:params:acme:error:rateLimited\\",'
                    '\\"detail\\":\\"too many\\"}" if { path_beg /order-plz }')
    renewd.add_certificate("www.example.test")
    renewd.start()
    shown = renewd.wait_certificate("www.example.test", failures=1, activity="waiting")
    assert shown["last_error"]["class"] == "later"
    assert shown["last_error"]["type"] == "urn:ietf:params:acme:error:rateLimited"
    asked = front.count("/order-plz")
    reply = renewd.api("POST", "/v1/certificates/www.example.test/renew", {"force": True})
    assert reply.status == 429
    assert reply.json()["next_attempt"] == shown["next_attempt"]
    done = renewd.ctl("renew", "--force", "--wait", "www.example.test", check=False)
    assert done.returncode == 1
    assert front.count("/order-plz") == asked


def test_errors_are_problem_documents(renewd: Renewd) -> None:
    renewd.start()
    for method, path, body, status in [
        ("GET", "/v1/nothing", None, 404),
        ("GET", "/v1/certificates/nobody.example.test", None, 404),
        ("DELETE", "/v1/status", None, 405),
        ("POST", "/v1/certificates/nobody/renew", b"{", 404),
    ]:
        reply = renewd.api(method, path, body)
        assert reply.status == status, path
        assert reply.headers["Content-Type"] == "application/problem+json"
        problem = reply.json()
        assert problem["status"] == status and problem["title"]


def test_no_daemon_and_bad_usage(renewd: Renewd) -> None:
    renewd.start()
    renewd.stop()
    done = renewd.ctl("list", check=False)
    assert done.returncode == 3 and len(done.stderr.strip().splitlines()) == 1
    assert renewd.ctl("dance", check=False).returncode == 2
    assert renewd.ctl("show", check=False).returncode == 2


def test_sighup_reloads(renewd: Renewd) -> None:
    renewd.add_certificate("one.example.test")
    renewd.start()
    first = renewd.wait_state("one.example.test")
    renewd.add_certificate("one.example.test", domains=["one.example.test", "uno.example.test"])
    renewd.add_certificate("two.example.test")
    renewd.write_config()
    renewd.signal(signal.SIGHUP)
    renewd.wait_log("configuration reloaded")
    wait_until(lambda: renewd.leaf("one.example.test").names ==
               {"one.example.test", "uno.example.test"}, "its names have changed")
    renewd.wait_state("two.example.test")
    assert renewd.certificate("one.example.test")["certificates"] != first["certificates"]
    # a bad one is refused whole
    renewd.add_certificate("two.example.test", domain="x")
    renewd.write_config()
    renewd.signal(signal.SIGHUP)
    renewd.wait_log('did you mean "domains"?')
    assert renewd.certificate("two.example.test")["state"] == "valid"
