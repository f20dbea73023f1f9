"""HAProxy as administrators run it: master and workers, a master socket and an admin
socket, a configuration that the test gives.
"""

from __future__ import annotations

import csv
import functools
import os
import re
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .place import Place
from .program import Program, Unavailable, wait_until


TOP = Path(__file__).resolve().parents[3]


@functools.cache
def newest() -> list[str] | str:
    """How the newest HAProxy of Debian's is started, or why there is none here: it runs
    with the libraries of its own suite."""
    cache = Path(os.environ.get("E2E_CACHE", TOP / "build")) / "newer-haproxy"
    done = subprocess.run([str(TOP / "tests" / "e2e" / "newer_haproxy.sh"), str(cache)],
                          capture_output=True, text=True, check=False, timeout=400)
    if done.returncode != 0:
        return done.stderr.strip() or "newer_haproxy.sh failed"
    root = Path(done.stdout.strip())
    loaders = list(root.glob("usr/lib/*/ld-linux*"))
    if not loaders:
        return "its root has no ld-linux"
    return [str(loaders[0]), "--library-path", str(loaders[0].parent),
            str(root / "usr/sbin/haproxy")]


def ask_socket(path: str, command: str, timeout: float = 20) -> str:
    """One command on a HAProxy socket; it doesn't close by itself, so our side does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout)
        link.connect(path)
        link.sendall(command.encode() + b"\n")
        link.shutdown(socket.SHUT_WR)
        parts = []
        while part := link.recv(65536):
            parts.append(part)
    return b"".join(parts).decode(errors="replace")


@dataclass(frozen=True)
class Processes:
    """`show proc` of the master."""

    reloads: int
    failed: int
    workers: tuple[int, ...]
    old_workers: tuple[int, ...]


class HAProxy(Program):
    """`config` is all but the global section's sockets and limits, which are ours.

    It may name {folder}, which becomes this HAProxy's own folder.
    """

    name = "haproxy"

    def __init__(self, place: Place, config: str, global_lines: str = "",
                 newer: bool = False) -> None:
        super().__init__(place)
        self.program = ["haproxy"]
        if newer:
            found = newest()
            if isinstance(found, str):
                raise Unavailable(found)
            self.program = found
        self.config_path = self.folder / "haproxy.cfg"
        self.admin_socket = str(self.folder / "admin.sock")
        self.master_socket = str(self.folder / "master.sock")
        self.pid_file = self.folder / "haproxy.pid"
        self.global_lines = global_lines
        self.configure(config)

    def configure(self, config: str) -> None:
        """Writes the configuration; a running HAProxy reads it at its next reload."""
        self.config_path.write_text(
            "global\n"
            f"    stats socket {self.admin_socket} mode 600 level admin\n"
            "    maxconn 500\n"
            f"    {self.global_lines}\n"
            "defaults\n"
            "    timeout connect 10s\n    timeout client 60s\n    timeout server 60s\n"
            + config.replace("{folder}", str(self.folder)))

    def command(self) -> list[str]:
        return [*self.program, "-W", "-S", self.master_socket, "-p", str(self.pid_file),
                "-f", str(self.config_path)]

    def ready(self) -> bool:
        try:
            return bool(self.processes().workers) and "Uptime" in self.ask("show info")
        except OSError:
            return False

    def ask(self, command: str) -> str:
        """The runtime API of the worker."""
        return ask_socket(self.admin_socket, command)

    def ask_master(self, command: str) -> str:
        return ask_socket(self.master_socket, command)

    def processes(self) -> Processes:
        text = self.ask_master("show proc")
        master = re.search(r"^\d+\s+master\s+(\d+) \[failed: (\d+)\]", text, re.M)
        if master is None:
            return Processes(0, 0, (), ())
        new, _, old = text.partition("# old workers")

        def workers(part: str) -> tuple[int, ...]:
            return tuple(int(pid) for pid in re.findall(r"^(\d+)\s+worker", part, re.M))

        return Processes(int(master[1]), int(master[2]), workers(new), workers(old))

    def _settled(self, before: Processes) -> Processes | None:
        try:
            now = self.processes()
        except OSError:
            return None  # while it executes itself anew the socket refuses
        if now.failed > before.failed:
            raise self.error("reload failed")
        done = now.reloads > before.reloads and now.workers and now.workers != before.workers
        return now if done else None

    def reload(self, by_signal: bool = False) -> Processes:
        """Reloads and waits for the new worker; raises with its output where it failed."""
        before = self.processes()
        if by_signal:
            self.signal(signal.SIGUSR2)
        else:
            self.ask_master("reload")
        return wait_until(lambda: self._settled(before), "haproxy has reloaded")

    def restart(self) -> None:
        """Another master and other workers, with what is on disk."""
        self.stop()
        self.start()

    def stats(self) -> dict[tuple[str, str], dict[str, str]]:
        """`show stat`: rows by (proxy, server)."""
        text = self.ask("show stat").lstrip("# ")
        return {(row["pxname"], row["svname"]): row for row in csv.DictReader(text.splitlines())}
