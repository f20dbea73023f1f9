"""Where the folders of a bench stand, as what the disk does is part of what is measured, or
must not be.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def far_places() -> Iterator[None]:
    """The folders of the places are put apart on the disk, where it is ext4: for minutes
    it passes over each inode that was deleted near a new file, so the client before, or
    whatever else has tidied up, would be charged to this one; several ms a certificate."""
    before = tempfile.tempdir
    folder = tempfile.mkdtemp(prefix="renewd-bench-")
    subprocess.run(["chattr", "+T", folder], stderr=subprocess.DEVNULL, check=False)
    tempfile.tempdir = folder
    try:
        yield
    finally:
        tempfile.tempdir = before
        with suppress(OSError):  # a place that is kept
            os.rmdir(folder)


@contextmanager
def in_memory() -> Iterator[None]:
    """On a tmpfs, where TMPDIR says nothing else: no fsync has to wait for a disk."""
    if "TMPDIR" not in os.environ and os.access("/dev/shm", os.W_OK):
        tempfile.tempdir = "/dev/shm"
    try:
        yield
    finally:
        tempfile.tempdir = None
