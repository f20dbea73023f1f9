"""renewd itself, as built: a generated configuration, its control socket, renewctl.

Environment: RENEWD_BUILD is the build folder (default: build/), RENEWD_WRAPPER a command
that it is started with, such as "valgrind -q --error-exitcode=99".
"""

from __future__ import annotations

import http.client
import json
import os
import shlex
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .caddy import Caddy
from .pebble import TOP, Pebble
from .place import Place
from .ports import LOOPBACK, free_port, has_ipv6
from .program import PATIENCE, Program, ProgramError, clean_environment, wait_until
from .tls import Leaf

# A sanitizer's complaint is a failure, even if the process went on to exit 0.
COMPLAINTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:")


def build_folder() -> Path:
    return Path(os.environ.get("RENEWD_BUILD", TOP / "build")).resolve()


def program(name: str) -> Path:
    """A built program; says what to do where it isn't there."""
    path = build_folder() / name
    if not path.exists():
        raise ProgramError(f"{path} isn't built: ./dev build")
    return path


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("renewd", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> dict:
        return json.loads(self.body)


class Renewd(Program):
    """Listens for http-01 on `http_port`, of 127.0.0.1 and ::1; trusts `ca`, if given.

    `sections` is the configuration: change it before start() or reload().
    """

    name = "renewd"

    def __init__(self, place: Place, ca: Pebble | Caddy | None = None, http_port: int | None = None,
                 wrapper: Sequence[str] | None = None) -> None:
        super().__init__(place)
        self.http_port = http_port or (ca.http_port if ca else free_port(ipv6=True))
        if wrapper is None:
            wrapper = shlex.split(os.environ.get("RENEWD_WRAPPER", ""))
        self.wrapper = list(wrapper)
        self.config_path = self.folder / "renewd.conf"
        self.state_dir = self.folder / "state"
        self.bundle_dir = self.folder / "live"
        self.socket = self.folder / "control.sock"
        self.sections: dict[str, dict[str, object]] = {
            "renewd": {"state_dir": self.state_dir, "bundle_dir": self.bundle_dir,
                       "log_level": "debug"},
            "control": {"socket": self.socket},
            "http-01": {"listen": self.listen_addresses()},
        }
        if ca:
            self.add_ca(ca.name, ca)
            self.set("defaults", ca=ca.name)

    def listen_addresses(self) -> list[str]:
        addresses = [f"{LOOPBACK[socket.AF_INET]}:{self.http_port}"]
        if has_ipv6():
            addresses.append(f"[{LOOPBACK[socket.AF_INET6]}]:{self.http_port}")
        return addresses

    # The configuration.

    def set(self, section: str, **keys: object) -> None:
        """Adds keys to a section, or a section: lists are joined, None takes a key away."""
        values = self.sections.setdefault(section, {})
        for key, value in keys.items():
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value

    def add_ca(self, name: str, ca: Pebble | Caddy, **keys: object) -> None:
        """A CA without limits, unless a test says so: it isn't anybody's but ours."""
        self.set(f"ca {name}", **({
            "directory": ca.directory, "trust_file": ca.trust_file,
            "contact": "mailto:ops@example.net", "accept_terms": "yes",
            "order_interval": "0s", "max_requests": 0} | keys))

    def add_certificate(self, name: str, **keys: object) -> None:
        self.set(f"certificate {name}", **keys)

    def config_text(self) -> str:
        def text(value: object) -> str:
            if isinstance(value, bool):
                return "yes" if value else "no"
            return " ".join(map(str, value)) if isinstance(value, list) else str(value)

        return "\n".join(
            f"[{section}]\n" + "".join(f"{key} = {text(value)}\n" for key, value in keys.items())
            for section, keys in self.sections.items())

    def write_config(self) -> Path:
        self.config_path.write_text(self.config_text())
        return self.config_path

    # The process.

    def command(self) -> list[str | Path]:
        return [*self.wrapper, program("renewd"), "-c", self.write_config()]

    def ready(self) -> bool:
        try:
            return self.api("GET", "/healthz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def healthy_end(self, status: int) -> bool:
        return status == 0

    def stop(self) -> None:
        """SIGTERM; it must exit 0, and no sanitizer may have complained."""
        super().stop()
        for complaint in COMPLAINTS:
            if complaint in self.output():
                raise self.error(complaint)

    def restart(self) -> None:
        self.stop()
        self.start()

    def reload(self, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Writes the configuration and has it read, by `renewctl reload`."""
        self.write_config()
        return self.ctl("reload", check=check)

    def run(self, *args: str | Path, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """The program itself, to its end: --check, --version and the like."""
        return subprocess.run([*self.wrapper, program("renewd"), *args], text=True,
                              capture_output=True, check=False, timeout=timeout * PATIENCE,
                              env=clean_environment(), cwd=self.folder)

    def wait_log(self, text: str, timeout: float = 20) -> None:
        """Waits until it has said this."""
        try:
            wait_until(lambda: text in self.output(), f"renewd says {text!r}", timeout)
        except TimeoutError as late:
            raise self.error(str(late)) from None

    # What it answers.

    def ctl(self, *args: str | Path, check: bool = True,
            timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """renewctl on its socket; check: exit status 0 is expected."""
        words = [str(program("renewctl")), "-s", str(self.socket), *map(str, args)]
        done = subprocess.run(words, capture_output=True, text=True, check=False,
                              timeout=timeout * PATIENCE, env=clean_environment())
        if check and done.returncode != 0:
            raise self.error(f"{shlex.join(words)}: exit status {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")
        return done

    def api(self, method: str, path: str, body: object = None,
            headers: dict[str, str] | None = None, timeout: float = 30) -> Reply:
        """One call on the control socket; a body that isn't bytes is sent as JSON."""
        fields = dict(headers or {})
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if content is not None:
            fields.setdefault("Content-Type", "application/json")
        link = UnixConnection(self.socket, timeout * PATIENCE)
        try:
            link.request(method, path, content, fields)
            reply = link.getresponse()
            return Reply(reply.status, reply.headers, reply.read())
        finally:
            link.close()

    def get(self, path: str) -> dict:
        """JSON of a GET that must succeed."""
        reply = self.api("GET", path)
        if reply.status != 200:
            raise self.error(f"GET {path}: {reply.status} {reply.body!r}")
        return reply.json()

    def certificate(self, name: str) -> dict:
        return self.get(f"/v1/certificates/{name}")

    def wait_certificate(self, name: str, timeout: float = 30, **wanted: object) -> dict:
        """Waits until these fields of a certificate have these values; returns it all."""
        seen: dict = {}

        def ask() -> bool:
            nonlocal seen
            if not self.running:
                raise self.error("ended")
            seen = self.certificate(name)
            return all(seen.get(key) == value for key, value in wanted.items())

        try:
            wait_until(ask, f"{name} is {wanted}", timeout, pause=0.05)
        except TimeoutError as late:
            raise self.error(f"{late}\n{json.dumps(seen, indent=1)}") from None
        return seen

    def wait_state(self, name: str, state: str = "valid", activity: str = "idle",
                   timeout: float = 30) -> dict:
        return self.wait_certificate(name, timeout, state=state, activity=activity)

    # What it leaves for web servers.

    def bundle(self, name: str, file: str = "fullchain.pem") -> Path:
        return self.bundle_dir / name / file

    def leaf(self, name: str, file: str = "cert.pem") -> Leaf:
        return Leaf.of_file(self.bundle(name, file))
