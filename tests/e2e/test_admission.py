"""Who may do what at the control socket, with processes of real users and groups."""

from __future__ import annotations

import grp
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from needs import needs_root
from programs.renewd import Renewd

pytestmark = needs_root

NAME = "a.example.test"
STRANGER, READER, ADMIN = 61001, 61002, 61003
CLIENT = """
import http.client, socket, sys
path, method, target, body = sys.argv[1:]
link = http.client.HTTPConnection("renewd")
link.sock = socket.socket(socket.AF_UNIX)
try:
    link.sock.connect(path)
    link.request(method, target, body or None)
    reply = link.getresponse()
    print(reply.status)
    print(reply.read().decode())
except PermissionError:
    print("not permitted")
except (ConnectionError, http.client.HTTPException):
    print("turned away")
"""


def two_groups() -> tuple[grp.struct_group, grp.struct_group]:
    """Two that are there on every Debian, and are nobody's of ours."""
    return grp.getgrnam("games"), grp.getgrnam("users")


def ask(socket: Path, uid: int, groups: list[int], method: str, target: str,
        body: str = "", primary: int | None = None) -> tuple[str, str]:
    """One request as this user: the status, or what happened; and the body."""
    done = subprocess.run([sys.executable, "-c", CLIENT, socket, method, target, body],
                          capture_output=True, text=True, check=True, timeout=30,
                          cwd="/", user=uid, group=primary or uid, extra_groups=groups)
    status, _, rest = done.stdout.partition("\n")
    return status, rest


@pytest.fixture
def door(renewd: Renewd) -> Iterator[Renewd]:
    """renewd with its socket where everybody can get to it."""
    folder = Path(tempfile.mkdtemp(prefix="renewd-door-"))
    folder.chmod(0o755)
    renewd.socket = folder / "control.sock"
    admins, readers = two_groups()
    renewd.set("control", socket=renewd.socket, group=admins.gr_name, readers=readers.gr_name)
    renewd.add_certificate(NAME)
    yield renewd
    shutil.rmtree(folder, ignore_errors=True)


def test_three_kinds_of_users(door: Renewd) -> None:
    door.start()
    door.wait_state(NAME)
    admins, readers = two_groups()
    path = f"/v1/certificates/{NAME}"
    for method, target in (("GET", "/v1/status"), ("GET", path), ("POST", f"{path}/pause"),
                           ("GET", f"{path}/bundle"), ("GET", "/healthz")):
        status, _ = ask(door.socket, STRANGER, [], method, target)
        assert status in ("turned away", "not permitted"), (method, target)
    # a reader looks
    for target in ("/v1/status", "/v1/certificates", path, f"{path}/history", "/v1/events",
                   "/v1/accounts", "/healthz"):
        status, text = ask(door.socket, READER, [readers.gr_gid], "GET", target)
        assert status == "200" and "PRIVATE" not in text, target
    # but changes nothing, and sees no key
    for method, target in (("GET", f"{path}/bundle"), ("POST", f"{path}/renew"),
                           ("POST", f"{path}/pause"), ("POST", f"{path}/resume"),
                           ("POST", f"{path}/deploy"), ("POST", "/v1/reload"),
                           ("PUT", "/v1/certificates/b.example.test"),
                           ("DELETE", f"{path}?purge=1")):
        status, text = ask(door.socket, READER, [readers.gr_gid], method, target)
        assert status == "403", (method, target)
        assert json.loads(text)["status"] == 403
    # by the primary group, too
    assert ask(door.socket, READER, [], "GET", path, primary=readers.gr_gid)[0] == "200"
    # an administrator does all
    status, text = ask(door.socket, ADMIN, [readers.gr_gid, admins.gr_gid], "GET",
                       f"{path}/bundle")
    assert status == "200" and "PRIVATE KEY" in text
    assert ask(door.socket, ADMIN, [admins.gr_gid], "POST", f"{path}/pause")[0] == "200"
    history = door.api("GET", f"{path}/history").body.splitlines()
    assert json.loads(history[-1])["detail"].endswith(f"user {ADMIN}")


def test_without_readers(door: Renewd) -> None:
    admins, readers = two_groups()
    door.set("control", readers=None)
    door.start()
    assert ask(door.socket, STRANGER, [], "GET", "/v1/status")[0] == "not permitted"
    assert ask(door.socket, READER, [readers.gr_gid], "GET", "/v1/status")[0] == "not permitted"
    assert ask(door.socket, ADMIN, [admins.gr_gid], "GET", "/v1/status")[0] == "200"
    # groups change by a reload
    door.set("control", group=readers.gr_name)
    door.reload()
    assert ask(door.socket, READER, [readers.gr_gid], "GET", "/v1/status")[0] == "200"
    assert ask(door.socket, ADMIN, [admins.gr_gid], "GET", "/v1/status")[0] == "not permitted"


def test_an_unknown_group(door: Renewd) -> None:
    admins, _ = two_groups()
    door.set("control", readers=None, group="no-such-group")
    door.start()
    assert 'there is no group "no-such-group" (group in [control])' in door.output()
    assert door.socket.stat().st_mode & 0o777 == 0o600
    assert ask(door.socket, ADMIN, [admins.gr_gid], "GET", "/v1/status")[0] == "not permitted"
    assert door.get("/v1/status")["pid"] == door.pid


def test_a_stranger_holds_nobody_up(door: Renewd) -> None:
    """Strangers who connect again and again don't take the place of others."""
    door.start()
    script = """
import socket, sys
links = []
for _ in range(600):
    link = socket.socket(socket.AF_UNIX)
    link.connect(sys.argv[1])
    links.append(link)
print(sum(link.recv(1) == b"" for link in links))
"""
    done = subprocess.run([sys.executable, "-c", script, door.socket], capture_output=True,
                          text=True, check=True, timeout=60, cwd="/", user=STRANGER,
                          group=STRANGER, extra_groups=[])
    assert done.stdout.strip() == "600"
    assert door.get("/v1/status")["pid"] == door.pid
