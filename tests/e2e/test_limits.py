"""No CA is asked for more than it allows, not after a crash either; who waits for it says
so, and has failed at nothing."""

from __future__ import annotations

import time
from datetime import datetime, timezone

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


def test_status_says_who_waits_and_how_long(renewd: Renewd, pebble: Pebble) -> None:
    renewd.add_ca("pebble", pebble, order_burst=1, order_interval="1h")
    for name in NAMES:
        renewd.add_certificate(name)
    renewd.start()
    wait_until(lambda: issued(renewd) == 1, "the burst is issued", 20)
    shown = wait_until(lambda: limits(renewd)["waiting"] == 4 and limits(renewd),
                       "all others wait")
    assert shown["waiting_for"] == "orders"
    done_at = datetime.fromisoformat(shown["done_at"].replace("Z", "+00:00"))
    left = (done_at - datetime.now(timezone.utc)).total_seconds()
    assert 3 * 3600 < left <= 4 * 3600
    rows = [line.split("\t") for line in renewd.ctl("status").stdout.splitlines()]
    row, = (row for row in rows if row[0] == "limits")
    assert row[:2] == ["limits", "pebble"]
    assert row[3:5] == ["1", "3600"] and row[9:11] == ["4", "orders"]
    assert row[11][:13] == shown["done_at"][:13]


def test_an_outage_is_the_cas(renewd: Renewd, pebble: Pebble) -> None:
    """One probe for all who wait; they say why they wait, and none has failed for it."""
    assert pebble.front
    pebble.front.stop()
    names = [f"n{number}.example.test" for number in range(40)]
    for name in names:
        renewd.add_certificate(name)
    renewd.start()
    renewd.wait_log("the CA cannot be used")

    def settled() -> list[dict] | None:
        rows = renewd.get("/v1/certificates")["certificates"]
        return rows if all(row["activity"] == "waiting" for row in rows) else None
    rows = wait_until(settled, "all wait", 20)
    assert sum(row["failures"] for row in rows) <= 16
    assert len({row["next_attempt"] for row in rows}) == 1
    for row in rows:
        assert row["health"] == "warning"
        assert "Connection refused" in row["last_error"]["detail"]
    ca = renewd.get("/v1/status")["cas"][0]
    assert ca["unanswered_since"] and ca["next_attempt"] == rows[0]["next_attempt"]
    assert ca["limits"]["waiting"] == 40 and ca["limits"]["waiting_for"] == "answer"
    assert renewd.output().count("renewal failed") <= 16
    renewd.restart()
    wait_until(settled, "all wait, also after a restart", 20)
    assert renewd.output().count("renewal failed") <= 17
    pebble.front.start()
    # somebody who knows that it is back needn't wait for the probe
    renewd.ctl("renew", names[-1])
    wait_until(lambda: issued(renewd) == 40, "all are issued", 60)
    assert renewd.output().count("the CA answers again") == 1
    assert renewd.get("/v1/status")["cas"][0]["unanswered_since"] is None


def test_one_ca_away_delays_no_other(renewd: Renewd, pebble: Pebble) -> None:
    """Certificates of another CA, and those that have another to go to."""
    renewd.add_ca("pebble", pebble)
    renewd.set("ca gone", directory="https://127.0.0.1:9/dir", accept_terms="yes")
    renewd.set("defaults", ca="gone")
    for number in range(30):
        renewd.add_certificate(f"a{number}.example.test")
    renewd.add_certificate("b.example.test", ca="gone pebble")
    renewd.add_certificate("z.example.test", ca="pebble")
    renewd.start()
    assert renewd.wait_state("z.example.test", timeout=20)["ca"] == "pebble"
    assert renewd.wait_state("b.example.test", timeout=20)["ca"] == "pebble"
    cas = {ca["name"]: ca["limits"] for ca in renewd.get("/v1/status")["cas"]}
    assert cas["gone"]["waiting"] == 30
    assert issued(renewd) == 2


def test_a_broken_name_delays_no_other(renewd: Renewd, pebble: Pebble) -> None:
    renewd.add_ca("pebble", pebble, order_burst=10, order_interval="1s")
    for number in range(12):
        renewd.add_certificate(f"a{number}.nowhere.invalid")
    renewd.add_certificate("z.example.test")
    renewd.start()
    renewd.wait_state("z.example.test", timeout=60)
