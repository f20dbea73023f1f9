"""No CA is asked for more than it allows, not after a crash either; who waits for it says
so, and has failed at nothing."""

from __future__ import annotations

import time

from programs.pebble import Pebble
from programs.program import wait_until
from programs.renewd import Renewd

NAMES = [f"c{number}.example.test" for number in range(5)]


def limits(renewd: Renewd) -> dict:
    return renewd.get("/v1/status")["cas"][0]["limits"]


def issued(renewd: Renewd) -> int:
    return sum(c["state"] == "valid" for c in renewd.get("/v1/certificates")["certificates"])


def test_orders_wait_for_their_turn(renewd: Renewd, pebble: Pebble) -> None:
    renewd.add_ca("pebble", pebble, order_burst=2, order_interval="4s", max_requests=18)
    for name in NAMES:
        renewd.add_certificate(name)
    began = time.monotonic()
    renewd.start()
    wait_until(lambda: issued(renewd) == 2, "as many as the burst are issued", 20)
    shown = limits(renewd)
    assert shown["order_burst"] == 2
    assert shown["order_interval"] == 4
    waiting = [c for c in renewd.get("/v1/certificates")["certificates"]
               if c["state"] == "new"]
    assert len(waiting) >= 2
    assert shown["waiting"] >= 2
    assert {c["activity"] for c in waiting} <= {"waiting", "ordering"}
    assert all(c["failures"] == 0 and c["last_error"] is None for c in waiting)
    renewd.kill()
    renewd.start()
    assert limits(renewd)["orders_left"] <= 1
    wait_until(lambda: issued(renewd) == len(NAMES), "all are issued", 40)
    assert time.monotonic() - began >= (len(NAMES) - 2) * 4 - 1
    assert limits(renewd)["waiting"] == 0


def test_a_slow_ca_delays_no_other(renewd: Renewd, pebble: Pebble) -> None:
    """One that has no room, beside one that has."""
    renewd.add_ca("pebble", pebble)
    renewd.add_ca("full", pebble, order_burst=1, order_interval="1d")
    renewd.set("defaults", ca="full")
    for number in range(30):
        renewd.add_certificate(f"a{number}.example.test")
    renewd.add_certificate("z.example.test", ca="pebble")
    renewd.start()
    renewd.wait_state("z.example.test", timeout=20)
    wait_until(lambda: issued(renewd) == 2, "and one at the other", 20)
    cas = {ca["name"]: ca["limits"] for ca in renewd.get("/v1/status")["cas"]}
    assert cas["full"]["waiting"] == 29
    assert cas["full"]["waiting_for"] == "orders"
    assert cas["pebble"]["waiting"] == 0
    done = renewd.ctl("renew", "a1.example.test" if renewd.certificate("a1.example.test")[
        "state"] == "new" else "a2.example.test", check=False)
    assert done.returncode == 0, done.stderr
