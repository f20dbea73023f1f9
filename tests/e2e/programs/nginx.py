"""nginx with a prefix folder of its own, as the user who runs the tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from .place import Place
from .ports import accepts
from .program import Program, wait_until


class Nginx(Program):
    """`servers` are the server blocks; `ports` are what they listen on (127.0.0.1)."""

    name = "nginx"

    def __init__(self, place: Place, servers: str, ports: Sequence[int]) -> None:
        super().__init__(place)
        self.config_path = self.folder / "nginx.conf"
        self.pid_file = self.folder / "nginx.pid"
        self.error_log = self.folder / "error.log"
        self.access_log = self.folder / "access.log"
        self.ports = list(ports)
        self.configure(servers)

    def configure(self, servers: str) -> None:
        temp = "".join(f"    {kind}_temp_path {self.folder}/temp-{kind};\n"
                       for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;\n" if os.geteuid() == 0 else ""  # else "nobody", who can't read here
        self.config_path.write_text(
            f"{user}daemon off;\nworker_processes 1;\npid {self.pid_file};\n"
            f"error_log {self.error_log} notice;\n"
            "events { worker_connections 128; }\n"
            f"http {{\n{temp}    access_log {self.access_log};\n{servers}\n}}\n")

    def command(self) -> list[str | Path]:
        return ["nginx", "-p", self.folder, "-e", self.error_log, "-c", self.config_path]

    def healthy_end(self, status: int) -> bool:
        return status == 0

    def ready(self) -> bool:
        return self.pid_file.exists() and all(accepts(port) for port in self.ports)

    def output(self) -> str:
        """Also its error log, where it says why it didn't start or reload."""
        log = self.error_log.read_text(errors="replace") if self.error_log.exists() else ""
        return super().output() + log

    def workers(self) -> set[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return {int(pid) for pid in children.read_text().split()}

    def reload(self) -> None:
        """SIGHUP, and waits until new workers have taken over. (With a bad configuration
        the old ones stay, and only the error log says so.)"""
        before = self.workers()
        self.signal(signal.SIGHUP)
        wait_until(lambda: self.workers() and not self.workers() & before,
                   "nginx has new workers only")
