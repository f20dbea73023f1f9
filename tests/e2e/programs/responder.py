"""An OCSP responder, `openssl ocsp`, for the certificates of a Pebble: signed by its
intermediate, whose key the management port hands out.

What it says is in an index as `openssl ca` has it.
"""

from __future__ import annotations

from pathlib import Path

from .pebble import Pebble
from .place import Place
from .program import Program

EXPIRES = "350101000000Z"


class Responder(Program):
    """Listens on `port`; a response is good for `minutes`."""

    name = "responder"

    def __init__(self, place: Place, pebble: Pebble, port: int, minutes: int = 60) -> None:
        super().__init__(place)
        self.port = port
        self.minutes = minutes
        self.index = self.folder / "index"
        self.signer = self.folder / "signer.pem"
        self.key = self.folder / "signer.key"
        self.issuer = self.folder / "issuer.pem"
        self.issuer.write_bytes(pebble.intermediate())
        self.signer.write_bytes(pebble.intermediate())
        self.key.write_bytes(pebble.management("/intermediate-keys/0"))
        (self.folder / "index.attr").write_text("unique_subject = no\n")
        self.statuses: dict[str, str] = {}
        self.set()

    def set(self, **statuses: str) -> None:
        """By hexadecimal serial: good, or RFC 5280's name of why it was revoked."""
        self.statuses.update(statuses)
        rows = ["V\t" + EXPIRES + "\t\t00\tunknown\t/CN=nobody\n"]
        for serial, status in self.statuses.items():
            number = serial.upper().lstrip("0")
            number = number if len(number) % 2 == 0 else "0" + number
            rows.append(f"V\t{EXPIRES}\t\t{number}\tunknown\t/CN=x\n" if status == "good" else
                        f"R\t{EXPIRES}\t260101000000Z,{status}\t{number}\tunknown\t/CN=x\n")
        fresh = self.folder / "index.new"
        fresh.write_text("".join(rows))
        fresh.rename(self.index)
        if self.running:  # it looks for another index only after its next answer
            self.stop()
            self.start()

    def command(self) -> list[str | Path]:
        return ["openssl", "ocsp", "-port", str(self.port), "-index", self.index, "-CA",
                self.issuer, "-rsigner", self.signer, "-rkey", self.key, "-nmin",
                str(self.minutes), "-ignore_err"]

    def ready(self) -> bool:
        # a connection without a request would keep it from all that follow
        return "waiting for OCSP client connections" in self.output()

    @property
    def requests(self) -> int:
        """Since it was started last."""
        return self.output().rpartition("ACCEPT ")[2].count("Received request, ")
