"""The load CA of tests/load_ca: where Pebble is too slow to measure renewd with."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from .authority import self_signed
from .place import Place
from .ports import free_port
from .program import Program
from .renewd import program


class LoadCa(Program):
    """Fetches http-01 tokens from 127.0.0.1, at `http_port`."""

    name = "load-ca"

    def __init__(self, place: Place, http_port: int, lifetime: int | None = None) -> None:
        super().__init__(place)
        self.http_port = http_port
        self.lifetime = lifetime
        self.port = free_port()
        self.certificate = self_signed(self.folder, ["127.0.0.1"])

    @property
    def directory(self) -> str:
        return f"https://127.0.0.1:{self.port}/directory"

    @property
    def trust_file(self) -> Path:
        return self.certificate.trust_file

    def command(self) -> list[str | Path]:
        words: list[str | Path] = [
            program("tests/load_ca/load_ca"), "-p", str(self.port), "-v", str(self.http_port),
            "-c", self.certificate.cert, "-k", self.certificate.key]
        return words + (["-l", str(self.lifetime)] if self.lifetime else [])

    def ready(self) -> bool:
        with socket.socket() as link:
            return link.connect_ex(("127.0.0.1", self.port)) == 0

    def figures(self) -> dict[str, float]:
        """What it says at its end."""
        return json.loads(self.output_of_run().splitlines()[-1])
