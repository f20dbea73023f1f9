"""Very many certificates: files come in slices, and all of them come, whatever happens
in between. How fast that is, tests/bench/many.py measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from programs.pebble import Pebble
from programs.place import Place
from programs.program import wait_until
from programs.supervised import Supervised
from test_crash import public_of_certificate, public_of_key

COUNT = 400


@pytest.fixture
def renewd(place: Place) -> Supervised:
    """With many certificates in conf.d, and a CA that can't be reached."""
    it = Supervised(place)
    it.set("renewd", log_level="info")
    it.set("ca nobody", directory="https://127.0.0.1:1/dir", accept_terms="yes")
    it.set("defaults", ca="nobody")
    folder = it.folder / "conf.d"
    folder.mkdir()
    for name in names():
        (folder / f"{name}.conf").write_text(f"[certificate {name}]\n")
    return it


def names() -> list[str]:
    return [f"c{number:03}.example.test" for number in range(COUNT)]


def there(renewd: Supervised) -> list[Path]:
    return list(renewd.bundle_dir.glob("[!.]*"))


def wait_files(renewd: Supervised) -> None:
    """Until all were looked at."""
    wait_until(lambda: renewd.statuses() and "looked at" not in renewd.statuses()[-1],
               "the files of all were looked at", 60)


def expect_whole(renewd: Supervised, mode: int = 0o640) -> None:
    for name in names():
        key = renewd.bundle(name, "privkey.pem").read_bytes()
        full = renewd.bundle(name).read_bytes()
        both = renewd.bundle(name, "haproxy.pem")
        assert public_of_key(key) == public_of_certificate(full)
        assert both.read_bytes() == full + key
        assert both.stat().st_mode & 0o7777 == mode
        flat = renewd.bundle_dir.parent / "haproxy" / f"{name}.pem"
        assert flat.resolve() == both.resolve()
    assert len(there(renewd)) == COUNT


def test_killed_between_slices(renewd: Supervised) -> None:
    """Before it is ready and after: what is missing comes at the next start."""
    for part in (0.1, 0.4, 0.8):
        renewd.launch()
        wait_until(lambda part=part: len(there(renewd)) >= part * COUNT,
                   "some files are there", 60)
        renewd.kill()
    renewd.start()
    wait_files(renewd)
    expect_whole(renewd)


def test_new_defaults_reach_all(renewd: Supervised) -> None:
    """The reload answers first; then it is killed, and the next start goes on."""
    renewd.start()
    wait_files(renewd)
    renewd.set("defaults", bundle_mode="0600")
    renewd.reload()
    wait_until(lambda: renewd.bundle(names()[0], "privkey.pem").stat().st_mode & 0o777 == 0o600,
               "the first has the new mode")
    assert renewd.get("/v1/certificates?limit=1")["certificates"], "it answers meanwhile"
    renewd.kill()
    renewd.start()
    wait_files(renewd)
    expect_whole(renewd, 0o600)


def tear(path: Path, to: int) -> None:
    """As a power cut may leave what wasn't fsynced."""
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:to] + bytes(max(0, size - to) if to else 0))


def test_torn_placeholders(renewd: Supervised) -> None:
    renewd.start()
    wait_files(renewd)
    renewd.kill()
    tear(renewd.bundle(names()[1], "fullchain.pem"), 0)
    tear(renewd.bundle(names()[COUNT // 2], "privkey.pem"), 60)
    tear(renewd.bundle(names()[-1], "haproxy.pem"), 300)
    renewd.bundle_dir.joinpath(names()[-2]).unlink()
    renewd.start()
    wait_files(renewd)
    expect_whole(renewd)
    assert renewd.output_of_run().count("missing or damaged") == 4


def test_damage_is_repaired_before_ready(place: Place, pebble: Pebble) -> None:
    renewd = Supervised(place, pebble)
    issued = ["a.example.test", "b.example.test", "c.example.test", "d.example.test"]
    for name in issued:
        renewd.add_certificate(name)
    renewd.start()
    for name in issued:
        renewd.wait_state(name)
    files = {name: [renewd.bundle(name, file).read_bytes() for file in
                    ("cert.pem", "chain.pem", "fullchain.pem", "privkey.pem", "haproxy.pem")]
             for name in issued}
    wait_until(lambda: renewd.statuses()[-1].startswith("4 certificates, 0 failing; 0 at work"),
               "the status has followed", 10)
    renewd.stop()
    (renewd.bundle_dir / issued[0]).unlink()
    key = renewd.bundle(issued[1], "privkey.pem")
    key.write_bytes(key.read_bytes().replace(b"A", b"B", 1))
    tear(renewd.bundle(issued[2], "chain.pem"), 0)
    renewd.launch()
    wait_until(renewd.ready, "READY")
    for name in issued:
        assert files[name] == [
            renewd.bundle(name, file).read_bytes() for file in
            ("cert.pem", "chain.pem", "fullchain.pem", "privkey.pem", "haproxy.pem")], name
    assert renewd.output_of_run().count("missing or damaged") == 3
