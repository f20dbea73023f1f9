"""Clients of the control socket that stall, flood and send nonsense harm nobody."""

from __future__ import annotations

import collections
import contextlib
import http.client
import io
import json
import random
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from programs.program import PATIENCE, wait_until
from programs.renewd import Renewd

NAME = "a.example.test"
SEEDS = [
    b"GET /v1/status HTTP/1.1\r\nHost: renewd\r\n\r\n",
    b"GET /v1/certificates?state=valid&limit=10&after=x HTTP/1.1\r\nHost: renewd\r\n\r\n",
    b"GET /v1/events?after=3 HTTP/1.1\r\nHost: renewd\r\n\r\n",
    b"GET /v1/certificates/a.example.test/bundle?key=ecdsa HTTP/1.1\r\nHost: renewd\r\n\r\n",
    b"PUT /v1/certificates/b.example.test HTTP/1.1\r\nHost: renewd\r\nContent-Length: 41\r\n"
    b'\r\n{"domains":["b.example.test"],"ca":"none"}',
    b"PUT /v1/certificates/a%2e HTTP/1.1\r\nHost: renewd\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'5\r\n{"ca"\r\n4\r\n:[]}\r\n0\r\n\r\n',
    b"POST /v1/certificates/a.example.test/renew HTTP/1.1\r\nHost: renewd\r\n"
    b'Content-Length: 14\r\n\r\n{"force":false}',
    b"DELETE /v1/certificates/c.example.test?purge=1 HTTP/1.1\r\nHost: renewd\r\n\r\n",
    b"PUT /v1/certificates/d.example.test HTTP/1.1\r\nHost: renewd\r\n"
    b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /v1/reload HTTP/1.0\r\n\r\n",
]


def connect(renewd: Renewd, timeout: float = 20) -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(timeout)
    link.connect(str(renewd.socket))
    return link


def answer_time(renewd: Renewd) -> float:
    began = time.monotonic()
    renewd.get("/v1/status")
    return time.monotonic() - began


def send_all(renewd: Renewd, texts: list[bytes]) -> list[bytes]:
    """Each on a connection of its own, side by side; what came back until it was quiet."""
    links = [connect(renewd) for _ in texts]
    got = {link: b"" for link in links}
    for link, text in zip(links, texts):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            link.sendall(text)
    waiting = set(links)
    while waiting and (ready := select.select(list(waiting), [], [], 0.1)[0]):
        for link in ready:
            part = b""
            with contextlib.suppress(ConnectionResetError):
                part = link.recv(65536)
            got[link] += part
            if not part:
                waiting.discard(link)
    for link in links:
        link.close()
    return [got[link] for link in links]


@dataclass(frozen=True)
class Answer:
    status: int
    type: str
    body: bytes

    def is_problem(self) -> bool:
        """As RFC 9457 has it; an answer to HEAD has no body."""
        return self.type == "application/problem+json" and (
            not self.body or json.loads(self.body)["status"] == self.status)


def answers(got: bytes) -> Iterator[Answer]:
    """The whole ones among what came back on one connection."""
    stream = io.BytesIO(got)
    while line := stream.readline():
        fields = http.client.parse_headers(stream)
        status = int(line.split()[1])
        if status == 100:
            continue
        length = fields.get("Content-Length")
        yield Answer(status, fields.get("Content-Type", ""),
                     stream.read(int(length)) if length else b"")
        if length is None:
            return  # chunks, or until the end


def mutated(chance: random.Random) -> bytes:
    text = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(text))
        kind = chance.randrange(5)
        if kind == 0:
            text[at] = chance.randrange(256)
        elif kind == 1:
            del text[at:at + chance.randint(1, 12)]
        elif kind == 2:
            text[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 20)))
        elif kind == 3:
            text[at:at] = text[at:at + 40] * chance.randint(1, 50)
        else:
            text[at:at] = chance.choice([b"\r\n", b"\0", b"%00", b"%", b"9" * 30, b"[" * 2000,
                                         b"../", b"\xff\xfe", b"Content-Length: -1\r\n"])
        if not text:
            return b"\n"
    return bytes(text)


@pytest.fixture
def serving(renewd: Renewd) -> Iterator[Renewd]:
    renewd.add_certificate(NAME)
    renewd.start()
    renewd.wait_state(NAME)
    yield renewd
    assert renewd.certificate(NAME)["name"] == NAME
    renewd.stop()  # a leak or a sanitizer's complaint fails here


@pytest.mark.timeout(180 * PATIENCE)
def test_mutated_requests(serving: Renewd) -> None:
    chance = random.Random(20260)
    statuses: collections.Counter[bytes] = collections.Counter()
    slowest = 0.0
    for _ in range(20):
        for got in send_all(serving, [mutated(chance) for _ in range(50)]):
            assert got == b"" or got.startswith(b"HTTP/1."), got[:100]
            statuses[got[9:12]] += 1
            for answer in answers(got):
                assert answer.status < 400 or answer.is_problem(), answer
        slowest = max(slowest, answer_time(serving))
    assert b"500" not in statuses
    assert {b"200", b"400", b"404", b"413", b"422", b"501"} <= set(statuses), statuses
    assert slowest < 1 * PATIENCE
    assert serving.output().count("critical:") == 0


def stall(renewd: Renewd, kind: int) -> socket.socket:
    """One of those that never get anywhere."""
    link = connect(renewd)
    starts = [
        b"",
        b"GET /v1/sta",
        b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT /v1/certificates/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{",
        b"GET /v1/certificates HTTP/1.1\r\nHost: x\r\n\r\n" * 50,
    ]
    link.sendall(starts[kind % len(starts)])
    return link


def flood(link: socket.socket, kind: int) -> None:
    """As much as it takes at once."""
    texts = [b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n" * 500, b"X" * 65536,
             b"PUT /v1/certificates/x HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
             + b"[" * 900_000]
    link.setblocking(False)
    with contextlib.suppress(OSError):
        for _ in range(8):
            link.send(texts[kind % len(texts)])


def memory(renewd: Renewd) -> int:
    """What it holds, in KiB."""
    for line in (open(f"/proc/{renewd.pid}/status", encoding="ascii")):
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


@pytest.mark.timeout(180 * PATIENCE)
def test_stalled_and_flooding_clients(serving: Renewd) -> None:
    stalled = [stall(serving, kind) for kind in range(100)]
    flooding = [connect(serving) for _ in range(100)]
    slowest = 0.0
    for turn in range(5):
        for kind, link in enumerate(flooding):
            flood(link, kind + turn)
        slowest = max(slowest, answer_time(serving))
    assert slowest < 1 * PATIENCE
    assert memory(serving) < 600_000
    for link in stalled + flooding:
        link.close()
    assert answer_time(serving) < 1 * PATIENCE


def test_more_than_there_is_room_for(serving: Renewd) -> None:
    """The oldest of the one who has the most are dropped: a newcomer always gets in."""
    links = [stall(serving, 0) for _ in range(400)]
    assert answer_time(serving) < 1 * PATIENCE
    closed = 0
    for link in links:
        link.settimeout(0.01)
        with contextlib.suppress(TimeoutError):
            closed += link.recv(1) == b""
    assert 140 <= closed < 400
    for link in links:
        link.close()
    wait_until(lambda: answer_time(serving) < 1 * PATIENCE, "it answers")
