"""Ports that nobody else has: asked of the kernel, and kept away from others until used.

A port that was only bound and closed may be given to any connection before the program
that it is meant for starts. So each is connected to once: its TIME_WAIT keeps the kernel
from choosing it for anybody, while a server that names it (with SO_REUSEADDR, as all do)
gets it.
"""

from __future__ import annotations

import functools
import socket

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}

_given: set[int] = set()


@functools.cache
def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
        return True
    except OSError:
        return False


def _reserve(family: socket.AddressFamily, port: int) -> int:
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK[family], port))
        listener.listen(1)
        address = listener.getsockname()[:2]
        with socket.create_connection(address, timeout=5):
            accepted, _ = listener.accept()
            accepted.close()  # this side closes first, so TIME_WAIT stays on its port
    return address[1]


def _udp_is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((LOOPBACK[socket.AF_INET], port))
        except OSError:
            return False
    return True


def free_port(ipv6: bool = False, udp: bool = False) -> int:
    """A TCP port of 127.0.0.1 that is free; also of ::1 (where there is one), also for UDP."""
    for _ in range(100):
        port = _reserve(socket.AF_INET, 0)
        if port in _given or (udp and not _udp_is_free(port)):
            continue
        if ipv6 and has_ipv6():
            try:
                _reserve(socket.AF_INET6, port)
            except OSError:
                continue
        _given.add(port)
        return port
    raise OSError("the kernel has no free port")


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Does somebody listen there?"""
    try:
        socket.create_connection((host, port), timeout=5).close()
        return True
    except OSError:
        return False
