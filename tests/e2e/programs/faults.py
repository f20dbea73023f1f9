"""What goes wrong between renewd and its CA: a row for each kind of fault.

`faulty.py` chooses whom it hits, and does it. A fault answers instead of the CA, changes
what the CA has answered, spoils how that is delivered, or spoils the connection.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import math
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from .proxy import Answer, Request, problem, with_headers

# Of Pebble's paths, the first that fits.
KINDS = (
    ("/dir", "directory"), ("/nonce-plz", "newNonce"), ("/sign-me-up", "newAccount"),
    ("/order-plz", "newOrder"), ("/my-order/", "order"), ("/authZ/", "authorization"),
    ("/chalZ/", "challenge"), ("/finalize-order/", "finalize"), ("/certZ/", "certificate"),
    ("/my-account/", "account"), ("/revoke-cert", "revokeCert"),
    ("/rollover-account-key", "keyChange"),
    ("/draft-ietf-acme-ari-03/renewalInfo", "renewalInfo"),
)
EVERY = frozenset(kind for _, kind in KINDS)
SIGNED = EVERY - {"directory", "newNonce", "renewalInfo"}
WITH_BODY = EVERY - {"newNonce"}
HUGE = 2 * 1024 * 1024


def kind_of(request: Request) -> str:
    return next((kind for path, kind in KINDS if request.path.startswith(path)), "other")


@dataclass
class Fault:
    """One that is to happen: the numbers are those that the test may choose."""

    name: str
    seconds: float = 2          # of a Retry-After, or of a delay
    promised: float = 0.0       # until when nothing may be asked, once it has said so


Instead = Callable[[Fault, Request, Callable[[], str]], Answer]
Change = Callable[[Request, Answer], Answer]
Deliver = Callable[[Fault, asyncio.StreamWriter, bytes], Awaitable[None]]


@dataclass(frozen=True)
class Row:
    """`instead`: the CA isn't asked. `change`: it is, and this is made of its answer.
    `deliver`: how the bytes travel; "" for those that never do. `connect`: nobody gets so
    far as to ask."""

    kinds: frozenset[str] = EVERY
    instead: Instead | None = None
    change: Change | None = None
    deliver: Deliver | None = None
    connect: Callable[[socket.socket], Awaitable[None]] | None = None


# ---- instead of the CA ----

def bad_nonce(_: Fault, __: Request, nonce: Callable[[], str]) -> Answer:
    return problem(400, "badNonce", "this nonce isn't good enough", **{"Replay-Nonce": nonce()})


def refuse(status: int, error: str = "", how: str = "") -> Instead:
    """With a Retry-After in seconds or as a date, or without; bare where no error."""
    def answer(fault: Fault, _: Request, __: Callable[[], str]) -> Answer:
        headers = {}
        if how == "seconds":
            fault.promised = time.time() + fault.seconds
            headers["Retry-After"] = str(math.ceil(fault.seconds))
        elif how == "date":
            fault.promised = math.ceil(time.time() + fault.seconds)
            headers["Retry-After"] = email.utils.formatdate(fault.promised, usegmt=True)
        if error:
            return problem(status, error, "too much of it", **headers)
        return Answer(status, b"<html>no</html>", {"Content-Type": "text/html"} | headers)
    return answer


def never(_: Fault, __: Request, ___: Callable[[], str]) -> Answer:
    """It has never heard of it."""
    return Answer(0)


# ---- what the CA has answered ----

def half(_: Request, answer: Answer) -> Answer:
    """Well-formed HTTP, but not what is in it."""
    return replace(answer, body=answer.body[:len(answer.body) // 2])


def huge(_: Request, answer: Answer) -> Answer:
    return replace(answer, body=answer.body + b" " * HUGE)


def large(_: Request, answer: Answer) -> Answer:
    """Less than that, but more than any JSON of a CA."""
    return replace(answer, body=answer.body + b" " * (HUGE // 4))


def page(_: Request, answer: Answer) -> Answer:
    """As of a captive portal, with the CA's status and headers."""
    return replace(with_headers(Content_Type="text/html")(_, answer),
                   body=b"<html><body>Please log in</body></html>")


def processing(_: Request, answer: Answer) -> Answer:
    try:
        order = json.loads(answer.body)
    except ValueError:
        return answer
    if order.get("status") not in ("processing", "valid"):
        return answer
    order.pop("certificate", None)
    return replace(answer, body=json.dumps(order | {"status": "processing"}).encode())


