"""A place for one test: a short temporary folder and the programs that run in it.

What is started here is stopped here, by process id, newest first, however the test
ended. The test process adopts orphans (it is their subreaper), so that a worker or a
hook that survived its parent is found, killed and reported.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .program import Program

PR_SET_CHILD_SUBREAPER = 36


class LeftBehind(Exception):
    """Processes were still there when all programs had been stopped."""


def adopt_orphans() -> None:
    """Makes this process the parent of what its children leave behind."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def children() -> dict[int, str]:
    """Child processes of this one by process id: what they are, "" for a zombie."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name, _, rest = (entry / "stat").read_text().rpartition(")")
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("latin-1")
        except OSError:
            continue  # ended meanwhile
        state, parent = rest.split()[:2]
        if int(parent) == os.getpid():
            found[int(entry.name)] = "" if state == "Z" else command.strip() or name
    return found


def kill_children(known: set[int]) -> dict[int, str]:
    """Kills and reaps all children but these; says which were alive."""
    strangers: dict[int, str] = {}
    while new := {p: what for p, what in children().items() if p not in known}:
        for pid, what in new.items():  # the children of a killed one become ours
            if what:
                strangers[pid] = what
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return strangers


class Place:
    """Where the programs of one test live. Program's constructor adds itself."""

    def __init__(self) -> None:
        # UNIX socket paths end at 108 bytes: so not below pytest's long names.
        self.path = Path(tempfile.mkdtemp(prefix="renewd-e2e-"))
        self.programs: list[Program] = []
        self._before = set(children())
        self._names: set[str] = set()

    def __enter__(self) -> Place:
        return self

    def __exit__(self, kind: object, problem: object, trace: object) -> None:
        self.close(keep=kind is not None)

    def folder(self, name: str) -> Path:
        """A new folder for a program; a second one of the same name gets a number."""
        unique, number = name, 1
        while unique in self._names:
            number += 1
            unique = f"{name}-{number}"
        self._names.add(unique)
        folder = self.path / unique
        folder.mkdir(mode=0o700)
        return folder

    def outputs(self, last: int = 60) -> str:
        """The ends of what all programs printed: for the report of a failed test."""
        parts = []
        for program in self.programs:
            text = program.output()
            if text:
                tail = "\n".join(text.splitlines()[-last:])
                parts.append(f"--- {program.folder.name}: {program.output_path}\n{tail}")
        return "\n".join(parts)

    def close(self, keep: bool = False) -> None:
        """Stops all and removes the folder, unless it is to be kept. Raises what the first
        program complained of, or LeftBehind; then the folder stays, too."""
        problems: list[Exception] = []
        for program in reversed(self.programs):
            try:
                program.stop()
            except Exception as problem:
                problems.append(problem)
            finally:
                program.destroy()
        left = kill_children(self._before)
        if left:
            rows = "\n".join(f"  {pid} {command}" for pid, command in left.items())
            problems.append(LeftBehind(f"processes were left behind:\n{rows}"))
        if keep or problems:
            print(f"kept: {self.path}", file=sys.stderr)
        else:
            shutil.rmtree(self.path, ignore_errors=True)
        if problems:
            raise problems[0]
