"""Pebble, the test CA: 2.4.0 as Debian 12 ships it, and 2.10 of a newer suite, which
knows ARI, profiles and Retry-After.

Its certificate, its configuration and (unless a test wants none) the HAProxy in front
of it are made here. Its state is in memory: `restart()` forgets accounts and orders,
and makes new roots.
"""

from __future__ import annotations

import functools
import http.client
import json
import os
import ssl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .authority import self_signed
from .front import Front
from .place import Place
from .ports import free_port
from .program import Program, Unavailable

INSTALLED = "2.4.0"
NEWER = "2.10"
TOP = Path(__file__).resolve().parents[3]


@functools.cache
def _newer_folder() -> Path | str:
    """Where the newer Pebble is, or why there is none."""
    cache = Path(os.environ.get("E2E_CACHE", TOP / "build" / "newer-pebble"))
    script = TOP / "tests" / "e2e" / "newer_pebble.sh"
    done = subprocess.run([str(script), str(cache)], capture_output=True, text=True,
                          check=False, timeout=400)
    if done.returncode != 0:
        return done.stderr.strip() or f"{script.name} failed"
    return Path(done.stdout.strip())


def programs_of(version: str) -> Path:
    """The folder of pebble and pebble-challtestsrv of this version, or Unavailable."""
    if version == INSTALLED:
        return Path("/usr/bin")
    folder = _newer_folder()
    if isinstance(folder, str):
        raise Unavailable(folder)
    return folder


@dataclass
class Options:
    """What a test may want of its Pebble."""

    version: str = INSTALLED
    front: bool = True            # HAProxy before it; without, one order at a time only
    front_lines: str = ""         # more lines for its frontend
    nonce_reject: int = 0         # percent of good nonces that are refused all the same
    sleep: bool = False           # wait before validations, as a real CA seems to
    authz_reuse: int = 0          # percent of valid authorizations that serve again
    always_valid: bool = False    # believes without looking
    strict: bool = True
    lifetime: int | None = None   # seconds a certificate lives; default: Pebble's own
    profiles: dict[str, int] = field(default_factory=dict)  # name: seconds (2.10)
    retry_after: dict[str, int] = field(default_factory=dict)  # authz, order: s (2.10)
    key_algorithm: str = ""       # of the CA: "ecdsa" (2.10)
    eab_keys: dict[str, str] = field(default_factory=dict)  # kid: base64url HMAC key
    blocked: list[str] = field(default_factory=list)  # domains that it refuses
    alternate_roots: int = 0
    chain_length: int = 1         # intermediates
    orders_per_page: int = 3
    ocsp_url: str = ""            # of a responder, as it stands in certificates


