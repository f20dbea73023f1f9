"""Many certificates through a CA where much goes wrong at once: all are issued, and the
CA's log shows no request that it had forbidden, no more than are allowed in a second, and
no order that is asked for twice at a time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from programs.faults import FAULTS
from programs.faulty import FaultyCA, Seen
from programs.pebble import NEWER, Pebble
from programs.place import Place
from programs.program import PATIENCE, wait_until
from programs.renewd import Renewd

COUNT = 200
ROUND = 20
RATE = 0.2
MAX_REQUESTS = 40
CONNECTIONS = 4
# What was on its way when the CA said that it wants none: so long it may take, and some
# of them longer on a busy machine, but no more than there are other connections.
ON_THE_WIRE = 0.3
LATE_ON_THE_WIRE = 1.2
PAUSE = 2  # of a Retry-After
SILENCING = ("directory", "newNonce")
# Stops all new orders for a minute each time, as the CA doesn't say for how long: once.
UNSAID = "429"

pytestmark = [pytest.mark.pebble(version=NEWER, authz_reuse=0),
              pytest.mark.timeout(420 * PATIENCE)]


@pytest.fixture
def ca(place: Place, pebble: Pebble) -> FaultyCA:
    it = FaultyCA(place, pebble)
    it.start()
    return it


@pytest.fixture
def renewd(place: Place, ca: FaultyCA) -> Renewd:
    it = Renewd(place, http_port=ca.http_port)
    it.add_ca("pebble", ca, max_requests=MAX_REQUESTS)
    it.set("defaults", ca="pebble")
    return it


# ---- what the log must not show ----

def asks_for_the_same(one: Seen, other: Seen) -> bool:
    return (one.method, one.path, one.content) == (other.method, other.path, other.content)


def forbidden(log: list[Seen]) -> Iterator[str]:
    """Requests that a Retry-After without a scope forbade: with one for the directory or
    a nonce, all; else new orders of the account, and the same once more. Renewal
    information is asked for by no account."""
    for said in (seen for seen in log if seen.promised):
        late = 0
        for seen in log:
            if not said.ended + ON_THE_WIRE < seen.at < said.promised or not (
                    said.kind in SILENCING or asks_for_the_same(seen, said) or
                    (seen.kind == "newOrder" and said.kind != "renewalInfo")):
                continue
            late += seen.at < said.ended + LATE_ON_THE_WIRE
            if late >= CONNECTIONS or seen.at >= said.ended + LATE_ON_THE_WIRE:
                yield (f"{seen.kind} {seen.at - said.ended:.2f} s after {said.kind} was "
                       f"refused for {said.promised - said.ended:.2f} s")


def too_many(log: list[Seen], allowed: int) -> Iterator[str]:
    """More in a second than is allowed, and one that was late on each connection."""
    times = sorted(seen.at for seen in log)
    for first, last in zip(times, times[allowed + CONNECTIONS:]):
        if last - first < 1:
            yield f"{allowed + CONNECTIONS + 1} requests in {last - first:.3f} s"
    for first, last in zip(times, times[allowed * 5 + CONNECTIONS:]):
        if last - first < 5:
            yield f"{allowed * 5 + CONNECTIONS + 1} requests in {last - first:.3f} s"


def twice_at_once(log: list[Seen]) -> Iterator[str]:
    orders = [seen for seen in log if seen.kind == "newOrder"]
    for n, one in enumerate(orders):
        for other in orders[n + 1:]:
            if asks_for_the_same(one, other) and other.at < one.ended:
                yield f"two at {one.at:.3f}, the second {one.ended - other.at:.3f} s early"


def expect_no_complaint(ca: FaultyCA) -> None:
    log = ca.of_kind()
    complaints = [*forbidden(log), *too_many(log, MAX_REQUESTS), *twice_at_once(log)]
    assert not complaints, "\n".join(complaints[:20])


def test_the_log_is_judged() -> None:
    """What the others trust in finds what it is to find."""
    def seen(at: float, kind: str, content: str = "", promised: float = 0, path: str = "") -> Seen:
        return Seen(at, "POST", path or kind, kind, content, ended=at + 0.1, promised=promised)

    said = seen(10, "authorization", path="a1", promised=15)
    quiet = seen(10, "newNonce", promised=15)
    for fine in (seen(10.2, "newOrder"), seen(15.1, "newOrder"), seen(12, "authorization"),
                 seen(9, "newOrder")):
        assert not list(forbidden([said, fine]))
    for wrong in (seen(12, "newOrder"), seen(14.9, "newOrder"),
                  seen(12, "authorization", path="a1")):
        assert list(forbidden([said, wrong]))
    assert list(forbidden([quiet, seen(12, "finalize")]))
    assert not list(too_many([seen(n / 10, "order") for n in range(100)], 10))
    assert list(too_many([seen(n / 20, "order") for n in range(100)], 10))
    assert list(twice_at_once([seen(1, "newOrder", "x"), seen(1.05, "newOrder", "x")]))
    assert not list(twice_at_once([seen(1, "newOrder", "x"), seen(1.05, "newOrder", "y"),
                                   seen(1.2, "newOrder", "x")]))


# ---- until all are there ----

def issue_all(renewd: Renewd, timeout: float) -> int:
    """Asks for those that wait for renewd's own backoff, as often as it takes. How often
    attempts have failed."""
    deadline = time.monotonic() + timeout * PATIENCE
    failures: Counter[str] = Counter()
    while True:
        shown = renewd.get("/v1/certificates")["certificates"]
        missing = [c for c in shown if c["state"] != "valid"]
        for certificate in shown:
            name = certificate["name"]
            failures[name] = max(failures[name], certificate["failures"])
        if not missing:
            return failures.total()
        if time.monotonic() > deadline:
            raise renewd.error(f"not after {timeout:g} s: " + ", ".join(
                f"{c['name']} ({c['activity']}: {c['last_error']})" for c in missing[:5]))
        for certificate in missing:
            if certificate["activity"] == "waiting" and certificate["failures"]:
                renewd.api("POST", f"/v1/certificates/{certificate['name']}/renew", {})
        time.sleep(0.5)  # it is nothing that anybody waits for


def report(ca: FaultyCA, what: str, failures: int, began: float) -> None:
    log = ca.of_kind()
    print(f"{what}: {len(log)} requests in {time.monotonic() - began:.1f} s, "
          f"{ca.faults().total()} faults, {failures} failed attempts; "
          f"{len(ca.of_kind('newOrder'))} newOrders; {dict(sorted(ca.faults().items()))}")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fifth_of_all(renewd: Renewd, ca: FaultyCA, fault: str) -> None:
    """Of all requests that it applies to, a fifth meets this fault."""
    for number in range(ROUND):
        renewd.add_certificate(f"c{number}.example.test")
    ca.spoil(fault, rate=RATE, seconds=PAUSE, times=1 if fault == UNSAID else None)
    began = time.monotonic()
    renewd.start()
    failures = issue_all(renewd, 300)
    report(ca, fault, failures, began)
    assert ca.faults()[fault] > 0
    expect_no_complaint(ca)


def test_all_have_failed_before(renewd: Renewd, ca: FaultyCA) -> None:
    """They leave room to others, and none of them may have it: that is no reason to look
    for one for ever."""
    names = [f"c{number}.example.test" for number in range(COUNT)]
    for name in names:
        renewd.add_certificate(name)
    ca.spoil("502", kinds={"newOrder"})
    renewd.start()

    def all_failed() -> bool:
        shown = renewd.get("/v1/certificates")["certificates"]
        return all(certificate["failures"] for certificate in shown)
    wait_until(all_failed, "all have failed", 120)
    ca.spoil("late", kinds={"newOrder"}, seconds=3)
    for name in names:
        assert renewd.api("POST", f"/v1/certificates/{name}/renew", {}).status == 202
    wait_until(lambda: sum(not seen.ended for seen in ca.of_kind("newOrder")) >= CONNECTIONS,
               "orders wait for the CA", 20)
    for _ in range(10):
        assert renewd.api("GET", "/healthz", timeout=5).status == 200
        time.sleep(0.2)  # it is looked at for a while
    ca.mend()
    issue_all(renewd, 120)


def test_everything_at_once(renewd: Renewd, ca: FaultyCA) -> None:
    """A fifth of all requests, each time another fault."""
    for number in range(COUNT):
        renewd.add_certificate(f"c{number}.example.test")
    ca.spoil(*(name for name in FAULTS if name != UNSAID), rate=RATE, seconds=PAUSE)
    began = time.monotonic()
    renewd.start()
    failures = issue_all(renewd, 400)
    report(ca, "all", failures, began)
    assert set(ca.faults()) >= {name for name in FAULTS if FAULTS[name].kinds} - {UNSAID}
    expect_no_complaint(ca)
    # each is in the files, too
    for number in range(COUNT):
        assert renewd.leaf(f"c{number}.example.test").names == {f"c{number}.example.test"}
