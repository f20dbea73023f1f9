"""Fixtures of the end-to-end tests, and the rule that no test leaves a process behind.

A test asks for `renewd` and `pebble` and starts what it needs; what it started is
stopped after it, whatever happened. `@pytest.mark.pebble(version="2.10", ...)` says
which Pebble it wants.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from needs import or_skip
from programs import pebble as pebble_programs
from programs.challtestsrv import ChallTestSrv
from programs.pebble import Options, Pebble
from programs.place import LeftBehind, Place, adopt_orphans, children, kill_children
from programs.ports import free_port
from programs.program import PATIENCE
from programs.renewd import Renewd

OUTCOME = pytest.StashKey[bool]()


def is_controller(config: pytest.Config) -> bool:
    """Under xdist the workers run tests and are children of the controller."""
    return bool(getattr(config.option, "numprocesses", None)) and \
        not hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    if not is_controller(config):
        adopt_orphans()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A slow build (E2E_PATIENCE) gets more time for each test."""
    if PATIENCE != 1:
        for item in items:
            item.add_marker(pytest.mark.timeout(120 * PATIENCE))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" and not report.failed:
        return
    item.stash[OUTCOME] = not report.failed
    place = item.funcargs.get("place") if hasattr(item, "funcargs") else None
    if report.failed and isinstance(place, Place):
        report.sections.append(("what the programs printed", place.outputs()))


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Each test has looked already: this finds what was started outside of a Place."""
    before = set(children())
    yield
    left = kill_children(before)
    if left:
        raise LeftBehind("\n".join(f"  {pid} {what}" for pid, what in left.items()))


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """The folder and the programs of this test. Kept where it failed."""
    it = Place()
    yield it
    it.close(keep=not request.node.stash.get(OUTCOME, True))


@pytest.fixture
def http_port() -> int:
    """Where renewd listens for http-01 and Pebble looks."""
    return free_port(ipv6=True)


@pytest.fixture
def dns(place: Place) -> ChallTestSrv:
    """The DNS that Pebble asks, running."""
    it = ChallTestSrv(place)
    it.start()
    return it


def make_pebble(place: Place, dns: ChallTestSrv, http_port: int, options: Options) -> Pebble:
    """A running Pebble, or a skip that says why it can't be had."""
    with or_skip():
        pebble_programs.programs_of(options.version)
    it = Pebble(place, dns.address, http_port, options=options)
    it.start()
    return it


@pytest.fixture
def pebble(request: pytest.FixtureRequest, place: Place, dns: ChallTestSrv,
           http_port: int) -> Pebble:
    """The CA, running. Options come from the marks `pebble`, nearest last."""
    options: dict = {}
    for mark in reversed(list(request.node.iter_markers("pebble"))):
        options |= mark.kwargs
    return make_pebble(place, dns, http_port, Options(**options))


@pytest.fixture
def renewd(place: Place, pebble: Pebble) -> Renewd:
    """renewd with this Pebble as its CA, not started: add certificates, then start()."""
    return Renewd(place, pebble)
