"""The benches still work: each with very little to do. Their figures are nobody's here."""

from __future__ import annotations

import subprocess
import sys

import pytest

from programs.pebble import TOP
from programs.program import PATIENCE, clean_environment
from programs.renewd import build_folder

BENCHES = TOP / "tests" / "bench"


def bench(name: str, *words: str) -> list[list[str]]:
    """Runs one; the cells of its rows."""
    done = subprocess.run(
        [sys.executable, str(BENCHES / f"{name}.py"), *words], capture_output=True, text=True,
        check=False, timeout=100 * PATIENCE,
        env=clean_environment(RENEWD_BUILD=str(build_folder()), E2E_PATIENCE=str(PATIENCE)))
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split() for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("name", ["peers", "load"])
def test_issuing(name: str) -> None:
    rows = bench(name, "3", "raw", "renewd")
    assert rows[1][:2] == ["client", "certificates"]
    assert [row[:3] for row in rows[2:3]] == [["raw", "client", "3"]]
    ours = "renewd, max_orders = 64 3".split()
    assert [row[:5] for row in rows if row[0] == ours[0]] == [ours] * 2
    for row in rows[2:4]:
        # seconds, rate, CPU, memory: of something; an order takes seven requests
        assert all(float(cell) > 0 for cell in row[-5:])
        assert 7 <= float(row[-1]) < 30


def test_rest() -> None:
    title, head, *rows = bench("rest", "3", "seconds=0")
    ways = ["by the API", "in files of conf.d", "in renewd.conf"]
    assert [row[:-8] for row in rows] == [f"3 {way}".split() for way in ways]
    for row in rows:
        assert 1 < float(row[-6]) < 300  # MB


def test_the_document_has_a_place_for_them() -> None:
    text = (TOP / "docs" / "performance.md").read_text()
    begin, end = text.find("<!-- ./dev bench: begin -->\n"), text.find("<!-- ./dev bench: end -->\n")
    assert 0 < begin < end
