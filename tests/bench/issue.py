"""How clients are measured while they issue, and the two tables of that: one client after
the other, each with a CA of its own that was just started. `peers` and `load` use it.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from authorities import Authority
from clients import Command, Daemon
from places import far_places
from programs.place import Place, adopt_orphans
from programs.program import ProgramError, wait_until
from table import Table, figure
from usage import PAUSE, Peak, cpu_seconds, memory

STALLED = 40.0  # s without another certificate: it has given up
SETTLING = 20.0  # s for the last files to be where they belong

Chosen = list[tuple[type[Daemon] | type[Command], int]]


@dataclass
class Figures:
    wanted: int
    issued: int = 0
    seconds: float = 0.0   # until the last of them was fetched
    cpu: float = 0.0
    peak: float = 0.0
    requests: int = 0
    longest_turn: float | None = None
    ready_after: float | None = None  # a restart
    at_rest: float | None = None      # MB, then

    def cells(self) -> list[str]:
        of = "" if self.issued == self.wanted else f" of {self.wanted}"
        if self.issued == 0:
            return [f"0{of}", "-", "-", "-", figure(self.peak), "-"]
        digits = 1 if self.issued / (self.seconds or 1) > 5 else 2
        return [f"{self.issued}{of}", figure(self.seconds),
                figure(self.issued / (self.seconds or 1), digits),
                figure(self.cpu * 1000 / self.issued), figure(self.peak),
                figure(self.requests / self.issued, 2)]


def names_of(count: int) -> list[str]:
    return [f"c{number}.example.test" for number in range(count)]


def run_daemon(client: Daemon, ca: Authority, seen: Figures) -> None:
    """From its start until the CA has given out all, or nothing more."""
    program, peak = client.program, Peak()
    began = last = time.monotonic()
    program.launch()
    while seen.issued < seen.wanted and time.monotonic() - last < STALLED:
        time.sleep(PAUSE)  # between two looks
        if not program.running:
            raise program.error(f"ended, status {program.wait_end()}")
        issued, seen.requests = ca.look()
        if issued > seen.issued:
            seen.issued, last = issued, time.monotonic()
        peak.look(program.pid)
    seen.seconds = last - began
    deadline = time.monotonic() + SETTLING
    while not client.done() and time.monotonic() < deadline:
        time.sleep(0.2)  # between two looks, which cost something
    peak.look(program.pid)
    seen.cpu, seen.peak = cpu_seconds(program.pid), peak.most
    seen.longest_turn = client.longest_turn()


def restart(client: Daemon, seen: Figures) -> None:
    """With all that it has issued: how soon is it there, and how large is it then?"""
    program = client.program
    program.stop()
    began = time.monotonic()
    program.launch()
    wait_until(program.ready, f"{program.name} is ready", 120, pause=0.01)
    seen.ready_after = time.monotonic() - began
    time.sleep(2)  # at rest, not at the end of its start
    seen.at_rest = memory(program.pid)


def run_commands(client: Command, ca: Authority, seen: Figures) -> None:
    client.prepare()
    _, before = ca.look()
    for command in client.commands():
        done = client.run(command)
        seen.seconds += done.seconds
        seen.cpu += done.cpu
        seen.peak = max(seen.peak, done.peak)
    time.sleep(0.1)  # the CA's log is written after its reply
    seen.issued, requests = ca.look()
    seen.requests = requests - before


def issue(kind: type[Daemon] | type[Command], at: type[Authority], count: int) -> Figures:
    """One client, in a place of its own."""
    seen = Figures(count)
    with Place() as place:
        ca = at(place)
        client = kind(place, ca, names_of(count))
        if isinstance(client, Command):
            run_commands(client, ca, seen)
        else:
            run_daemon(client, ca, seen)
            if client.restartable and seen.issued == seen.wanted:
                restart(client, seen)
    return seen


def parse(words: list[str], count: int, clients: dict) -> tuple[int, Chosen]:
    """[N] [CLIENT...]: how many, and which of the clients with how many each."""
    numbers = [int(word) for word in words if word.isdigit()]
    chosen = [word for word in words if not word.isdigit()]
    for word in chosen:
        if word not in clients:
            sys.exit(f"bench: no client {word}; there are: {' '.join(clients)}")
    count = numbers[0] if numbers else count
    return count, [(kind, min(count, most or count))
                   for name, (kind, most) in clients.items() if not chosen or name in chosen]


def label(kind: type[Daemon] | type[Command]) -> str:
    return f"{kind.label} {kind.version()}".strip()


def issue_all(at: type[Authority], count: int, chosen: Chosen) -> list[Table]:
    """Measures them all; the tables, printed as well."""
    adopt_orphans()
    issuing = Table(f"Issuing, at {at.name}", "client", "certificates", "seconds",
                    "a second", "CPU ms each", "peak MB", "requests each")
    resting = Table("The daemons of that run after a restart", "client", "certificates",
                    "ready after s", "MB at rest", "longest turn of the loop ms")
    for kind, number in chosen:
        if why := kind.missing():
            issuing.note(f"{kind.label}: not measured, {why}.")
            continue
        print(f"{kind.label}: {number} certificates", file=sys.stderr, flush=True)
        try:
            with far_places():
                seen = issue(kind, at, number)
        except ProgramError as problem:  # the others are worth their figures
            print(problem, file=sys.stderr)
            issuing.note(f"{label(kind)}: failed: {str(problem).splitlines()[0]}")
            continue
        issuing.add(label(kind), *seen.cells())
        if issubclass(kind, Daemon):
            turn = None if seen.longest_turn is None else seen.longest_turn * 1000
            resting.add(label(kind), seen.issued, figure(seen.ready_after, 2),
                        figure(seen.at_rest), figure(turn))
    tables = [issuing] + ([resting] if resting.rows else [])
    print("\n\n".join(table.text() for table in tables), flush=True)
    return tables
