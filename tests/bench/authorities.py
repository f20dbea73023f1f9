"""The two CAs that benches order from, each with a count of what it has given out: Pebble
behind its HAProxy, and the load CA.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from programs.challtestsrv import ChallTestSrv
from programs.load_ca import LoadCa
from programs.pebble import Options, Pebble
from programs.place import Place
from programs.ports import free_port

REQUEST = re.compile(rb"^request \S+ (\S+) (\S+) (\d+) ", re.M)
CERTIFICATE = b"/certZ/"
# All connections that a client wants: Caddy begins all its orders at once.
MANY = "maxconn 4000"


class AtPebble:
    """No sleeps, no refused nonces, no authorization used twice; one request at a time
    reaches it (front.py says why)."""

    name = "Pebble"

    def __init__(self, place: Place) -> None:
        dns = ChallTestSrv(place)
        dns.start()
        self.pebble = Pebble(place, dns.address, free_port(ipv6=True), options=Options())
        front = self.pebble.front
        assert front
        front.global_lines += f"\n    {MANY}"
        front.set_text("")
        self.pebble.start()
        self.log = front.output_path
        self.read_to = 0
        self.requests = 0
        self.fetched: set[bytes] = set()
        self.directory, self.trust_file = self.pebble.directory, self.pebble.trust_file
        self.http_port = self.pebble.http_port

    def look(self) -> tuple[int, int]:
        """Certificates that were fetched and requests that were answered since then."""
        with self.log.open("rb") as log:
            log.seek(self.read_to)
            text = log.read()
        whole = text[:text.rfind(b"\n") + 1]
        self.read_to += len(whole)
        for _, path, status in REQUEST.findall(whole):
            self.requests += 1
            if path.startswith(CERTIFICATE) and status == b"200":
                self.fetched.add(path)
        return len(self.fetched), self.requests


class AtLoadCa:
    """A CA of our own that is several times faster than any client."""

    name = "the load CA"

    def __init__(self, place: Place) -> None:
        self.ca = LoadCa(place, free_port(ipv6=True))
        self.ca.start()
        self.directory, self.trust_file = self.ca.directory, self.ca.trust_file
        self.http_port = self.ca.http_port
        context = ssl.create_default_context(cafile=str(self.trust_file))
        self.link = http.client.HTTPSConnection("127.0.0.1", self.ca.port, timeout=60,
                                                context=context)

    def look(self) -> tuple[int, int]:
        self.link.request("GET", "/figures")
        figures = json.loads(self.link.getresponse().read())
        return figures["fetched"], figures["requests"]


Authority = AtPebble | AtLoadCa
