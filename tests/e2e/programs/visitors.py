"""Clients of web servers who come all the time, each over a new TLS connection that is
verified, and what they were served.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .tls import CIPHERS, Leaf

CLIENTS = 8  # threads that make the connections


class WrongAnswer(Exception):
    """A server answered, but not with what it should."""


@dataclass(frozen=True)
class Door:
    """An HTTPS server as clients come to it: by a name, with a kind of key."""

    server: str
    port: int
    name: str
    key: str
    page: str

    def __str__(self) -> str:
        return f"{self.server:8} {self.name:18} {self.key.upper():6}"

    def context(self, root: Path | None) -> ssl.SSLContext:
        """Verifies against this root; None believes everything."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if root:
            context.load_verify_locations(cafile=str(root))
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # whose ciphers say the kind of key
        context.set_ciphers(CIPHERS[self.key])
        return context

    def visit(self, context: ssl.SSLContext) -> Leaf:
        """A new connection and one request; returns the certificate that was served."""
        ask = f"GET / HTTP/1.1\r\nHost: {self.name}\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as raw:
            with context.wrap_socket(raw, server_hostname=self.name) as link:
                leaf = Leaf.of_der(link.getpeercert(binary_form=True) or b"")
                link.sendall(ask.encode())
                reply = b"".join(iter(lambda: link.recv(65536), b"")).decode()
        if not reply.startswith("HTTP/1.1 200 ") or not reply.endswith(self.page):
            raise WrongAnswer(f"{self} answered {reply!r}")
        if leaf.key != self.key or self.name not in leaf.names:
            raise WrongAnswer(f"{self} served {leaf.key} for {leaf.names}")
        return leaf


class Load:
    """Clients who come all the time: `with Load(...)`. Whatever goes wrong is counted."""

    def __init__(self, doors: list[Door], root: Path, rate: float) -> None:
        """rate: connections a second, spread over the doors in turn."""
        self.rate = rate
        self.contexts = {door: door.context(root) for door in doors}
        self.served: Counter[tuple[Door, str]] = Counter()  # by fingerprint
        self.failures: list[str] = []
        self.slowest = 0.0
        self.lock, self.end = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self._client, args=(number,))
                        for number in range(CLIENTS)]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end.set()
        for thread in self.threads:
            thread.join()

    def _client(self, number: int) -> None:
        due = time.monotonic() + number / self.rate
        for door in itertools.islice(itertools.cycle(self.contexts), number, None, CLIENTS):
            if self.end.wait(max(0, due - time.monotonic())):
                return
            self._visit(door)
            due += CLIENTS / self.rate

    def _visit(self, door: Door) -> None:
        begun = time.monotonic()
        try:
            found = door.visit(self.contexts[door]).fingerprint
        except Exception as problem:  # whatever it is, a visitor has seen it
            with self.lock:
                self.failures.append(f"{door}: {problem!r}")
            return
        with self.lock:
            self.served[door, found] += 1
            self.slowest = max(self.slowest, time.monotonic() - begun)
