"""HAProxy in front of Pebble: it speaks TLS with the clients, and lets one request at a
time through.

Pebble (2.4.0 and 2.10) deadlocks when several orders run at once, because newOrder and
the updates of authorizations take its locks in opposite orders. One connection to it
(maxconn 1) cures that, and leaves the client as concurrent as it is. One thread, because
HAProxy 2.6 with several can leave a request in the queue of a server with maxconn 1 for
good: one that is queued just when the last connection is given back. The Host header is
passed on: Pebble builds its URLs from it and checks the JWS `url` against them.

Its log counts requests and connections, and a test may add frontend lines that answer
instead of Pebble: `http-request return status 503 hdr Retry-After 5 if { path /dir }`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .authority import KeyPair
from .haproxy import HAProxy
from .place import Place
from .ports import accepts, free_port
from .program import wait_until

LOG_LINE = re.compile(r"^request ([0-9.:a-f]+) (\S+) (\S+) (\d+) (-?\d+)$", re.M)


@dataclass(frozen=True)
class Request:
    connection: str  # address and port of the client: the same for all requests of one
    method: str
    path: str
    status: int
    took_ms: int


class Front(HAProxy):
    name = "front"

    def __init__(self, place: Place, pebble_port: int, certificate: KeyPair,
                 lines: str = "") -> None:
        self.port = free_port()
        self.pebble_port = pebble_port
        self.certificate = certificate
        super().__init__(place, self._text(lines), "log stdout format raw local0\n    nbthread 1")

    def _text(self, lines: str) -> str:
        return f"""
    mode http
    timeout queue 60s
frontend clients
    bind 127.0.0.1:{self.port} ssl crt {self.certificate.both}
    log global
    log-format "request %ci:%cp %HM %HPO %ST %Tt"
    {lines}
    default_backend pebble
backend pebble
    http-reuse always
    server pebble 127.0.0.1:{self.pebble_port} ssl verify none maxconn 1
"""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def ready(self) -> bool:
        return super().ready() and accepts(self.port)

    def set_text(self, lines: str) -> None:
        """Writes the configuration, with these frontend lines."""
        self.configure(self._text(lines))

    def set_lines(self, lines: str) -> None:
        """Other frontend lines from now on; "" for none. Kept connections end by and by."""
        self.set_text(lines)
        self.reload()

    def requests(self, path: str = "", method: str = "") -> list[Request]:
        """What has been answered so far: requests whose path begins so, in order."""
        found = [Request(connection, verb, where, int(status), int(took))
                 for connection, verb, where, status, took in LOG_LINE.findall(self.output())]
        return [r for r in found
                if r.path.startswith(path) and (not method or r.method == method)]

    def count(self, path: str = "", method: str = "") -> int:
        return len(self.requests(path, method))

    def wait_count(self, least: int, path: str = "", method: str = "") -> int:
        """Waits until so many are in the log, which is written after the reply."""
        return wait_until(lambda: self.count(path, method) >= least and
                          self.count(path, method), f"{least} requests for {path or 'anything'}")

    def connections(self) -> int:
        """How many different connections have carried requests."""
        return len({r.connection for r in self.requests()})
