"""Every error that an administrator can cause before renewd is ready: one clear line each,
nothing is touched, and when the cause is gone it starts.

`bad_config/` has a file for each kind of bad configuration and, beside it, all that is
said about it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from needs import needs_root
from programs.place import Place
from programs.program import clean_environment
from programs.renewd import Renewd, program

BAD_CONFIG = sorted((Path(__file__).parent / "bad_config").glob("*.conf"))
TIME = re.compile(r"^[0-9T:-]+Z ")
CERTIFICATE = "www.example.test"

# root without its right to pass by modes
ORDINARY = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"]


@pytest.fixture
def alone(place: Place) -> Renewd:
    """renewd without a CA, not started."""
    return Renewd(place)


def expected(conf: Path, name: Path) -> list[str]:
    """What is said about it, as if it were the file `name`."""
    lines = conf.with_suffix(".expected").read_text().splitlines()
    return [f"{name}:{line}".replace(f" {conf.name}:", f" {name}:") for line in lines]


# The configuration.

@pytest.mark.parametrize("conf", BAD_CONFIG, ids=lambda conf: conf.stem)
def test_bad_config(alone: Renewd, conf: Path) -> None:
    """All errors at once, with file and line, by --check as by a start."""
    alone.config_path.write_bytes(conf.read_bytes())
    for args in (["--check"], [], ["--print-config"]):
        done = alone.run("-c", alone.config_path, *args)
        assert (done.returncode, done.stdout) == (78, "")
        assert done.stderr.splitlines() == expected(conf, alone.config_path)


def test_reload_of_each(alone: Renewd) -> None:
    """The configuration of before stays, with all that it does."""
    alone.add_certificate(CERTIFICATE, ca="letsencrypt", enabled="no")
    alone.set("ca letsencrypt", accept_terms="yes")
    alone.start()
    for conf in BAD_CONFIG:
        alone.config_path.write_bytes(conf.read_bytes())
        reply = alone.api("POST", "/v1/reload")
        assert reply.status == 422
        assert reply.headers["Content-Type"] == "application/problem+json"
        errors = [f"{e['file']}:{e['line']}: {e['message']}" for e in reply.json()["errors"]]
        assert errors == expected(conf, alone.config_path)
        assert all(f"reload refused: {line}" in alone.output() for line in errors)
    assert alone.certificate(CERTIFICATE)["activity"] == "paused"
    assert alone.reload().returncode == 0


@pytest.mark.parametrize("content,message", [
    (b"[renewd]\nlog_level = in\0fo\n", "2: NUL byte in line"),
    (b"# \0\n[renewd]\n", "1: NUL byte in line"),
    (b"[renewd]\nlog_level = in\x1bfo\n", "2: control character in line"),
    (b"[renewd]\nlog_level = \xff\n", "2: line is not UTF-8"),
    (b"[ca \xed\xa0\x80]\n", "1: line is not UTF-8"),
    (b"[ca letsencrypt]\ncontact = " + b"x" * 65536 + b"\n", "2: line is longer than 64 KiB"),
    (b"[renewd]\n" + b"# a comment\n" * 1_500_000, " larger than 16 MiB"),
], ids=["nul", "nul-in-comment", "control", "latin-1", "surrogate", "long-line", "large"])
def test_bad_bytes(alone: Renewd, content: bytes, message: str) -> None:
    alone.config_path.write_bytes(content)
    done = alone.run("-c", alone.config_path, "--check")
    assert done.returncode == 78
    assert done.stderr == f"{alone.config_path}:{message}\n"


def dangling(path: Path) -> None:
    path.symlink_to("nowhere.conf")


@pytest.mark.parametrize("make,message", [
    (dangling, "cannot be read: No such file or directory"),
    (Path.mkdir, "cannot be read: Is a directory"),
    (os.mkfifo, "cannot be read: not a regular file"),
    pytest.param(lambda path: path.touch(mode=0), "cannot be read: Permission denied",
                 marks=needs_root),
], ids=["missing", "directory", "fifo", "mode"])
@pytest.mark.parametrize("where", ["renewd.conf", "conf.d/site.conf"])
def test_unreadable_files(alone: Renewd, make: Callable[[Path], None], where: str,
                          message: str) -> None:
    if os.geteuid() == 0:
        alone.wrapper = ORDINARY + alone.wrapper
    (alone.folder / "conf.d").mkdir()
    if where != "renewd.conf":
        alone.config_path.write_text("[renewd]\n")
    path = alone.folder / where
    make(path)
    done = alone.run("-c", alone.config_path, "--check")
    assert (done.returncode, done.stderr) == (78, f"{path}: {message}\n")


@pytest.mark.parametrize("args", [["--chek"], ["-c"], ["x"]])
def test_usage(alone: Renewd, args: list[str]) -> None:
    done = alone.run(*args)
    assert done.returncode == 64 and "usage: renewd" in done.stderr and not done.stdout


def test_nowhere_to_print_to(alone: Renewd) -> None:
    """Half a configuration is none: whoever keeps it has to know."""
    alone.write_config()
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([*alone.command(), "--print-config"], stdout=full, check=False,
                              stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr == "renewd: cannot write: No space left on device\n"


# The start.

def said(renewd: Renewd) -> list[str]:
    """The lines of its last run, without times and debug."""
    lines = [TIME.sub("", line) for line in renewd.output_of_run().splitlines()]
    return [line for line in lines if not line.startswith(("debug:", "info:"))]


def in_the_way(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("in the way")


def shut(path: Path) -> None:
    path.mkdir(mode=0o555)


def to_the_future(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 999")
    db.close()


def damage(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + os.urandom(8192))


WHO = f"renewd runs as user {os.geteuid()} and group {os.getegid()}"
# name: (what is set where, what is done there, what is said; {} is the path)
STARTS: dict[str, tuple[str, str, Callable[[Path], None], str]] = {
    "state-under-a-file": ("state_dir", "file/state", lambda p: in_the_way(p.parent),
                           "cannot make the state directory {}: Not a directory"),
    "state-shut": ("state_dir", "state", shut,
                   "cannot open the inventory: {}/renewd.lock: Permission denied; " + WHO),
    "state-above-shut": ("state_dir", "up/state", lambda p: shut(p.parent),
                         "cannot make the state directory {}: Permission denied; " + WHO),
    "bundle-under-a-file": ("bundle_dir", "file/live", lambda p: in_the_way(p.parent),
                            "cannot use the bundle directory {}: Not a directory"),
    "bundle-above-shut": ("bundle_dir", "up/live", lambda p: shut(p.parent),
                          "cannot use the bundle directory {}: Permission denied; " + WHO),
    "socket-above-shut": ("socket", "up/control.sock", lambda p: shut(p.parent),
                          "cannot open the control socket {}: Permission denied; " + WHO),
    "socket-is-a-file": ("socket", "control.sock", in_the_way,
                         "cannot open the control socket {}: there is a file of this name "
                         "that is no socket, which is left alone"),
    "no-database": ("state_dir", "state", lambda p: in_the_way(p / "renewd.db"),
                    "cannot open the inventory: {}/renewd.db: it is damaged; with renewd "
                    "stopped, put one from a backup in its place, or what \"sqlite3 renewd.db "
                    ".recover\" still finds"),
    "a-directory": ("state_dir", "state", lambda p: (p / "renewd.db").mkdir(parents=True),
                    "cannot open the inventory: {}/renewd.db: Is a directory"),
}


def put_away(path: Path) -> None:
    """Out of the way, whatever it is, and modes as they should be."""
    if path.is_dir():
        path.chmod(0o700)
    if path.exists():
        path.rename(path.with_name(f"{path.name}.away"))


@pytest.mark.parametrize("case", [
    pytest.param(case, marks=needs_root if "shut" in case else ()) for case in STARTS])
def test_starts_that_fail(alone: Renewd, case: str) -> None:
    key, where, prepare, message = STARTS[case]
    path = alone.folder / where
    prepare(path)
    before = sorted(alone.folder.rglob("*"))
    if key == "socket":
        alone.socket = path
    alone.set("control" if key == "socket" else "renewd", **{key: path})
    wrapper = alone.wrapper
    if "shut" in case:
        alone.wrapper = ORDINARY + wrapper
    alone.launch()
    assert alone.wait_end() == 1
    assert said(alone) == [f"error: {message.format(path)}"]
    assert all(found.exists() for found in before)
    # without the cause it starts
    alone.wrapper = wrapper
    for place in (path / "renewd.db", path, path.parent):
        if place != alone.folder:
            put_away(place)
    path.parent.mkdir(exist_ok=True)
    alone.start()


def test_a_second_one(place: Place, alone: Renewd) -> None:
    """On the same inventory, or at the same socket: the first isn't disturbed."""
    alone.start()
    second = Renewd(place)
    second.set("renewd", state_dir=alone.state_dir)
    second.launch()
    assert second.wait_end() == 1
    assert said(second) == [f"error: cannot open the inventory: another renewd (pid {alone.pid}) "
                            f"is using {alone.state_dir}"]
    second.set("renewd", state_dir=second.state_dir)
    second.set("control", socket=alone.socket)
    second.launch()
    assert second.wait_end() == 1
    assert said(second) == [f"error: cannot open the control socket {alone.socket}: another "
                            "program, perhaps another renewd, listens there"]
    assert alone.get("/v1/status")["pid"] == alone.pid


