"""What a process and all that it starts cost: CPU time and memory, read from /proc."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
FIELD = re.compile(r"^(Rss|Private_Clean|Private_Dirty):\s+(\d+) kB", re.M)
PAUSE = 0.03  # between two looks at memory


def tree(pid: int) -> list[int]:
    """A process and its descendants, as far as they live."""
    found = [pid]
    for parent in found:  # which grows meanwhile
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, path.read_text().split())
            except OSError:
                pass  # ended meanwhile
    return found


def cpu_seconds(pid: int) -> float:
    """Of all of the tree, with those that have ended and were waited for."""
    ticks = 0
    for one in tree(pid):
        try:
            text = Path(f"/proc/{one}/stat").read_text()
        except OSError:
            continue
        ticks += sum(map(int, text.rpartition(")")[2].split()[11:15]))
    return ticks / TICKS


def memory(pid: int) -> float:
    """MB of the tree: what each process has alone, and what they share counted once (as
    the most that one of them has of it)."""
    alone, shared = 0, 0
    for one in tree(pid):
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        sizes = {kind: int(size) for kind, size in FIELD.findall(text)}
        own = sizes.get("Private_Clean", 0) + sizes.get("Private_Dirty", 0)
        alone += own
        shared = max(shared, sizes.get("Rss", 0) - own)
    return (alone + shared) / 1024


def peak_of(pid: int) -> float:
    """MB, of this process alone, since it began."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
    return int(found[1]) / 1024 if found else 0.0


class Peak:
    """The most memory that a tree was seen with; a lone process is asked for its own."""

    def __init__(self) -> None:
        self.most = 0.0

    def look(self, pid: int) -> None:
        try:
            alone = len(tree(pid)) == 1
            self.most = max(self.most, peak_of(pid) if alone else memory(pid))
        except OSError:
            pass  # ended meanwhile


@dataclass
class Run:
    """A command that ran to its end, with all that it started and waited for."""

    status: int
    seconds: float
    cpu: float
    peak: float
    output: str


def run(command: Sequence[str | Path], environment: dict[str, str], folder: Path,
        timeout: float = 120, pause: float = PAUSE) -> Run:
    """Runs it and measures it; it dies with this process. ru_maxrss isn't asked: it has
    the size of this process in it, from before the exec."""
    path = folder / "command.out"
    peak, began = Peak(), time.monotonic()
    words = ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)]
    with path.open("wb") as out:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT, cwd=folder, env=environment)
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if time.monotonic() - began > timeout:
            process.kill()
        peak.look(process.pid)
        time.sleep(pause)  # between two looks at its memory
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    return Run(process.returncode, seconds, used.ru_utime + used.ru_stime,
               peak.most, path.read_text(errors="replace"))

