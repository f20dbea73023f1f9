#!/usr/bin/python3
"""HTTP-01 answers a second: renewd's responder, and nginx with one worker that serves the
same file without a log; 64 clients of wrk on the same machine, over kept connections and
with a connection for each request, as CAs come. Prints figures.

    ./dev bench http01 [seconds=5]
"""

from __future__ import annotations

import http.client
import re
import shutil
import sqlite3
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from programs.nginx import Nginx
from programs.place import Place, adopt_orphans
from programs.ports import free_port
from programs.program import Program, clean_environment, wait_until
from programs.renewd import Renewd

from authorities import AtPebble
from clients import longest_turn
from table import Table, debian_version, figure
from usage import cpu_seconds, run

PREFIX = "/.well-known/acme-challenge/"
CLIENTS = 64
MODES = {"kept": [], "one each": ["-H", "Connection: close"]}


def with_token(place: Place) -> tuple[Renewd, str, str]:
    """renewd with a token that stays, as its CA never answers about the challenge."""
    ca = AtPebble(place)
    assert ca.pebble.front
    ca.pebble.front.set_lines("http-request silent-drop if { path_beg /chalZ }")
    renewd = Renewd(place, ca.pebble)
    renewd.set("renewd", log_level="notice")
    renewd.add_certificate("www.example.test")
    renewd.start()

    def stored() -> list[str] | None:
        with sqlite3.connect(f"file:{renewd.state_dir}/renewd.db?mode=ro", uri=True) as db:
            row = db.execute("SELECT challenges FROM orders").fetchone()
        return row[0].split() if row and row[0] else None

    token, body = wait_until(stored, "a token is stored")
    wait_until(lambda: fetch(renewd.http_port, token) == body.encode(), "it is published")
    return renewd, token, body


def fetch(port: int, token: str) -> bytes:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    link.request("GET", PREFIX + token)
    body = link.getresponse().read()
    link.close()
    return body


def serving(place: Place, token: str, body: str) -> tuple[Nginx, int]:
    """nginx with the same file."""
    port = free_port()
    nginx = Nginx(place, f"    server {{ listen 127.0.0.1:{port}; access_log off; "
                  f"default_type application/octet-stream; root {place.path}/www; }}", [port])
    folder = Path(f"{place.path}/www{PREFIX}")
    folder.mkdir(parents=True)
    (folder / token).write_text(body)
    nginx.start()
    if fetch(port, token) != body.encode():
        raise nginx.error("serves something else")
    return nginx, port


def add_row(table: Table, label: str, server: Program, url: str, mode: str,
            seconds: float) -> None:
    before = cpu_seconds(server.pid)
    done = run(["wrk", "-t", "1", "-c", str(CLIENTS), "-d", f"{seconds:.0f}s", "--latency",
                *MODES[mode], url], clean_environment(), server.folder)
    cpu = cpu_seconds(server.pid) - before

    def said(pattern: str) -> str:
        found = re.search(pattern, done.output, re.M)
        if not found:
            raise server.error(f"wrk, status {done.status}: {done.output}")
        return found[1]

    count = int(said(r"^\s*(\d+) requests in"))
    rate = float(said(r"^Requests/sec:\s+([0-9.]+)"))
    table.add(label, mode, f"{rate:,.0f}", figure(cpu * 1e6 / count),
              said(r"^\s+99%\s+(\S+)"))
    for trouble in re.findall(r"^\s*(Non-2xx.*|Socket errors:.*)$", done.output, re.M):
        table.note(f"{label}, {mode}: {trouble}")


def measure(words: list[str]) -> list[Table]:
    """The table, printed as well."""
    seconds = [float(word.partition("=")[2]) for word in words if "seconds=" in word] or [5.0]
    table = Table("HTTP-01 answers", "server", "connections", "requests a second",
                  "CPU us each", "99 % within")
    if not shutil.which("wrk"):
        table.note("Not measured, wrk isn't installed.")
        return [table]
    adopt_orphans()
    with Place() as place:
        renewd, token, body = with_token(place)
        nginx, port = serving(place, token, body)
        servers = (("renewd", renewd, renewd.http_port),
                   (f"nginx {debian_version('nginx')}", nginx, port))
        for mode in MODES:
            for label, server, where in servers:
                add_row(table, label, server, f"http://127.0.0.1:{where}{PREFIX}{token}", mode,
                        seconds[0])
        if turn := longest_turn(renewd):
            table.note(f"Longest turn of renewd's loop: {turn * 1000:.1f} ms.")
    print(table.text(), flush=True)
    return [table]


if __name__ == "__main__":
    measure(sys.argv[1:])
