"""A machine of its own: Debian 12 with systemd, booted by systemd-nspawn.

The root is made once by mmdebstrap, from the mirrors of this system's apt configuration,
and kept in the build folder; each machine has a copy. Needs root and a cgroup hierarchy
that may be written to: `why_not()` says what is missing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from .pebble import TOP
from .place import Place
from .program import Program, ProgramError

SUITE = "bookworm"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "polkitd", "procps", "iproute2", "curl",
            "openssl", "haproxy", "nginx-light", "pebble", "ca-certificates",
            # what renewd is linked with
            "libevent-core-2.1-7", "libevent-extra-2.1-7", "libyajl2", "libsqlite3-0",
            "libcurl4", "libidn2-0", "libssl3", "libsystemd0")
REBOOTS = 133  # how systemd-nspawn ends when its machine reboots
TOOLS = ("systemd-nspawn", "mmdebstrap", "nsenter", "setpriv")
CACHE = TOP / "build" / "machine"
# Of apt's configuration, what a mirror may need.
APT_OPTIONS = ("Acquire::http", "Acquire::https", "Acquire::Check-")


def missing() -> str:
    """Why no machine can be had here, "" where one can."""
    if os.geteuid() != 0:
        return "systemd-nspawn needs root"
    tools = [tool for tool in TOOLS if shutil.which(tool) is None]
    if tools:
        return f"not installed: {' '.join(tools)}"
    if not sources():
        return f"apt has no sources of Debian {SUITE} to make a machine from"
    if not any(os.access(path, os.W_OK) for path in
               ("/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/systemd/cgroup.procs")):
        return "there is no cgroup hierarchy that may be written to"
    return ""


def run(*command: str | Path, timeout: float = 600) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          timeout=timeout, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise ProgramError(f"{command[0]}: status {done.returncode}\n{done.stderr[-3000:]}")
    return done.stdout


def sources() -> list[str]:
    """Lines for sources.list, as this system has them."""
    if shutil.which("apt-get") is None:
        return []
    rows = run("apt-get", "indextargets", "--format",
               "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN) $(CREATED_BY)").splitlines()
    wanted = {tuple(row.split()[:3]) for row in rows
              if row.split()[3:] == ["Debian", "Packages"]
              and row.split()[1].partition("-")[0] == SUITE}
    return [f"deb {uri} {release} {component}" for uri, release, component in sorted(wanted)]


def apt_options() -> str:
    return "".join(f"{line}\n" for line in run("apt-config", "dump").splitlines()
                   if line.startswith(APT_OPTIONS))


def base() -> Path:
    """The folder of the root that machines are copies of; made where it isn't there."""
    CACHE.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    ready, half = CACHE / f"root-{key}", CACHE / f"half-{key}"
    if ready.exists():
        return ready
    shutil.rmtree(half, ignore_errors=True)
    (CACHE / "sources.list").write_text("\n".join(sources()) + "\n")
    (CACHE / "apt.conf").write_text(apt_options())
    run("mmdebstrap", "--quiet", "--variant=minbase", "--format=directory",
        f"--aptopt={CACHE / 'apt.conf'}", f"--include={','.join(PACKAGES)}",
        "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
        SUITE, half, CACHE / "sources.list")
    half.rename(ready)
    return ready


class Machine(Program):
    """One at a time: they share a name and a cgroup, so close() must follow. Change
    `root` before start()."""

    name = "machine"
    start_timeout = 60.0
    stop_timeout = 60.0

    def __init__(self, place: Place) -> None:
        CACHE.mkdir(parents=True, exist_ok=True)
        super().__init__(place)
        self.lock = (CACHE / "lock").open("w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.root = self.folder / "root"
        run("cp", "-a", "--reflink=auto", base(), self.root)

    def command(self) -> list[str | Path]:
        return ["systemd-nspawn", "--quiet", "--directory", self.root, "--boot",
                "--register=no", "--keep-unit", "--private-network", "--console=pipe",
                "--resolv-conf=off", "--timezone=off", "--machine=renewd-test"]

    def healthy_end(self, status: int) -> bool:
        return status == 0

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """A file of the machine."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    @property
    def leader(self) -> int:
        """Its process 1, as seen from here; another one after a reboot."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        if not children:
            raise ProgramError("the machine has no process 1")
        return int(children[0])

    def try_run(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """A command in it, as its root; the end and all it printed."""
        return subprocess.run(
            ["nsenter", "--target", str(self.leader), "--all", "--", "/usr/bin/env", "-i",
             "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *command],
            capture_output=True, text=True, check=False, timeout=timeout,
            stdin=subprocess.DEVNULL)

    def run(self, *command: str, timeout: float = 60) -> str:
        """The same, which must end well; what it printed on stdout."""
        done = self.try_run(*command, timeout=timeout)
        if done.returncode != 0:
            raise ProgramError(f"{' '.join(command)}: status {done.returncode}\n"
                               f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return done.stdout

    def ready(self) -> bool:
        """All that is enabled has been started, whether well or not."""
        try:
            state = self.try_run("systemctl", "is-system-running").stdout.strip()
        except (ProgramError, OSError):
            return False
        return state in ("running", "degraded")

    def reboot(self) -> None:
        """systemd-nspawn ends, for its own service to start it again: here that is us."""
        self.try_run("systemctl", "reboot")
        status = self.wait_end()
        if status != REBOOTS:
            raise self.error(f"ended with status {status} instead of rebooting")
        self.start()

    def property(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", "-p", name, "--value", unit).strip()

    def close(self) -> None:
        """Another one may be made."""
        self.lock.close()
