"""A program that runs for a test: started in its own process group, ready when it says
so, stopped by its process id, its output in a file.

Subclasses give the command line and `ready()`, and may give `healthy_end()`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from .place import Place

# Of this process's environment a program sees only these: no proxy, locale or time zone
# of the machine changes a test.
PASSED_ON = ("ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "ASAN_SYMBOLIZER_PATH",
             "LD_LIBRARY_PATH", "VALGRIND_LIB", "TMPDIR")

# Everything is slower under valgrind or a sanitizer.
PATIENCE = float(os.environ.get("E2E_PATIENCE", "1"))

T = TypeVar("T")


class ProgramError(Exception):
    """A program didn't do as a test needs; the text ends with what it printed."""


class Unavailable(Exception):
    """This program can't be had on this machine; says why."""


def wait_until(ask: Callable[[], T], what: str, timeout: float = 20,
               pause: float = 0.02) -> T:
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout * PATIENCE:g} s: {what}")
        time.sleep(pause)  # between two looks


def clean_environment(**more: str) -> dict[str, str]:
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    env |= {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8", "TZ": "UTC"}
    return env | more


class Program:
    """One process (and its children) in a folder of its own."""

    name = "program"
    start_timeout = 20.0
    stop_timeout = 20.0
    stop_signal = signal.SIGTERM

    def __init__(self, place: Place) -> None:
        self.place = place
        self.folder: Path = place.folder(self.name)
        self.output_path = self.folder / "output"
        self.process: subprocess.Popen[bytes] | None = None
        self._run_begins = 0  # in the output
        place.programs.append(self)

    # What a subclass says of itself.

    def command(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return clean_environment(HOME=str(self.folder))

    def ready(self) -> bool:
        """Asked again and again after the start: does it do its work now?"""
        raise NotImplementedError

    def healthy_end(self, status: int) -> bool:
        """Is this how it ends when it is asked to stop?"""
        return status in (0, -self.stop_signal, 128 + self.stop_signal)

    # What a test does with it.

    @property
    def pid(self) -> int:
        if self.process is None:
            raise ProgramError(f"{self.name} isn't running")
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def output(self) -> str:
        """All it has printed, over all its runs."""
        if not self.output_path.exists():
            return ""
        return self.output_path.read_text(errors="replace")

    def output_of_run(self) -> str:
        """What it has printed since its last start."""
        return self.output()[self._run_begins:]

    def launch(self) -> None:
        """Starts it and doesn't wait. It dies with the test process, however that dies."""
        if self.process is not None:
            raise ProgramError(f"{self.name} was started already")
        self._run_begins = len(self.output())
        guard = ["setpriv", "--pdeathsig", "KILL", "--"]  # execs: the process id stays
        with self.output_path.open("ab") as output:
            self.process = subprocess.Popen(
                guard + [str(word) for word in self.command()], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, cwd=self.folder, env=self.environment(),
                start_new_session=True)

    def start(self) -> None:
        """Starts it and waits until it is ready; raises with its output where it isn't."""
        self.launch()
        try:
            wait_until(self._ready_or_dead, f"{self.name} is ready", self.start_timeout)
        except TimeoutError as late:
            self.destroy()
            raise self.error(str(late)) from None

    def _ready_or_dead(self) -> bool:
        if not self.running:
            raise self.error(f"ended while starting, status {self.wait_end()}")
        return self.ready()

    def error(self, what: str) -> ProgramError:
        tail = "\n".join(self.output().splitlines()[-40:])
        return ProgramError(f"{self.name}: {what}\n{tail}")

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait_end(self, timeout: float | None = None) -> int:
        """Waits for its end; returns the status (negative: the signal that ended it)."""
        if self.process is None:
            raise ProgramError(f"{self.name} wasn't started")
        seconds = (timeout or self.stop_timeout) * PATIENCE
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self.error(f"still runs after {seconds:g} s") from None
        self.destroy()
        return status

    def stop(self) -> None:
        """Asks it to end, and checks that it ended well. Fine where it wasn't started; an
        error where it has ended by itself."""
        if self.process is None:
            return
        if not self.running:
            raise self.error(f"ended by itself, status {self.wait_end()}")
        self.signal(self.stop_signal)
        status = self.wait_end()
        if not self.healthy_end(status):
            raise self.error(f"ended with status {status}")

    def kill(self) -> None:
        """Ends it at once (SIGKILL), with all of its process group: as a power cut would."""
        self.destroy()

    def destroy(self) -> None:
        """The same, to leave nothing behind."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        try:
            while True:  # what it started and we have adopted
                os.waitpid(-self.process.pid, 0)
        except ChildProcessError:
            pass
        self.process = None