@pytest.mark.parametrize("how,message", [
    (damage, "it is damaged; with renewd stopped, put one from a backup in its place, or what "
             "\"sqlite3 renewd.db .recover\" still finds"),
    (to_the_future, "was written by a newer renewd"),
], ids=["damaged", "future"])
def test_inventory_at_start(alone: Renewd, how: Callable[[Path], None], message: str) -> None:
    """Nothing is written to it, and the one of before in its place is all that it takes."""
    alone.set("ca letsencrypt", accept_terms="yes")
    alone.add_certificate(CERTIFICATE, ca="letsencrypt", enabled="no")
    alone.start()
    alone.stop()
    path = alone.state_dir / "renewd.db"
    good = path.read_bytes()
    how(path)
    bad = path.read_bytes()
    alone.launch()
    assert alone.wait_end() == 1
    line, = said(alone)
    assert line.startswith(f"error: cannot open the inventory: {path}") and message in line
    assert path.read_bytes() == bad
    path.write_bytes(good)
    alone.start()
    assert alone.certificate(CERTIFICATE)["state"] == "new"


def test_locked_at_start(alone: Renewd) -> None:
    alone.start()
    alone.stop()
    path = alone.state_dir / "renewd.db"
    db = sqlite3.connect(path)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        alone.launch()
        assert alone.wait_end() == 1
        assert said(alone) == [
            f"error: cannot open the inventory: {path}: another program has locked it"]
    finally:
        db.close()
    alone.start()


