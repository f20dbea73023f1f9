"""kill -9 at each step of a deployment: whatever had been done by then, the next start
brings the new certificate to where it belongs, and leaves nothing over.

The steps are HAProxy's commands, seen by a relay before its socket: at each of them
renewd is killed before HAProxy hears it, and once it has done it. As a deployment waits
some seconds for others, several renewds with a HAProxy each go through the steps side by
side, with one CA for all.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from needs import or_skip
from programs.haproxy import HAProxy
from programs.nginx import Nginx
from programs.pebble import Pebble
from programs.place import Place
from programs.ports import free_port
from programs.program import PATIENCE, wait_until
from programs.relay import Relay
from programs.renewd import Renewd
from programs.tls import Leaf, served

LANES = 12
KINDS = ("ecdsa", "rsa")
KEYS = "ecdsa-p256 rsa-2048"
BASE = "base.example.test"

anybody = pytest.mark.pebble(always_valid=True)  # lanes can't share its port for http-01


@dataclass
class Lane:
    """One renewd, with a pair of keys for each certificate and a HAProxy for them."""

    renewd: Renewd
    haproxy: HAProxy
    relay: Relay
    port: int

    def names_in_haproxy(self) -> list[str]:
        lines = self.haproxy.ask("show ssl cert").splitlines()
        return [line for line in lines if line and not line.startswith("#")]

    def pending(self) -> list[str]:
        return [name for name in self.names_in_haproxy() if name.startswith("*")]


def flat(renewd: Renewd) -> Path:
    return renewd.bundle_dir.parent / "haproxy"


def open_lane(place: Place, pebble: Pebble, number: int, newer: bool = False) -> Lane:
    renewd = Renewd(place, pebble, http_port=free_port(ipv6=True))
    port = free_port()
    text = f"""
frontend secure
    mode http
    bind 127.0.0.1:{port} ssl crt {flat(renewd)}/
    http-request return status 200
"""
    with or_skip():
        haproxy = HAProxy(place, text, newer=newer)
    relay = Relay(place, haproxy.admin_socket)
    relay.start()
    renewd.set("deploy edge", type="haproxy", socket=relay.path)
    renewd.add_certificate(BASE, keys=KEYS, deploy="edge",
                           domains=[BASE, f"lane{number}.example.test"])
    renewd.launch()
    return Lane(renewd, haproxy, relay, port)


def taken(renewd: Renewd, name: str) -> None:
    def states() -> list[str]:
        return [row["state"] for row in renewd.certificate(name)["deployments"]]
    wait_until(lambda: states() == ["deployed"], f"{name} is deployed", 40)


def check(lane: Lane, name: str, moment: str) -> None:
    """All that must hold once it is said to be deployed, at once."""
    shown = {row["key"].partition("-")[0]: row["fingerprint_sha256"]
             for row in lane.renewd.certificate(name)["certificates"]}
    assert set(shown) == set(KINDS)
    assert lane.pending() == [], "a transaction was left over"
    for kind in KINDS:
        assert served(lane.port, name, kind).fingerprint == shown[kind]
        file = flat(lane.renewd) / f"{name}.pem.{kind}"
        leaf = Leaf.of_file(file)
        assert leaf.fingerprint == shown[kind]
        said = lane.haproxy.ask(f"show ssl cert {file}")
        sha1 = leaf.certificate.fingerprint(hashes.SHA1()).hex().upper()
        assert f"SHA1 FingerPrint: {sha1}\n" in said and "Status: Used\n" in said
    told = lane.renewd.output_of_run().count("telling the server of changed certificates")
    # where all answers had been handed over, that may be in the inventory, or not
    assert told == 1 or told == 0 and moment == "told", f"HAProxy was told {told} times"
    assert "deployment failed" not in lane.renewd.output_of_run()


def die(lane: Lane, name: str, moment: str) -> None:
    """Of what was told to the relay, and live again without."""
    assert lane.relay.struck.wait(40 * PATIENCE), "it has died"
    lane.renewd.kill()  # reaps it
    lane.renewd.start()
    taken(lane.renewd, name)
    check(lane, name, moment)


def renew(lane: Lane, _: int) -> str:
    """Replaces the pair that HAProxy has."""
    lane.renewd.ctl("renew", "--force", BASE)
    return BASE


def add(lane: Lane, number: int) -> str:
    """Another pair, which HAProxy doesn't know yet."""
    name = f"new{number}.example.test"
    lane.renewd.ctl("add", name, f"--keys={KEYS.replace(' ', ',')}", "--deploy=edge")
    return name


