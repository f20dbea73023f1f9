"""Where TLS doesn't begin at once: Dovecot and OpenLDAP's slapd, and small servers that
speak as Postfix and PostgreSQL do, which are too heavy for a test."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from programs.dovecot import Dovecot
from programs.place import Place
from programs.ports import accepts, free_port
from programs.program import Program
from programs.renewd import Renewd
from test_served import deployment, issued

NAME = "mail.example.test"


def verified_by(renewd: Renewd, *addresses: str, **keys: object) -> None:
    target = keys or {"type": "exec", "command": "/bin/true"}
    renewd.sections["deploy mail"] = target | {"verify": list(addresses)}
    renewd.add_certificate(NAME, deploy="mail", keys=["ecdsa-p256"])
    renewd.reload()


def test_dovecot(place: Place, renewd: Renewd) -> None:
    """Seen after each deployment, by IMAP and POP3; and an older one is said."""
    issued(renewd, NAME)
    dovecot = Dovecot(place, renewd.bundle(NAME), renewd.bundle(NAME, "privkey.pem"))
    dovecot.start()
    addresses = [f"imap://127.0.0.1:{dovecot.imap_port}",
                 f"pop3://127.0.0.1:{dovecot.pop3_port}"]
    verified_by(renewd, *addresses, type="signal", pidfile=dovecot.pid_file,
                process="dovecot")
    deployment(renewd, NAME, "mail", "served")
    renewd.ctl("renew", "--force", "--wait", NAME)
    deployment(renewd, NAME, "mail", "served")
    old = renewd.leaf(NAME).serial
    verified_by(renewd, *addresses)  # nobody is told any more
    renewd.ctl("renew", "--force", NAME)
    row = deployment(renewd, NAME, "mail", "failed", patience=100)
    assert f"not served at imap://127.0.0.1:{dovecot.imap_port}" in row["detail"]
    assert old in row["detail"]


class Slapd(Program):
    name = "slapd"

    def __init__(self, place: Place, certificate: Path, key: Path) -> None:
        super().__init__(place)
        self.port = free_port()
        self.config_path = self.folder / "slapd.conf"
        self.config_path.write_text(
            f"pidfile {self.folder}/pid\nTLSCertificateFile {certificate}\n"
            f"TLSCertificateKeyFile {key}\nTLSCACertificateFile {certificate}\n")

    def command(self) -> list[str | Path]:
        return ["/usr/sbin/slapd", "-h", f"ldap://127.0.0.1:{self.port}", "-f",
                self.config_path, "-d", "0"]

    def healthy_end(self, status: int) -> bool:
        return status == 0

    def ready(self) -> bool:
        return accepts(self.port)


def test_slapd(place: Place, renewd: Renewd) -> None:
    issued(renewd, NAME)
    slapd = Slapd(place, renewd.bundle(NAME), renewd.bundle(NAME, "privkey.pem"))
    slapd.start()
    verified_by(renewd, f"ldap://127.0.0.1:{slapd.port}")
    deployment(renewd, NAME, "mail", "served")


def smtp(raw: socket.socket) -> bool:
    lines = raw.makefile("rb")
    raw.sendall(b"220-mail.example.test\r\n220 ESMTP Postfix\r\n")
    if not lines.readline().startswith(b"EHLO "):
        return False
    raw.sendall(b"250-mail.example.test\r\n250-STARTTLS\r\n250 SMTPUTF8\r\n")
    if lines.readline() != b"STARTTLS\r\n":
        return False
    raw.sendall(b"220 2.0.0 Ready to start TLS\r\n")
    return True


def postgres(raw: socket.socket) -> bool:
    if raw.recv(8, socket.MSG_WAITALL) != bytes((0, 0, 0, 8, 4, 210, 22, 47)):
        return False
    raw.sendall(b"S")
    return True


def unwilling(raw: socket.socket) -> bool:
    raw.recv(8, socket.MSG_WAITALL)
    raw.sendall(b"N")
    return False


class Speaker:
    """Answers each connection as `begin` does, then with TLS."""

    def __init__(self, begin: Callable[[socket.socket], bool], chain: Path, key: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                if begin(self.request):
                    try:
                        context.wrap_socket(self.request, server_side=True).recv(1)
                    except OSError:
                        pass  # it has seen enough

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self) -> Speaker:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.mark.parametrize(("scheme", "begin"), [("smtp", smtp), ("postgres", postgres)])
def test_dialogues(renewd: Renewd, scheme: str,
                   begin: Callable[[socket.socket], bool]) -> None:
    issued(renewd, NAME)
    with Speaker(begin, renewd.bundle(NAME), renewd.bundle(NAME, "privkey.pem")) as it:
        verified_by(renewd, f"{scheme}://127.0.0.1:{it.port}")
        deployment(renewd, NAME, "mail", "served")


def test_refused(renewd: Renewd) -> None:
    issued(renewd, NAME)
    with Speaker(unwilling, renewd.bundle(NAME), renewd.bundle(NAME, "privkey.pem")) as it:
        verified_by(renewd, f"postgres://127.0.0.1:{it.port}")
        row = deployment(renewd, NAME, "mail", "failed", patience=100)
    assert 'no STARTTLS by postgres: it says "N"' in row["detail"]


def test_chain_and_names(renewd: Renewd) -> None:
    """A server that sends the leaf alone, and one that has not all names."""
    issued(renewd, NAME)
    key = renewd.bundle(NAME, "privkey.pem")
    with Speaker(lambda raw: True, renewd.bundle(NAME, "cert.pem"), key) as it:
        verified_by(renewd, f"127.0.0.1:{it.port}")
        row = deployment(renewd, NAME, "mail", "failed", patience=100)
        assert "its chain is missing" in row["detail"]
