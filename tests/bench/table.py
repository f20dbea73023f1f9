"""Tables of figures: as text while a bench runs, as Markdown in docs/performance.md."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
DOCUMENT = TOP / "docs" / "performance.md"
BEGIN, END = "<!-- ./dev bench: begin -->\n", "<!-- ./dev bench: end -->\n"


class Table:
    """A row a thing, the first column its name; `notes` are the sentences below."""

    def __init__(self, title: str, *columns: str) -> None:
        self.title = title
        self.columns = columns
        self.rows: list[list[str]] = []
        self.notes: list[str] = []

    def add(self, *cells: object) -> None:
        self.rows.append([str(cell) for cell in cells])

    def note(self, text: str) -> None:
        if text and text not in self.notes:
            self.notes.append(text)

    def text(self) -> str:
        rows = [list(self.columns), *self.rows]
        widths = [max(len(cell) for cell in column) for column in zip(*rows)]

        def line(row: list[str]) -> str:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
            return "  ".join(cells).rstrip()

        return "\n".join([self.title, *map(line, rows), *(f"- {n}" for n in self.notes)])

    def markdown(self) -> str:
        rows = [self.columns, ("---", *["---:"] * (len(self.columns) - 1)), *self.rows]
        lines = [f"### {self.title}", "", *(f"| {' | '.join(row)} |" for row in rows)]
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"


def figure(value: float | None, digits: int = 1) -> str:
    """A number for a cell; "-" for none."""
    return "-" if value is None else f"{value:.{digits}f}"


def debian_version(package: str) -> str:
    """Of an installed package, without what Debian adds to it."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                          capture_output=True, text=True, check=False)
    return re.sub(r"^\d+:|[-+~].*$", "", done.stdout.strip()) or "?"


def machine() -> str:
    """What figures were taken on."""
    def first(pattern: str, path: str) -> str:
        found = re.search(pattern, Path(path).read_text(), re.M)
        return found[1] if found else "?"

    model = first(r"^model name\s*: (.*)$", "/proc/cpuinfo")
    memory = int(first(r"^MemTotal:\s+(\d+) kB$", "/proc/meminfo")) / 2**20
    system = first(r'^PRETTY_NAME="?([^"\n]*)', "/etc/os-release")
    disk = subprocess.run(["findmnt", "-n", "-o", "FSTYPE", "-T", tempfile.gettempdir()],
                          capture_output=True, text=True, check=False).stdout.strip()
    return (f"{os.cpu_count()} cores ({model}, {platform.machine()}), {memory:.0f} GiB, "
            f"{system}, Linux {platform.release().partition('-')[0]}, files on {disk or '?'}")


def write_document(tables: list[Table], introduction: str) -> None:
    """Puts the tables between the two marks of docs/performance.md."""
    text = DOCUMENT.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT}: no line {BEGIN!r}, or {END!r} after it")
    parts = [introduction + "\n", *(table.markdown() for table in tables)]
    DOCUMENT.write_text(before + begin + "\n" + "\n".join(parts) + "\n" + end + after)