def walk(lane: Lane, act, steps: queue.Queue, failed: threading.Event) -> int:
    """Dies at steps until there are none; returns at how many."""
    done = 0
    while not failed.is_set():
        try:
            index, number, moment, command = steps.get_nowait()
        except queue.Empty:
            break
        lane.renewd.restart()  # so that a run's log is of one deployment
        lane.relay.strike(number, moment, lane.renewd.pid)
        try:
            die(lane, act(lane, index), moment)
        except BaseException as problem:
            failed.set()
            raise AssertionError(f"{moment} {number}, {command!r}: {problem}") from problem
        done += 1
    return done


UPDATE = {"show ssl cert", "set ssl cert", "commit ssl cert"}
FIRST = {"show ssl crt-list", "new ssl cert", "add ssl crt-list"}


def kinds_of(commands: list[str]) -> list[str]:
    return [" ".join(command.split()[:3]) for command in commands]


@anybody
@pytest.mark.timeout(400 * PATIENCE)
@pytest.mark.parametrize("act, wanted, newer", [
    pytest.param(renew, UPDATE, True, id="update-newest"),
    pytest.param(add, UPDATE | FIRST, False, id="first-installed"),
    pytest.param(add, UPDATE | FIRST, True, id="first-newest"),
])
def test_at_each_command(place: Place, pebble: Pebble, act, wanted: set[str],
                         newer: bool) -> None:
    lanes = [open_lane(place, pebble, number, newer) for number in range(LANES)]
    for lane in lanes:
        wait_until(lane.renewd.ready, "renewd is ready")
        lane.renewd.wait_certificate(BASE, state="valid")
        lane.haproxy.start()
    for lane in lanes:
        taken(lane.renewd, BASE)
    # Once without any trouble: these are the steps.
    lane = lanes[0]
    before = len(lane.relay.commands)
    name = act(lane, 0)
    wait_until(lambda: len(lane.relay.commands) > before, "it deploys", 40)
    taken(lane.renewd, name)
    commands = lane.relay.commands[before:]
    assert wanted <= set(kinds_of(commands)), commands
    steps: queue.Queue = queue.Queue()
    for number, command in enumerate(commands, 1):
        for moment in ("asked", "done"):
            steps.put((steps.qsize() + 1, number, moment, command))
    steps.put((steps.qsize() + 1, len(commands), "told", commands[-1]))
    total, failed = steps.qsize(), threading.Event()
    with ThreadPoolExecutor(LANES) as pool:  # whose threads' end is the end of each renewd
        walks = [pool.submit(walk, it, act, steps, failed) for it in lanes]
        try:
            assert sum(it.result() for it in walks) == total
            quiet(lanes)
            for it in lanes:
                it.renewd.stop()
        finally:
            for it in lanes:
                it.renewd.kill()
    front = pebble.front
    assert front
    # a pair is two orders: the first of each lane, that without trouble, and each step's
    assert front.count("/order-plz", "POST") == 2 * (LANES + 1 + total)
    print(f"killed at {total} steps of {len(commands)} commands: {kinds_of(commands)}")


def quiet(lanes: list[Lane]) -> None:
    """Nothing goes on by itself: a failure would be tried again after 10 seconds."""
    seen = [len(lane.relay.commands) for lane in lanes]
    threading.Event().wait(12)  # the time in which nothing may happen
    assert [len(lane.relay.commands) for lane in lanes] == seen
    for lane in lanes:
        assert lane.haproxy.processes().reloads == 0
        lane.haproxy.restart()  # the files are what it has had
        check_restarted(lane)


def check_restarted(lane: Lane) -> None:
    names = [row["name"] for row in lane.renewd.get("/v1/certificates")["certificates"]]
    for name in names:
        shown = {row["key"].partition("-")[0]: row["fingerprint_sha256"]
                 for row in lane.renewd.certificate(name)["certificates"]}
        for kind in KINDS:
            assert served(lane.port, name, kind).fingerprint == shown[kind]


def current(renewd: Renewd, name: str) -> Leaf:
    leaf = renewd.leaf(name)
    shown = renewd.certificate(name)["certificates"]
    assert leaf.fingerprint in {row["fingerprint_sha256"] for row in shown}
    return leaf


