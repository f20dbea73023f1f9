"""A UNIX socket between renewd and HAProxy's runtime API, which passes on its commands,
keeps a log of them, and can have somebody die at exactly one of them.

    relay = Relay(place, haproxy.admin_socket)
    relay.strike(5, "done", renewd.pid)   # kill -9 once the fifth from now was carried out
    relay.struck.wait(30)
    relay.commands                        # without their payloads
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from .program import Program

if TYPE_CHECKING:
    from .place import Place

# When it strikes: HAProxy hears nothing of the command; HAProxy has carried it out, and
# nobody hears its answer; the answer was handed over just before.
MOMENTS = ("asked", "done", "told")


@dataclass
class Strike:
    number: int  # of the commands from now on, the first is 1
    moment: str
    pid: int


def read_question(asked: BinaryIO) -> bytes:
    """A command, with its payload, which ends with an empty line; nothing: it was all."""
    question = line = asked.readline()
    while line and question.split(b"\n", 1)[0].endswith(b" <<") and line != b"\n":
        line = asked.readline()
        question += line
    return question


def exchange(haproxy: socket.socket, question: bytes) -> bytes:
    """Its answer, up to the prompt."""
    haproxy.sendall(question)
    answer = b""
    while not re.search(rb"(^|\n)\S*> $", answer):
        part = haproxy.recv(65536)
        if not part:
            raise ConnectionError("HAProxy has hung up")
        answer += part
    return answer


class Relay(Program):
    """Listens on `path`, as long as it runs."""

    name = "relay"

    def __init__(self, place: Place, to: str) -> None:
        super().__init__(place)
        self.to = to
        self.path = str(self.folder / "relay.sock")
        self.commands: list[str] = []
        self.struck = threading.Event()
        self._strike: Strike | None = None
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def strike(self, number: int, moment: str, pid: int) -> None:
        """In place of what was told before."""
        assert moment in MOMENTS
        with self._lock:
            self.struck.clear()
            self._strike = Strike(number, moment, pid)

    # Running: a thread instead of a process.

    @property
    def running(self) -> bool:
        return self._thread is not None

    def start(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._thread = threading.Thread(target=self._run, args=(self._listener,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.destroy()

    def destroy(self) -> None:
        if self._thread is None or self._listener is None:
            return
        self._listener.shutdown(socket.SHUT_RDWR)  # accept() returns
        self._thread.join(self.stop_timeout)
        self._listener.close()
        self._thread = self._listener = None

    def _run(self, listener: socket.socket) -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            with link, contextlib.suppress(OSError):  # whoever is killed hangs up
                link.settimeout(20)
                self._serve(link)

    def _serve(self, link: socket.socket) -> None:
        with link.makefile("rb") as asked:
            first = asked.readline()
            if first == b"prompt\n":
                self._serve_many(link, asked)
                return
            question = first + asked.read()
        self._serve_one(link, question, self._pass_on)

    def _serve_many(self, link: socket.socket, asked: BinaryIO) -> None:
        """In one connection, until renewd ends it."""
        with socket.socket(socket.AF_UNIX) as haproxy:
            haproxy.settimeout(20)
            haproxy.connect(self.to)
            link.sendall(exchange(haproxy, b"prompt\n"))
            while question := read_question(asked):
                if not self._serve_one(link, question, lambda it: exchange(haproxy, it)):
                    return

    def _serve_one(self, link: socket.socket, question: bytes,
                   pass_on: Callable[[bytes], bytes]) -> bool:
        """False: somebody has died of it."""
        command = question.split(b"\n", 1)[0].removesuffix(b" <<").decode()
        strike = self._next(command)
        moment = strike.moment if strike else ""
        if moment == "asked":
            self._kill(strike)
            return False
        answer = pass_on(question)
        if moment == "done":
            self._kill(strike)
            return False
        link.sendall(answer)
        if moment == "told":
            self._kill(strike)
        return not moment

    def _next(self, command: str) -> Strike | None:
        """Who dies at this command?"""
        with self._lock:
            self.commands.append(command)
            with self.output_path.open("a") as log:
                log.write(f"{command}\n")
            if self._strike is None:
                return None
            self._strike.number -= 1
            if self._strike.number > 0:
                return None
            found, self._strike = self._strike, None
            return found

    def _pass_on(self, question: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as haproxy:
            haproxy.settimeout(20)
            haproxy.connect(self.to)
            haproxy.sendall(question)
            haproxy.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: haproxy.recv(65536), b""))

    def _kill(self, strike: Strike | None) -> None:
        assert strike
        os.kill(strike.pid, signal.SIGKILL)
        self.struck.set()