class Pebble(Program):
    """`http_port` is where it looks for http-01 tokens, on every address."""

    name = "pebble"

    def __init__(self, place: Place, dns: str, http_port: int, tls_port: int | None = None,
                 options: Options | None = None) -> None:
        super().__init__(place)
        self.options = options or Options()
        self.dns = dns
        self.http_port = http_port
        self.tls_port = tls_port or free_port()
        self.port = free_port()
        self.management_port = free_port()
        self.certificate = self_signed(self.folder, ["localhost", "127.0.0.1", "::1"])
        self.config_path = self.folder / "pebble.json"
        self.front = None
        if self.options.front:
            self.front = Front(place, self.port, self.certificate, self.options.front_lines)

    @property
    def url(self) -> str:
        """What clients talk to: the front, where there is one."""
        return self.front.url if self.front else f"https://127.0.0.1:{self.port}"

    @property
    def directory(self) -> str:
        return f"{self.url}/dir"

    @property
    def trust_file(self) -> Path:
        """PEM root of Pebble's own HTTPS (not of the certificates that it issues)."""
        return self.certificate.trust_file

    def configuration(self) -> dict[str, object]:
        o = self.options
        config: dict[str, object] = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management_port}",
            "certificate": str(self.certificate.cert),
            "privateKey": str(self.certificate.key),
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "ocspResponderURL": o.ocsp_url,
            "externalAccountBindingRequired": bool(o.eab_keys),
            "externalAccountMACKeys": o.eab_keys,
            "domainBlocklist": o.blocked,
        }
        if o.lifetime is not None and o.version == INSTALLED:
            config["certificateValidityPeriod"] = o.lifetime
        profiles = dict(o.profiles)
        if o.lifetime is not None and not profiles:
            profiles = {"default": o.lifetime}
        if profiles:  # where nobody asks for one, Pebble takes any
            config["profiles"] = {
                name: {"description": f"{seconds} s", "validityPeriod": seconds}
                for name, seconds in profiles.items()}
        if o.retry_after:
            config["retryAfter"] = o.retry_after
        if o.key_algorithm:
            config["keyAlgorithm"] = o.key_algorithm
        return {"pebble": config}

    def command(self) -> list[str | Path]:
        self.config_path.write_text(json.dumps(self.configuration(), indent=2))
        return [programs_of(self.options.version) / "pebble", "-config", self.config_path,
                "-dnsserver", self.dns, f"-strict={str(self.options.strict).lower()}"]

    def environment(self) -> dict[str, str]:
        o = self.options
        env = super().environment() | {
            "PEBBLE_WFE_NONCEREJECT": str(o.nonce_reject),
            "PEBBLE_AUTHZREUSE": str(o.authz_reuse),
            "PEBBLE_ALTERNATE_ROOTS": str(o.alternate_roots),
            "PEBBLE_CHAIN_LENGTH": str(o.chain_length),
            "PEBBLE_WFE_ORDERS_PER_PAGE": str(o.orders_per_page),
        }
        if not o.sleep:
            env["PEBBLE_VA_NOSLEEP"] = "1"
        if o.always_valid:
            env["PEBBLE_VA_ALWAYS_VALID"] = "1"
        return env

    def start(self) -> None:
        super().start()
        if self.front and not self.front.running:
            self.front.start()

    def ready(self) -> bool:
        try:
            return bool(self.management("/roots/0"))
        except OSError:
            return False

    def restart(self) -> None:
        """The same addresses, but no account, order or root of before."""
        self.stop()
        self.start()

    def tls_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.trust_file))

    def request(self, port: int, method: str, path: str,
                body: bytes | None = None) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One HTTPS request, its certificate verified: status, headers, body."""
        link = http.client.HTTPSConnection("127.0.0.1", port, timeout=20,
                                           context=self.tls_context())
        try:
            link.request(method, path, body, {"User-Agent": "renewd-tests"})
            reply = link.getresponse()
            return reply.status, reply.headers, reply.read()
        finally:
            link.close()

    def management(self, path: str, method: str = "GET", body: bytes | None = None) -> bytes:
        status, _, content = self.request(self.management_port, method, path, body)
        if status != 200:
            raise self.error(f"{method} {path}: {status} {content!r}")
        return content

    def root(self, number: int = 0) -> bytes:
        """PEM of the root that issues; others are alternates."""
        return self.management(f"/roots/{number}")

    def root_file(self, number: int = 0) -> Path:
        path = self.folder / f"root{number}.pem"
        path.write_bytes(self.root(number))
        return path

    def intermediate(self, number: int = 0) -> bytes:
        return self.management(f"/intermediates/{number}")

    def certificate_status(self, serial: str) -> dict[str, object]:
        """Valid or Revoked, by hexadecimal serial."""
        path = f"/cert-status-by-serial/{serial.lstrip('0')}"
        return json.loads(self.management(path))

    def set_renewal_info(self, certificate_pem: str, renewal_info: str) -> None:
        """What ARI answers for this certificate from now on (2.10): JSON, or anything."""
        body = json.dumps({"certificate": certificate_pem, "ariResponse": renewal_info})
        self.management("/set-renewal-info/", "POST", body.encode())
