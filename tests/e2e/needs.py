"""What some tests need and not every machine has. Without it they are skipped, and the
reason is printed with the counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from programs.ports import has_ipv6
from programs.program import Unavailable

needs_root = pytest.mark.skipif(
    os.geteuid() != 0,
    reason="only root can become other users, give them files, mount, and make networks")
needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


@contextmanager
def or_skip(error: type[Exception] = Unavailable) -> Iterator[None]:
    """Where this error says that a program, or a network, can't be had here."""
    try:
        yield
    except error as why:
        pytest.skip(str(why))