@needs_root
def test_read_only_at_start(alone: Renewd) -> None:
    """A file system that is mounted so, seen by this process alone."""
    alone.start()
    alone.stop()
    wrapper = alone.wrapper
    alone.wrapper = ["unshare", "-m", "sh", "-c",
                     f"mount --bind {alone.state_dir} {alone.state_dir} && "
                     f"mount -o remount,bind,ro {alone.state_dir} && exec \"$@\"", "sh", *wrapper]
    alone.launch()
    assert alone.wait_end() == 1
    assert said(alone) == [f"error: cannot open the inventory: {alone.state_dir}/renewd.lock: "
                           "it or its file system is read-only"]
    alone.wrapper = wrapper
    alone.start()


# The control socket's groups.

@pytest.mark.parametrize("keys,mode,lines", [
    ({"group": "nobodys"}, 0o600,
     ['there is no group "nobodys" (group in [control]), so only root and renewd\'s own user '
      "may change things; looked for again at a reload"]),
    ({"group": "nobodys", "readers": "readerless"}, 0o600,
     ['there is no group "nobodys" (group in [control]), so only root and renewd\'s own user '
      "may change things; looked for again at a reload",
      'there is no group "readerless" (readers in [control]), so nobody else may look; looked '
      "for again at a reload"]),
], ids=["group", "both"])
def test_unknown_groups(alone: Renewd, keys: dict[str, str], mode: int,
                        lines: list[str]) -> None:
    alone.set("control", **keys)
    alone.start()
    assert [line for line in said(alone) if "group" in line] == [f"notice: {x}" for x in lines]
    assert alone.socket.stat().st_mode & 0o777 == mode
    alone.set("control", group=str(os.getegid()), readers=None)
    alone.reload()
    assert alone.socket.stat().st_mode & 0o777 == 0o660


