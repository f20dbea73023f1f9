"""What happened: history, events, followers that stay, stall or leave."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from programs.program import wait_until
from programs.renewd import Renewd, UnixConnection, program

NAME = "a.example.test"


def lines(renewd: Renewd, path: str) -> list[dict]:
    reply = renewd.api("GET", path)
    assert reply.status == 200, reply.body
    assert reply.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in reply.body.splitlines()]


def follow(renewd: Renewd, after: int) -> tuple[UnixConnection, Iterator[dict]]:
    link = UnixConnection(renewd.socket, 20)
    link.request("GET", f"/v1/events?follow=1&after={after}")
    reply = link.getresponse()
    assert reply.status == 200
    return link, (json.loads(line) for line in iter(reply.readline, b""))


def test_history_and_events(renewd: Renewd) -> None:
    renewd.add_certificate(NAME)
    renewd.add_certificate("b.example.test", enabled="no")
    renewd.start()
    renewd.wait_state(NAME)
    history = lines(renewd, f"/v1/certificates/{NAME.upper()}/history")
    assert [event["kind"] for event in history] == ["added", "issued"]
    assert set(history[1]) == {"id", "at", "kind", "certificate", "ca", "target", "detail",
                               "problem"}
    assert history[1]["certificate"] == NAME and history[1]["ca"] == "pebble"
    events = lines(renewd, "/v1/events")
    assert [e["id"] for e in events] == sorted(e["id"] for e in events)
    assert {e["certificate"] for e in events} == {NAME, "b.example.test", None}
    assert [e["kind"] for e in events if not e["certificate"]] == ["account-registered"]
    assert lines(renewd, f"/v1/events?after={events[-2]['id']}") == events[-1:]
    assert lines(renewd, f"/v1/events?after={events[-1]['id']}") == []
    assert renewd.api("GET", "/v1/events?after=x").status == 422
    assert renewd.api("GET", "/v1/events?follow=yes").status == 422
    assert renewd.api("GET", "/v1/certificates/nobody/history").status == 404
    shown = renewd.ctl("history", NAME).stdout.splitlines()
    assert [line.split("\t")[1] for line in shown] == ["added", "issued"]
    # a removed one still has one
    del renewd.sections[f"certificate {NAME}"]
    renewd.reload()
    assert lines(renewd, f"/v1/certificates/{NAME}/history")[-1]["kind"] == "removed"


def test_many_events_are_paged(renewd: Renewd) -> None:
    for number in range(350):
        renewd.add_certificate(f"c{number}.example.test", enabled="no", placeholder="no")
    renewd.start()
    events = lines(renewd, "/v1/events")
    assert len({event["id"] for event in events}) == 350


def test_followers(renewd: Renewd) -> None:
    renewd.add_certificate(NAME)
    renewd.start()
    renewd.wait_state(NAME)
    last = lines(renewd, "/v1/events")[-1]["id"]
    link, events = follow(renewd, last)
    renewd.ctl("pause", NAME)
    assert next(events)["kind"] == "paused"
    renewd.ctl("resume", NAME)
    event = next(events)
    assert event["kind"] == "resumed" and "user" in event["detail"]
    # another one, who never reads, and one who leaves, harm nobody
    stalled = socket.socket(socket.AF_UNIX)
    stalled.connect(str(renewd.socket))
    stalled.sendall(b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    gone, _ = follow(renewd, 0)
    gone.close()
    renewd.ctl("renew", NAME, "--force", "--wait")
    assert next(events)["kind"] == "issued"
    stalled.close()
    link.close()
    renewd.ctl("pause", NAME)


def test_renewctl_follows(renewd: Renewd) -> None:
    renewd.add_certificate(NAME, enabled="no")
    renewd.start()
    with subprocess.Popen([program("renewctl"), "-s", renewd.socket, "events", "-f"],
                          stdout=subprocess.PIPE, text=True) as ctl:
        assert ctl.stdout
        assert ctl.stdout.readline().split("\t")[1:3] == ["added", NAME]
        renewd.ctl("pause", NAME)
        assert ctl.stdout.readline().split("\t")[1:3] == ["paused", NAME]
        renewd.stop()
        assert ctl.wait(10) in (0, 1)


def test_accounts_and_bundle(renewd: Renewd) -> None:
    renewd.add_certificate(NAME, keys=["ecdsa-p256", "rsa-2048"])
    renewd.add_certificate("b.example.test", enabled="no")
    renewd.start()
    renewd.wait_state(NAME)
    accounts = renewd.get("/v1/accounts")["accounts"]
    assert [account["id"] for account in accounts] == ["pebble"]
    assert accounts[0]["url"] and "key" not in accounts[0]
    assert accounts[0]["contacts"] == ["mailto:ops@example.net"]
    assert renewd.ctl("accounts").stdout.split("\t")[0] == "pebble"
    reply = renewd.api("GET", f"/v1/certificates/{NAME}/bundle")
    assert reply.headers["Content-Type"] == "application/x-pem-file"
    assert reply.body == renewd.bundle(NAME, "haproxy.pem.ecdsa").read_bytes()
    reply = renewd.api("GET", f"/v1/certificates/{NAME}/bundle?key=rsa&format=haproxy")
    key = load_pem_private_key(reply.body[reply.body.index(b"-----BEGIN PRIVATE"):], None)
    leaf = x509.load_pem_x509_certificate(reply.body)
    assert leaf.public_key().public_numbers() == key.public_key().public_numbers()
    assert renewd.ctl("bundle", NAME).stdout.count("BEGIN") >= 2
    for path, status in ((f"{NAME}/bundle?key=dsa", 422), (f"{NAME}/bundle?format=der", 422),
                         ("b.example.test/bundle", 404), ("nobody/bundle", 404)):
        assert renewd.api("GET", f"/v1/certificates/{path}").status == status
    assert "PRIVATE" not in renewd.output()


def test_followers_have_a_limit(renewd: Renewd) -> None:
    renewd.start()
    links = [follow(renewd, 0)[0] for _ in range(128)]
    assert renewd.api("GET", "/v1/events?follow=1").status == 503
    began = time.monotonic()
    renewd.get("/v1/status")
    assert time.monotonic() - began < 1
    for link in links:
        link.close()
    wait_until(lambda: follow_status(renewd) == 200, "there is room again")


def follow_status(renewd: Renewd) -> int:
    link = UnixConnection(renewd.socket, 5)
    link.request("GET", "/v1/events?follow=1")
    status = link.getresponse().status
    link.close()
    return status
