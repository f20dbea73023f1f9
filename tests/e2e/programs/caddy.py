"""Caddy's acme_server: a CA that has nothing in common with Pebble.

It validates at ports 80 and 443 only, and asks the resolver of /etc/resolv.conf: so it
lives in a network of its own (network.py) and sees another /etc/resolv.conf. It keeps
accounts and orders on disk, validates while the client waits for the answer to its
challenge, and lets an order ask for lives of 5 minutes and more. An order that is begun
while another one of the account is finalized may have that answered with a 500: tests
that count failures order one after the other.
"""

from __future__ import annotations

import http.client
import json
import shutil
import ssl
from dataclasses import dataclass
from pathlib import Path

from .place import Place
from .ports import free_port
from .program import Program

# Started in a mount namespace of its own: $1 is the resolver's file, the rest a command.
WITH_RESOLVER = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    status: int
    took_ms: int


class Caddy(Program):
    """Within private_network(), with a ChallTestSrv on port 53."""

    name = "caddy"
    http_port = 80  # where it looks for http-01 tokens

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.port = free_port()
        self.storage = self.folder / "storage"
        self.access_log = self.folder / "access.log"
        self.config_path = self.folder / "Caddyfile"
        self.resolver = self.folder / "resolv.conf"
        self.resolver.write_text("nameserver 127.0.0.1\n")
        self.config_path.write_text(f"""{{
    admin off
    skip_install_trust
    auto_https disable_redirects
    http_port {free_port()}
    https_port {self.port}
    storage file_system {self.storage}
}}
https://localhost:{self.port} {{
    tls internal
    log {{
        output file {self.access_log}
        format json
    }}
    acme_server
}}
""")

    @property
    def directory(self) -> str:
        return f"https://localhost:{self.port}/acme/local/directory"

    @property
    def trust_file(self) -> Path:
        """PEM root of its own HTTPS, and of the certificates that it issues."""
        return self.storage / "pki" / "authorities" / "local" / "root.crt"

    def root_file(self) -> Path:
        return self.trust_file

    def command(self) -> list[str | Path]:
        return ["unshare", "--mount", "--", "sh", "-c", WITH_RESOLVER, "sh", self.resolver,
                "caddy", "run", "--adapter", "caddyfile", "--config", self.config_path]

    def environment(self) -> dict[str, str]:
        # where the acme_server's own database goes, whatever `storage` says
        return super().environment() | {"XDG_DATA_HOME": str(self.folder / "data"),
                                        "XDG_CONFIG_HOME": str(self.folder / "config")}

    def ready(self) -> bool:
        try:
            context = ssl.create_default_context(cafile=str(self.trust_file))
            link = http.client.HTTPSConnection("localhost", self.port, timeout=20,
                                               context=context)
            link.request("GET", "/acme/local/directory")
            done = link.getresponse().status == 200
            link.close()
            return done
        except OSError:
            return False

    def forget(self) -> None:
        """Starts anew with the same root, but no account, order or nonce of before."""
        self.stop()
        shutil.rmtree(self.folder / "data")
        self.start()

    def requests(self, path: str = "", method: str = "") -> list[Request]:
        """What has been answered so far: requests whose path begins so, in order."""
        found = []
        text = self.access_log.read_text() if self.access_log.exists() else ""
        for line in text.splitlines():
            row = json.loads(line)
            asked = row["request"]
            if asked["uri"].startswith(path) and (not method or asked["method"] == method):
                found.append(Request(asked["method"], asked["uri"], row["status"],
                                     int(row["duration"] * 1000)))
        return found

    def count(self, path: str = "", method: str = "") -> int:
        return len(self.requests(path, method))
