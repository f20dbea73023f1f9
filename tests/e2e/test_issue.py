"""The main job: from an INI file to certificates on disk, with what it costs."""

from __future__ import annotations

import pytest

from programs.pebble import Pebble
from programs.renewd import Renewd

ORDER_PATHS = ("/order-plz", "/authZ", "/chalZ", "/finalize", "/my-order", "/certZ")


def test_one_certificate(renewd: Renewd, pebble: Pebble) -> None:
    renewd.add_certificate("www.example.test", domains=["www.example.test", "example.test"])
    renewd.start()
    shown = renewd.wait_state("www.example.test")
    leaf = renewd.leaf("www.example.test")
    assert leaf.names == {"www.example.test", "example.test"}
    assert shown["certificates"][0]["fingerprint_sha256"] == leaf.fingerprint
    assert shown["certificates"][0]["serial"] == leaf.serial
    assert shown["health"] == "ok"
    assert shown["failures"] == 0
