"""The HTTP-01 listener as a CA, or anybody, sees it."""

from __future__ import annotations

import http.client
import socket
import sqlite3

import pytest

from needs import needs_ipv6
from programs.pebble import Pebble
from programs.ports import free_port
from programs.program import wait_until
from programs.renewd import Renewd

PREFIX = "/.well-known/acme-challenge/"


def ask(host: str, port: int, path: str, method: str = "GET",
        **fields: str) -> tuple[int, dict[str, str], bytes]:
    link = http.client.HTTPConnection(host, port, timeout=10)
    try:
        link.request(method, path, headers=fields)
        reply = link.getresponse()
        return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()
    finally:
        link.close()


def published(renewd: Renewd, pebble: Pebble) -> tuple[str, str]:
    """A token that stays published, because the CA doesn't answer the challenge request."""
    front = pebble.front
    assert front
    front.set_lines("http-request silent-drop if { path_beg /chalZ }")
    renewd.add_certificate("www.example.test")
    renewd.start()

    def token() -> list[str] | None:
        with sqlite3.connect(f"file:{renewd.state_dir}/renewd.db?mode=ro", uri=True) as db:
            row = db.execute("SELECT challenges FROM orders").fetchone()
        return row[0].split() if row and row[0] else None
    name, body = wait_until(token, "a token is stored")
    return name, body


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
def test_answers(renewd: Renewd, pebble: Pebble, host: str) -> None:
    token, body = published(renewd, pebble)
    port = renewd.http_port
    wait_until(lambda: ask(host, port, PREFIX + token)[0] == 200, "the token is published")
    status, fields, content = ask(host, port, PREFIX + token)
    assert (status, content) == (200, body.encode())
    assert fields["content-type"] == "application/octet-stream"
    assert fields["content-length"] == str(len(body))
    for name in ("www.example.test", f"www.example.test:{port}", "whatever"):
        assert ask(host, port, PREFIX + token, Host=name)[2] == body.encode()
    status, fields, content = ask(host, port, PREFIX + token, "HEAD")
    assert (status, content, fields["content-length"]) == (200, b"", str(len(body)))
    assert ask(host, port, PREFIX + "unknown")[0] == 404
    assert ask(host, port, PREFIX + token + "x")[0] == 404
    assert ask(host, port, PREFIX + "../" + token)[0] == 404
    assert ask(host, port, PREFIX)[0] == 404
    assert ask(host, port, "/")[0] == 404
    assert ask(host, port, PREFIX + token, "POST")[0] == 405


def test_redirect(renewd: Renewd) -> None:
    renewd.set("http-01", redirect="https")
    renewd.start()
    port = renewd.http_port
    status, fields, _ = ask("127.0.0.1", port, "/shop?x=1", Host=f"www.example.test:{port}")
    assert (status, fields["location"]) == (308, "https://www.example.test/shop?x=1")
    assert ask("127.0.0.1", port, PREFIX + "unknown")[0] == 404


def test_a_port_that_is_taken(renewd: Renewd, pebble: Pebble) -> None:
    """Said once, critical; orders wait, and nothing counts as failed."""
    port = renewd.http_port
    with socket.create_server(("127.0.0.1", port)):
        renewd.set("http-01", listen=[f"127.0.0.1:{port}"])
        renewd.add_certificate("www.example.test")
        renewd.start()
        renewd.wait_log(f"127.0.0.1:{port}")
        assert "crit" in next(line for line in renewd.output().splitlines()
                              if f"127.0.0.1:{port}" in line)
        shown = wait_until(lambda: renewd.certificate("www.example.test"), "it answers")
        assert (shown["failures"], shown["certificates"]) == (0, [])
        front = pebble.front
        assert front and front.count("/order-plz") == 0


def test_sockets_from_systemd(renewd: Renewd) -> None:
    """Descriptors named http-01 are used instead of [http-01] listen."""
    launcher = renewd.folder / "launch"
    launcher.write_text(f"""#!/usr/bin/python3
import os, socket, sys
listener = socket.create_server(("127.0.0.1", {renewd.http_port}))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="http-01")
os.execv(sys.argv[1], sys.argv[1:])
""")
    launcher.chmod(0o755)
    renewd.set("http-01", listen=[f"127.0.0.1:{free_port()}"])
    renewd.wrapper = [str(launcher), *renewd.wrapper]
    renewd.add_certificate("www.example.test")
    renewd.start()
    renewd.wait_state("www.example.test")


def test_a_slow_crowd_harms_nobody(renewd: Renewd) -> None:
    """Hundreds of clients that say nothing, or one byte, while a certificate is issued."""
    renewd.add_certificate("www.example.test")
    renewd.start()
    crowd = []
    try:
        for number in range(400):
            link = socket.create_connection(("127.0.0.1", renewd.http_port), timeout=5)
            if number % 2:
                link.sendall(b"G")
            crowd.append(link)
        renewd.ctl("renew", "--wait", "--force", "www.example.test")
    finally:
        for link in crowd:
            link.close()
    renewd.wait_state("www.example.test")
