"""RSA keys made ahead of renewals: the next order uses one, once, whatever happens."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import pytest

from programs.pebble import Pebble
from programs.program import wait_until
from programs.renewd import Renewd

# Renewed after half of it: always within the day that keys are made ahead for.
pytestmark = pytest.mark.pebble(lifetime=40 * 3600)

NAME = "www.example.test"


def rows(renewd: Renewd, sql: str) -> list[tuple]:
    with sqlite3.connect(f"file:{renewd.state_dir}/renewd.db?mode=ro", uri=True) as db:
        return db.execute(sql).fetchall()


def spare(renewd: Renewd) -> str:
    """Waits for one that is kept, and says which."""
    found: list[tuple] = []

    def hurry() -> None:
        """Where other tests take all the CPU time an idle thread would get none."""
        for task in Path(f"/proc/{renewd.pid}/task").iterdir():
            os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))

    def ask() -> bool:
        nonlocal found
        hurry()
        found = rows(renewd, "SELECT spki FROM spare_keys")
        return bool(found)

    wait_until(ask, "a key is made ahead", 60)
    return found[0][0]


def used(renewd: Renewd) -> list[str]:
    return [spki for spki, in rows(renewd, "SELECT spki FROM issued ORDER BY id")]


def test_renewed_with_a_key_made_ahead(renewd: Renewd, pebble: Pebble) -> None:
    renewd.add_certificate(NAME, keys="rsa-2048")
    renewd.start()
    renewd.wait_state(NAME)
    assert rows(renewd, "SELECT * FROM spare_keys") == []
    renewd.signal(signal.SIGHUP)  # otherwise it would take up to an hour
    ahead = spare(renewd)
    renewd.kill()
    renewd.start()
    assert spare(renewd) == ahead, "a restart keeps it"
    assert pebble.front
    pebble.front.set_lines("http-request deny deny_status 503 if { path_beg /order-plz }")
    renewd.ctl("renew", "--force", NAME)
    wait_until(lambda: rows(renewd, "SELECT * FROM orders") != [], "it is ordered", 20)
    assert rows(renewd, "SELECT * FROM spare_keys WHERE spki = '" + ahead + "'") == []
    renewd.kill()
    pebble.front.set_lines("")
    renewd.start()
    renewd.ctl("renew", "--wait", NAME)
    assert used(renewd)[1:] == [ahead]
    assert "ordered with a key that was made ahead" in renewd.output()
    renewd.ctl("renew", "--force", "--wait", NAME)
    assert len(set(used(renewd))) == 3, "no key is used twice"


def test_another_key_is_wanted(renewd: Renewd, pebble: Pebble) -> None:
    renewd.add_certificate(NAME, keys="rsa-2048")
    renewd.start()
    renewd.wait_state(NAME)
    renewd.signal(signal.SIGHUP)
    ahead = spare(renewd)
    renewd.set(f"certificate {NAME}", keys="ecdsa-p256 rsa-3072")
    renewd.reload()
    renewd.wait_certificate(NAME, 60, state="valid", activity="idle")
    assert ahead not in used(renewd)
    assert rows(renewd, f"SELECT * FROM spare_keys WHERE spki = '{ahead}'") == []