@anybody
def test_before_the_first_command(place: Place, pebble: Pebble) -> None:
    """The files are new, and HAProxy hasn't heard of them."""
    lane = open_lane(place, pebble, 0)
    wait_until(lane.renewd.ready, "renewd is ready")
    lane.renewd.wait_certificate(BASE, state="valid")
    lane.haproxy.start()
    taken(lane.renewd, BASE)
    file = flat(lane.renewd) / f"{BASE}.pem.rsa"
    old = file.read_bytes()
    heard = len(lane.relay.commands)
    renew(lane, 0)
    wait_until(lambda: file.read_bytes() != old, "the file has changed", pause=0.001)
    lane.renewd.kill()
    assert len(lane.relay.commands) == heard
    lane.renewd.start()
    wait_until(lambda: len(lane.relay.commands) > heard, "HAProxy is told", 40)
    taken(lane.renewd, BASE)
    check(lane, BASE, "asked")
    front = pebble.front
    assert front and front.count("/order-plz", "POST") == 4


# Ends whoever is named in a file, once, and notes where it was.
HOOK = """#!/bin/sh
strike() {{
    echo "$1 $RENEWD_SERIAL" >>{log}
    if [ -e {folder}/die-$1 ]; then
        kill -9 "$(cat {folder}/die-$1)"
        rm {folder}/die-$1
    fi
}}
strike begin
strike end
"""


def killing_hook(place: Place) -> tuple[Path, Path]:
    script, log = place.path / "hook", place.path / "hook.log"
    script.write_text(HOOK.format(log=log, folder=place.path))
    script.chmod(0o755)
    log.touch()
    return script, log


def killed_by_hook(place: Place, renewd: Renewd, moment: str) -> None:
    """The hook has ended it; the file goes once the hook has gone on."""
    mark = place.path / f"die-{moment}"
    wait_until(lambda: not mark.exists(), f"killed at its {moment}", 40)
    renewd.kill()  # reaps it
    renewd.start()


def test_program(place: Place, renewd: Renewd, pebble: Pebble) -> None:
    """A program that is run for each: again, where nobody knows whether it came to its
    end; never a third time."""
    script, log = killing_hook(place)
    renewd.set("deploy copy", type="exec", command=script)
    renewd.add_certificate(BASE, deploy="copy")
    renewd.start()
    taken(renewd, BASE)
    serials = [renewd.leaf(BASE).serial]
    for moment in ("begin", "end"):
        (place.path / f"die-{moment}").write_text(str(renewd.pid))
        renewd.ctl("renew", "--force", BASE)
        killed_by_hook(place, renewd, moment)
        taken(renewd, BASE)
        serials.append(current(renewd, BASE).serial)
    threading.Event().wait(3)  # the time in which nothing may happen
    twice = [line for serial in serials[1:] for line in [f"begin {serial}", f"end {serial}"] * 2]
    first = [f"begin {serials[0]}", f"end {serials[0]}"]
    # the one of before may go on beside the one that is run again
    assert sorted(log.read_text().splitlines()) == sorted(first + twice)
    assert log.read_text().splitlines()[-1] == f"end {serials[-1]}"
    front = pebble.front
    assert front and front.count("/order-plz", "POST") == len(serials)


NGINX = """
server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate     {bundle}/fullchain.pem;
    ssl_certificate_key {bundle}/privkey.pem;
    return 200;
}}
"""


def test_nginx(place: Place, renewd: Renewd, pebble: Pebble) -> None:
    """While it is tested, and as the signal arrives: one reload more, and all is served."""
    script, log = killing_hook(place)
    renewd.add_certificate(BASE)
    renewd.start()
    renewd.wait_state(BASE)
    port = free_port()
    nginx = Nginx(place, NGINX.format(port=port, bundle=renewd.bundle_dir / BASE), [port])
    nginx.start()

    def reloads() -> int:
        return nginx.output().count("signal 1 (SIGHUP) received")
    renewd.set("deploy web", type="nginx", pidfile=nginx.pid_file, test_command=script)
    renewd.add_certificate(BASE, deploy="web")
    renewd.reload()
    taken(renewd, BASE)
    for moment, more in (("begin", {1}), ("end", {1}), ("signal", {1, 2})):
        before, tests = reloads(), len(log.read_text().splitlines())
        if moment != "signal":
            (place.path / f"die-{moment}").write_text(str(renewd.pid))
        renewd.ctl("renew", "--force", BASE)
        if moment == "signal":
            wait_until(lambda was=before: reloads() > was, "the signal has come", 40, 0.001)
            renewd.kill()
            renewd.start()
        else:
            killed_by_hook(place, renewd, moment)
        taken(renewd, BASE)
        leaf = current(renewd, BASE)
        wait_until(lambda it=leaf: served(port, BASE).fingerprint == it.fingerprint,
                   "it is served")
        assert reloads() - before in more, moment
        assert len(log.read_text().splitlines()) - tests <= 4
    count = reloads()
    threading.Event().wait(12)  # the time in which nothing may happen
    assert reloads() == count
    front = pebble.front
    assert front and front.count("/order-plz", "POST") == 4