# ---- how it travels ----

def reset(writer: asyncio.StreamWriter) -> None:
    """The next thing that the client sees is a RST."""
    link = writer.get_extra_info("socket")
    if link is None:
        return  # the client was faster
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def not_at_all(_: Fault, writer: asyncio.StreamWriter, __: bytes) -> None:
    reset(writer)


async def partly(_: Fault, writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data[:max(len(data) - 20, len(data) // 2)])
    await writer.drain()
    await asyncio.sleep(0.02)  # so that it has left before the RST
    reset(writer)


async def and_gone(_: Fault, writer: asyncio.StreamWriter, data: bytes) -> None:
    """Whole, and the connection that might be kept is not."""
    writer.write(data)
    await writer.drain()
    await asyncio.sleep(0.1)  # until it was read, and perhaps the next request sent
    reset(writer)


async def and_closed(_: Fault, writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    writer.close()


async def slowly(fault: Fault, writer: asyncio.StreamWriter, data: bytes) -> None:
    """One byte a second, for so many seconds; then the rest."""
    until = time.monotonic() + fault.seconds
    while data and time.monotonic() < until:
        writer.write(data[:1])
        await writer.drain()
        data = data[1:]
        await asyncio.sleep(1)  # between two bytes: the fault itself
    writer.write(data)
    await writer.drain()


async def twice(_: Fault, writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data + data)
    await writer.drain()


async def twice_apart(_: Fault, writer: asyncio.StreamWriter, data: bytes) -> None:
    """The second when nobody has asked for anything, or for something else."""
    writer.write(data)
    await writer.drain()
    await asyncio.sleep(0.01)  # so that they are two reads
    writer.write(data)
    await writer.drain()


async def late(fault: Fault, writer: asyncio.StreamWriter, data: bytes) -> None:
    await asyncio.sleep(fault.seconds)  # the fault itself
    writer.write(data)
    await writer.drain()


# ---- connections ----

async def _say(link: socket.socket, data: bytes) -> None:
    loop = asyncio.get_running_loop()
    with link:
        link.setblocking(False)
        await asyncio.wait_for(loop.sock_recv(link, 4096), 10)
        await loop.sock_sendall(link, data)


async def no_tls(link: socket.socket) -> None:
    await _say(link, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


async def noise(link: socket.socket) -> None:
    """Looks like the begin of an answer to the handshake."""
    await _say(link, b"\x16\x03\x03\x01\x00" + os.urandom(256))


async def hang_up(link: socket.socket) -> None:
    await _say(link, b"")


def is_connection(name: str) -> bool:
    return FAULTS[name].connect is not None


FAULTS: dict[str, Row] = {
    "badNonce": Row(SIGNED, instead=bad_nonce),
    "no nonce": Row(change=with_headers(Replay_Nonce=None)),
    "429": Row(frozenset({"newOrder"}), instead=refuse(429, "rateLimited")),
    "429 in seconds": Row(instead=refuse(429, "rateLimited", "seconds")),
    "429 at a date": Row(instead=refuse(429, "rateLimited", "date")),
    "503": Row(instead=refuse(503)),
    "503 in seconds": Row(instead=refuse(503, how="seconds")),
    "503 at a date": Row(instead=refuse(503, how="date")),
    "500": Row(instead=refuse(500, "serverInternal")),
    "502": Row(instead=refuse(502)),
    "reset before": Row(instead=never, deliver=not_at_all),
    "reset unheard": Row(deliver=not_at_all),
    "reset within": Row(deliver=partly),
    "reset after": Row(deliver=and_gone),
    "closed after": Row(deliver=and_closed),
    "truncated": Row(WITH_BODY, change=half),
    "huge": Row(WITH_BODY, change=huge),
    "large": Row(WITH_BODY - {"certificate"}, change=large),
    "slow": Row(deliver=slowly),
    "a page": Row(WITH_BODY, change=page),
    "wrong type": Row(WITH_BODY, change=with_headers(Content_Type="text/html")),
    "processing": Row(frozenset({"order", "finalize"}), change=processing),
    "twice": Row(deliver=twice),
    "twice apart": Row(deliver=twice_apart),
    "late": Row(deliver=late),
    "no TLS": Row(frozenset(), connect=no_tls),
    "noise": Row(frozenset(), connect=noise),
    "hang up": Row(frozenset(), connect=hang_up),
}