# Listeners.

WITHOUT_IPV6 = """#!/usr/bin/python3
# Runs a program as on a kernel without IPv6: socket(AF_INET6) fails with EAFNOSUPPORT.
import ctypes, os, struct, sys
LOAD, JUMP_EQUAL, RETURN, ALLOW, FAIL = 0x20, 0x15, 0x06, 0x7fff0000, 0x00050000
SOCKET = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
rows = [(LOAD, 0, 0, 0), (JUMP_EQUAL, 0, 3, SOCKET), (LOAD, 0, 0, 16), (JUMP_EQUAL, 0, 1, 10),
        (RETURN, 0, 0, FAIL | 97), (RETURN, 0, 0, ALLOW)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
filter_ = struct.pack("HxxxxxxP", len(rows), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter_, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"),
                    reason="the filter knows the system calls of x86_64 and aarch64 alone")
def test_no_ipv6(alone: Renewd) -> None:
    """The default listens there, too: a notice, as nothing is the matter."""
    launcher = alone.folder / "without-ipv6"
    launcher.write_text(WITHOUT_IPV6)
    launcher.chmod(0o755)
    alone.wrapper = [str(launcher), *alone.wrapper]
    port = alone.http_port
    alone.set("http-01", listen=[f"[::]:{port}", f"0.0.0.0:{port}"])
    alone.start()
    assert f"notice: not listening on [::]:{port}: this machine has no IPv6" in said(alone)
    assert "critical" not in alone.output()
    with socket.create_connection(("127.0.0.1", port), timeout=10):
        pass


# renewctl.

def test_renewctl_without_renewd(alone: Renewd) -> None:
    for verb in (["status"], ["list"], ["bundle", "x", "--key=rsa"], ["events"], ["reload"],
                 ["renew", "x"]):
        done = alone.ctl(*verb, check=False)
        assert done.returncode == 3 and not done.stdout
        assert done.stderr.endswith(f"renewd isn't running ({alone.socket})\n")
        assert done.stderr.count("\n") == 1
    alone.start()
    alone.kill()  # the socket stays behind
    assert alone.socket.exists()
    done = alone.ctl("status", check=False)
    assert (done.returncode, done.stderr) == (
        3, f"renewctl: renewd isn't running ({alone.socket})\n")
    alone.start()
    alone.ctl("status")


@needs_root
def test_renewctl_not_permitted(alone: Renewd) -> None:
    """Who may not use the socket reads what would help."""
    with tempfile.TemporaryDirectory(prefix="renewd-door-") as folder:
        os.chmod(folder, 0o755)
        alone.socket = Path(folder) / "control.sock"
        alone.set("control", socket=alone.socket)
        alone.start()
        copy = shutil.copy(program("renewctl"), folder)
        done = subprocess.run([copy, "-s", alone.socket, "status"], capture_output=True,
                              text=True, check=False, timeout=30, cwd="/", user=61001,
                              group=61001, extra_groups=[], env=clean_environment())
        assert done.returncode == 1
        assert done.stderr == ("renewctl: no permission to use the control socket; ask as "
                               "root, or join the group in [control] "
                               f"({alone.socket})\n")
        alone.stop()
