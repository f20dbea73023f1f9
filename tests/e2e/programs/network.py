"""A network of the test's own: a loopback device and nothing else, where ports 80, 443
and 53 are free whoever has them on this machine.

Only the calling thread moves there, with all that it starts from then on: programs, and
threads. Files, and so control sockets, are those of the machine. Needs root.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator

CLONE_NEWNET = 0x40000000
HERE = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def _check(status: int, what: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


@contextlib.contextmanager
def private_network() -> Iterator[None]:
    """Raises OSError where none can be had."""
    before = os.open(HERE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.unshare(CLONE_NEWNET), "a network of its own")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=20)
            yield
        finally:
            _check(_libc.setns(before, CLONE_NEWNET), "back to the network of before")
    finally:
        os.close(before)
