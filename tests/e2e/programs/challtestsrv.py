"""pebble-challtestsrv as the DNS that Pebble asks: every name is 127.0.0.1 until a test
says otherwise.
"""

from __future__ import annotations

import http.client
import json
import subprocess
from pathlib import Path

from .place import Place
from .ports import accepts, free_port
from .program import Program


class ChallTestSrv(Program):
    name = "challtestsrv"

    def __init__(self, place: Place, binary: str | Path = "/usr/bin/pebble-challtestsrv",
                 default_ipv4: str = "127.0.0.1", default_ipv6: str = "",
                 dns_port: int = 0) -> None:
        super().__init__(place)
        self.binary = binary
        self.default_ipv4 = default_ipv4
        self.default_ipv6 = default_ipv6
        self.dns_port = dns_port or free_port(udp=True)
        self.management_port = free_port()

    @property
    def address(self) -> str:
        """What Pebble's -dnsserver takes."""
        return f"127.0.0.1:{self.dns_port}"

    def command(self) -> list[str | Path]:
        usage = subprocess.run([str(self.binary), "-h"], capture_output=True, text=True,
                               check=False, timeout=20).stderr
        # -dns01 became -dnsserver; a server that an older version lacks can't be disabled.
        dns = "-dnsserver" if "-dnsserver" in usage else "-dns01"
        off = [flag for flag in ("-http01", "-https01", "-tlsalpn01", "-doh")
               if f"  {flag} " in usage]
        words: list[str | Path] = [
            self.binary, dns, self.address,
            "-management", f"127.0.0.1:{self.management_port}",
            "-defaultIPv4", self.default_ipv4, "-defaultIPv6", self.default_ipv6]
        for flag in off:
            words += [flag, ""]
        return words

    def ready(self) -> bool:
        return accepts(self.management_port) and accepts(self.dns_port)

    def post(self, path: str, **body: object) -> bytes:
        """One call of its management API."""
        link = http.client.HTTPConnection("127.0.0.1", self.management_port, timeout=20)
        try:
            link.request("POST", path, json.dumps(body))
            reply = link.getresponse()
            content = reply.read()
        finally:
            link.close()
        if reply.status != 200:
            raise self.error(f"POST {path}: {reply.status} {content!r}")
        return content

    # Names are given as users write them; DNS wants the final dot.

    def set_a(self, host: str, *addresses: str) -> None:
        self.post("/add-a", host=f"{host}.", addresses=list(addresses))

    def clear_a(self, host: str) -> None:
        self.post("/clear-a", host=f"{host}.")

    def set_aaaa(self, host: str, *addresses: str) -> None:
        self.post("/add-aaaa", host=f"{host}.", addresses=list(addresses))

    def clear_aaaa(self, host: str) -> None:
        self.post("/clear-aaaa", host=f"{host}.")

    def set_cname(self, host: str, target: str) -> None:
        self.post("/set-cname", host=f"{host}.", target=f"{target}.")

    def set_txt(self, host: str, value: str) -> None:
        self.post("/set-txt", host=f"{host}.", value=value)

    def clear_txt(self, host: str) -> None:
        self.post("/clear-txt", host=f"{host}.")

    def set_servfail(self, host: str) -> None:
        self.post("/set-servfail", host=f"{host}.")

    def clear_servfail(self, host: str) -> None:
        self.post("/clear-servfail", host=f"{host}.")

    def set_default_ipv4(self, address: str) -> None:
        """Of every name that has no record of its own; "" for none."""
        self.post("/set-default-ipv4", ip=address)

    def set_default_ipv6(self, address: str) -> None:
        self.post("/set-default-ipv6", ip=address)

    def queries(self, host: str) -> list[dict]:
        """What Pebble has asked for this name. (Here the API wants no dot.)"""
        return json.loads(self.post("/dns-request-history", host=host)) or []
